/** Detection in the worker: loaded models, the last frame, and what the last model said about it. */

import {
  type Backend,
  type BackendChoice,
  features,
  load,
  type PictureLook,
  UsageError,
} from "../src/index.ts";
import { backendNames, type Model, moduleDatabase, taskOf } from "../src/steps.ts";
import { coloured } from "./coloured.ts";
import type { Follower } from "./follower.ts";
import { factsOf } from "./model-facts.ts";
import { drawnOn, type FramePixels, framePixelsOf, type GpuFrame, gpuFrameOf } from "./pixels.ts";
import type {
  DetectReply,
  DetectRequest,
  Drawn,
  LoadProgress,
  Machine,
  ModelFacts,
  SearchSettings,
  ToldFacts,
} from "./protocol.ts";

/** What a network said of the last frame, so that a slider moves boxes without a new inference. */
interface Looked {
  size: number;
  rectangle: boolean;
  look: PictureLook;
}

/** What the engine made of a model is kept for the next visit, as long as the page is of the same build: its scripts have hashed names. */
const modules = import.meta.url.includes("/assets/")
  ? moduleDatabase("ncnnkit-modules", { build: import.meta.url })
  : undefined;

export class Detector {
  private readonly threads: number;
  private readonly backend: BackendChoice | undefined;
  private readonly models = new Map<number, Model>();
  private frame: FramePixels | GpuFrame | undefined;
  /** By model, of the last frame. */
  private readonly looked = new Map<number, Looked>();
  private follower: Follower | undefined;

  constructor({ threads, backend }: { threads: number; backend?: BackendChoice }) {
    [this.threads, this.backend] = [threads, backend];
  }

  async machine(): Promise<Machine> {
    const simd = features().relaxedSimd ? "relaxed SIMD" : "SIMD";
    return { simd, backends: await usableBackends() };
  }

  async load(
    id: number,
    source: readonly File[] | string,
    told: ToldFacts,
    progress: (value: LoadProgress) => void,
  ): Promise<ModelFacts> {
    const { threads, backend } = this;
    const onDownload = (file: LoadProgress): void => progress(file);
    const model = await load(source, { ...{ threads, backend, modules, onDownload }, ...told });
    try {
      model.requireHeads();
    } catch (error) {
      model.close();
      throw error;
    }
    this.unload(id); // it may be there with another pre-processing
    this.models.set(id, model);
    return { id, ...factsOf(model) };
  }

  /** The frame that is looked at from now on. */
  take(frame: FramePixels | GpuFrame): void {
    this.looked.clear();
    if (this.frame && "close" in this.frame) this.frame.close();
    this.frame = frame;
  }

  /** Throws UsageError. */
  model(id: number): Model {
    const model = this.models.get(id);
    if (!model) throw new UsageError("this model is not loaded any more");
    return model;
  }

  unload(id: number): undefined {
    this.models.get(id)?.close();
    this.models.delete(id);
    this.looked.delete(id);
  }

  async detect(request: DetectRequest): Promise<DetectReply> {
    const { frame, giveBack } = request;
    try {
      const reply = await this.look(request);
      return giveBack ? { ...reply, frame } : reply;
    } finally {
      if (!giveBack) frame?.close();
    }
  }

  private async look(request: DetectRequest): Promise<DetectReply> {
    const { model: id, frame, size, rectangle } = request;
    const model = this.model(id);
    const start = performance.now();
    if (frame) {
      this.take((model.backend === "webgpu" && gpuFrameOf(frame)) || (await framePixelsOf(frame)));
    }
    if (!this.frame) throw new UsageError("there is no picture to look at yet");
    const looked = this.looked.get(id);
    const reused = looked?.size === size && looked.rectangle === rectangle;
    const ms = { pre: 0, inference: 0, post: 0 };
    if (!reused) {
      const read = performance.now() - start;
      const look = await model.look(this.frame, { size: sizeFor(model, size), rectangle });
      // Planning and compiling come once and are no part of a frame's time.
      ms.pre = read + look.milliseconds.placing;
      ms.inference = look.milliseconds.running;
      this.looked.set(id, { size, rectangle, look });
    }
    const { look } = this.looked.get(id) as Looked;
    const before = performance.now();
    const { width, height } = this.frame;
    const found = await this.found(look, model, request);
    ms.post = performance.now() - before;
    return { ...found, ...{ width, height, ms, reused }, backend: model.backend };
  }

  private async found(
    look: PictureLook,
    model: Model,
    request: DetectRequest,
  ): Promise<Pick<DetectReply, "boxes" | "totals">> {
    const { follow } = request;
    const limits = limitsFor(model, request);
    if (!follow || !("confidence" in limits)) return { boxes: coloured(look.detections(limits)) };
    if (this.follower?.session !== follow.session) {
      const { Follower } = await import("./follower.ts");
      this.follower = new Follower(follow.session, model.manifest.labels);
    }
    const { width, height } = this.frame as FramePixels;
    return this.follower.update(look, limits, { ...follow, width, height });
  }

  async picture({ type, ...drawn }: Drawn & { type: string }): Promise<Blob> {
    if (!this.frame) throw new UsageError("there is no picture to save yet");
    return drawnOn(this.frame, drawn).convertToBlob({ type, quality: 0.92 });
  }
}

/** The backends that run in this browser; the reference one is for tests. */
async function usableBackends(): Promise<Backend[]> {
  // TypeScript's library for workers does not know WebGPU.
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<object | null> } };
  const names = backendNames.filter((name) => name !== "reference");
  if (names.length < 2) return names;
  const adapter = await gpu?.requestAdapter().catch(() => null);
  return names.filter((name) => name === "wasm" || adapter);
}

/** Sides of the input for the side that was chosen. */
export function sizeFor({ manifest: { input } }: Model, side: number): { width: number; height: number } {
  const own = Math.max(input.width, input.height);
  return side === own ? { width: input.width, height: input.height } : { width: side, height: side };
}

/** Of classes of the picture the best few are shown, whatever their scores. */
export function limitsFor(
  { manifest }: Model,
  { confidence, iou }: Pick<SearchSettings, "confidence" | "iou">,
): { confidence: number; iou: number } | Record<never, never> {
  return taskOf(manifest.heads) === "classify" ? {} : { confidence, iou };
}
