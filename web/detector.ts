/** Detection in the worker: loaded models, the last frame, and what the last model said about it. */

import {
  type Backend,
  type BackendChoice,
  type Detection,
  features,
  type Head,
  load,
  type PictureLook,
  summarize,
  UsageError,
} from "../src/index.ts";
import { backendNames, distinctColors, type Model, moduleDatabase, taskOf } from "../src/steps.ts";
import type { Follower } from "./follower.ts";
import { drawnOn, type FramePixels, framePixelsOf, type GpuFrame, gpuFrameOf } from "./pixels.ts";
import type {
  DetectReply,
  DetectRequest,
  Doubt,
  Drawn,
  LoadProgress,
  Machine,
  ModelFacts,
  Precision,
  SearchSettings,
  ShownBox,
  ToldFacts,
} from "./protocol.ts";

/** Sentences of the reader name the option that tells what they assume. */
const doubtOptions: Record<Doubt, string> = {
  anchors: "--anchors",
  names: "--labels",
  family: "--family",
  size: "--size",
};

function doubtsOf(assumptions: readonly string[]): Doubt[] {
  const doubts = Object.keys(doubtOptions) as Doubt[];
  return doubts.filter((doubt) => assumptions.some((text) => text.includes(doubtOptions[doubt])));
}

function anchorsOf(heads: readonly Head[]): number[][] | undefined {
  const anchored = heads.flatMap((head) => (head.kind === "yolov5" ? [head] : []));
  if (!anchored.length) return undefined;
  return anchored.sort((a, b) => a.stride - b.stride).map(({ anchors }) => [...anchors]);
}

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
    const { name, input, heads, labels, quantization } = model.manifest;
    const { blob, channels, width, height, stride } = input;
    const { storage, weightBytes } = summarize(model.graph, { [blob]: [channels, height, width] });
    const precision: Precision = quantization || storage.i8 ? "int8" : "fp32";
    // Biases stay float32 in fp16 files, so the larger part decides.
    const half = precision === "fp32" && (storage.f16 ?? 0) > (storage.f32 ?? 0);
    return {
      ...{ id, name, precision, half, width, height, stride },
      labels,
      anchors: anchorsOf(heads),
      task: taskOf(heads),
      bytes: weightBytes,
      letterbox: input.resize === "letterbox",
      isFallback: model.fallback !== undefined,
      assumptions: model.assumptions,
      doubts: doubtsOf(model.assumptions),
    };
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
      this.looked.clear();
      if (this.frame && "close" in this.frame) this.frame.close();
      this.frame = (model.backend === "webgpu" && gpuFrameOf(frame)) || (await framePixelsOf(frame));
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

/** Each with the colour that it is shown in. */
export function coloured(found: readonly Detection[]): ShownBox[] {
  const colors = distinctColors(found);
  return found.map((each, i) => ({ ...each, color: `rgb(${colors[i].join(" ")})` }));
}
