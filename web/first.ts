/**
 * The page's first model in the worker: a compiled file (docs/compile.md), which finds boxes before the library is here. Its weights are those of
 * the model's own file, which the library needs later: the rest of the compiled file is fetched beside it, and both are joined.
 */
import { coloured } from "./coloured.ts";
import { type FramePixels, framePixelsOf } from "./pixels.ts";
import type { DetectReply, DetectRequest, LoadProgress, ModelFacts } from "./protocol.ts";

/** What the build says of it (`first-model.ts`); addresses are from the page's folder. */
export interface FirstModel {
  /** By which it is asked for, and the SHA-256 of that file. */
  readonly manifest: string;
  readonly digest: string;
  readonly weights: string;
  /** The module of the compiled file. */
  readonly module: string;
  /** By names of compiled files: what of them is not among the weights. */
  readonly rests: Readonly<Record<string, string>>;
  readonly facts: Omit<ModelFacts, "id">;
}

declare const __FIRST_MODEL__: FirstModel | undefined;
const known = __FIRST_MODEL__;

/** As the module's own types say. */
interface Look {
  detections(limits: object): Parameters<typeof coloured>[0];
  readonly milliseconds: { readonly placing: number; readonly running: number };
}
interface CompiledModule {
  load(options: {
    read: (file: string) => Promise<Uint8Array<ArrayBuffer>>;
  }): Promise<{ look(picture: FramePixels): Look }>;
}

/** Scripts lie in a folder of the page's. (In one expression the build would take this for a pattern of files to ship.) */
const here = import.meta.url;
const addressOf = (name: string): string => new URL(`../${name}`, here).href;

/** What is asked for is the first model, and its digests can be computed here. */
export const isFirst = (source: readonly File[] | string): boolean =>
  known !== undefined && source === addressOf(known.manifest) && crypto.subtle !== undefined;

export class First {
  readonly id: number;
  readonly facts: ModelFacts;
  /** The last frame. */
  frame: FramePixels | undefined;
  private readonly detector: Awaited<ReturnType<CompiledModule["load"]>>;
  private looked: Look | undefined;

  private constructor(id: number, facts: FirstModel["facts"], detector: First["detector"]) {
    this.id = id;
    this.facts = { id, ...facts };
    this.detector = detector;
  }

  /** Throws where something of it is not to be had, or is not what the page was built with. */
  static async load(id: number, progress: (value: LoadProgress) => void): Promise<First> {
    if (!known) throw new Error("the page has no first model");
    const weights = fetched(known.weights, progress);
    const manifest = fetched(known.manifest).then(checkManifest);
    for (const each of [weights, manifest]) each.catch(() => {});
    const module: CompiledModule = await import(/* @vite-ignore */ addressOf(known.module));
    const read = async (file: string): Promise<Uint8Array<ArrayBuffer>> =>
      joined(await fetched(known.rests[file]), await weights);
    const detector = await module.load({ read });
    await manifest;
    return new First(id, known.facts, detector);
  }

  /** Whether it can answer that. */
  serves({ model, size, rectangle, follow }: DetectRequest): boolean {
    const { width, height } = this.facts;
    return model === this.id && size === Math.max(width, height) && !rectangle && !follow;
  }

  async detect({ frame, confidence, iou }: DetectRequest): Promise<DetectReply> {
    const ms = { pre: 0, inference: 0, post: 0 };
    const start = performance.now();
    if (frame) {
      this.frame = await framePixelsOf(frame);
      this.looked = undefined;
    }
    if (!this.frame) throw new Error("there is no picture to look at yet");
    const reused = this.looked !== undefined;
    if (!this.looked) {
      const read = performance.now() - start;
      this.looked = this.detector.look(this.frame);
      ms.pre = read + this.looked.milliseconds.placing;
      ms.inference = this.looked.milliseconds.running;
    }
    const before = performance.now();
    const limits = this.facts.task === "classify" ? {} : { confidence, iou };
    const boxes = coloured(this.looked.detections(limits));
    ms.post = performance.now() - before;
    const { width, height } = this.frame;
    return { boxes, width, height, ms, reused, backend: "wasm" };
  }
}

/** Throws where the manifest has been changed since. */
async function checkManifest(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const text = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (text !== known?.digest) throw new Error("the manifest is not the one that the page was built with");
}

async function fetched(
  name: string,
  progress?: (value: LoadProgress) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(addressOf(name));
  if (!response.ok || !response.body) throw new Error(`${name}: HTTP status ${response.status}`);
  if (!progress) return new Uint8Array(await response.arrayBuffer());
  // Bytes that are compressed on their way are not those of the file.
  const length = response.headers.has("content-encoding")
    ? 0
    : Number(response.headers.get("content-length"));
  const parts: BlobPart[] = [];
  let received = 0;
  const reader = response.body.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    parts.push(next.value);
    received += next.value.length;
    progress({ received, ...(length > 0 && { total: length }) });
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/**
 * The compiled file. `rest` begins with words: how many pieces of it are among the weights, how long it is, and for each piece where it goes, where
 * it is among the weights, and its length; behind them is what lies between the pieces.
 */
function joined(rest: Uint8Array<ArrayBuffer>, weights: Uint8Array): Uint8Array<ArrayBuffer> {
  const view = new DataView(rest.buffer);
  const [count, length] = [view.getUint32(0, true), view.getUint32(4, true)];
  const out = new Uint8Array(length);
  let [at, done] = [8 + count * 12, 0];
  const take = (to: number): void => {
    out.set(rest.subarray(at, at + to - done), done);
    [at, done] = [at + to - done, to];
  };
  for (let i = 0; i < count; i++) {
    const [to, from, bytes] = [0, 4, 8].map((word) => view.getUint32(8 + i * 12 + word, true));
    take(to);
    out.set(weights.subarray(from, from + bytes), to);
    done += bytes;
  }
  take(length);
  return out;
}
