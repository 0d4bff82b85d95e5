/** The worker: everything that takes time. Requests are answered in the order in which they come. */
import { Desk } from "./desk.ts";
import type { Calls, Kind, ReplyMessage, RequestMessage } from "./protocol.ts";

const post = (message: ReplyMessage, transfer: Transferable[] = []): void =>
  globalThis.postMessage(message, { transfer });

let desk: Desk | undefined;
const started = (): Desk => {
  if (!desk) throw new Error("the worker was not started");
  return desk;
};

type Handler<K extends Kind> = (
  request: Calls[K]["request"],
  progress: (value: Calls[K]["progress"]) => void,
) => Promise<Calls[K]["reply"]>;

const handlers: { [K in Kind]: Handler<K> } = {
  start: async (options) => {
    desk = new Desk(options);
    return undefined;
  },
  machine: () => started().machine(),
  load: ({ id, source, told }, progress) => started().load(id, source, told, progress),
  unload: ({ id }) => started().unload(id),
  detect: (request) => started().detect(request),
  picture: (request) => started().picture(request),
  // What is used now and then is fetched then.
  search: async (request) => {
    const detector = await started().detectorWith(request.model);
    return (await import("./searcher.ts")).search(detector, request);
  },
  zip: async (request, progress) => (await import("./searcher.ts")).zipPictures(request, progress),
  card: async (request) => {
    const detector = await started().detectorWith(request.id);
    return (await import("./card.ts")).cardOf(detector, request);
  },
  profile: async (request) => {
    const detector = await started().detectorWith(request.id);
    return (await import("./card.ts")).profileOf(detector, request);
  },
  benchmark: async (request, progress) => (await import("./bench.ts")).timeNetworks(request, progress),
  // Calibration and its report are fetched only when somebody converts.
  convert: async (request, progress) => (await import("./converter.ts")).convertFiles(request, progress),
};

async function answer<K extends Kind>({ call, kind, request }: RequestMessage<K>): Promise<void> {
  try {
    const progress = (value: Calls[K]["progress"]): void => post({ call, progress: value });
    const reply = await handlers[kind](request, progress);
    post({ call, reply }, bitmapsOf(reply));
  } catch (error) {
    const { name, message } = error instanceof Error ? error : { name: "Error", message: String(error) };
    post({ call, error: { name, message } });
  }
}

/** Handed over, not copied. */
function bitmapsOf(reply: Calls[Kind]["reply"]): ImageBitmap[] {
  if (typeof reply !== "object") return [];
  const { frame, thumb } = reply as { frame?: ImageBitmap; thumb?: ImageBitmap };
  return [frame, thumb].filter((each) => each !== undefined);
}

let last: Promise<void> = Promise.resolve();
globalThis.onmessage = ({ data }: MessageEvent<RequestMessage>) => {
  last = last.then(() => {
    // Nobody waits for that one.
    if (data.kind === "machine") void answer(data);
    else return desk ? desk.doing(() => answer(data)) : answer(data);
  });
};
