/** The worker: everything that takes time. Requests are answered in the order in which they come. */
import { Detector } from "./detector.ts";
import type { Calls, Kind, ReplyMessage, RequestMessage } from "./protocol.ts";

const post = (message: ReplyMessage, transfer: Transferable[] = []): void =>
  globalThis.postMessage(message, { transfer });

let detector: Detector | undefined;
const started = (): Detector => {
  if (!detector) throw new Error("the worker was not started");
  return detector;
};

type Handler<K extends Kind> = (
  request: Calls[K]["request"],
  progress: (value: Calls[K]["progress"]) => void,
) => Promise<Calls[K]["reply"]>;

const handlers: { [K in Kind]: Handler<K> } = {
  start: async (options) => {
    detector = new Detector(options);
    return detector.machine();
  },
  load: ({ id, source, told }, progress) => started().load(id, source, told, progress),
  unload: async ({ id }) => started().unload(id),
  detect: (request) => started().detect(request),
  picture: (request) => started().picture(request),
  // What is used now and then is fetched then.
  search: async (request) => (await import("./searcher.ts")).search(started(), request),
  zip: async (request, progress) => (await import("./searcher.ts")).zipPictures(request, progress),
  card: async (request) => (await import("./card.ts")).cardOf(started(), request),
  profile: async (request) => (await import("./card.ts")).profileOf(started(), request),
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
  last = last.then(() => answer(data));
};
