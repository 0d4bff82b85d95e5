/** Detection in the worker: loaded models, the last frame, and what the last model said about it. */

import {
  type Detection,
  drawDetections,
  features,
  type Head,
  load,
  summarize,
  type Tensor,
  type Transform,
  UsageError,
} from "../src/index.ts";
import { blobsOf, classColor, type Model, postprocess, taskOf, toTensor } from "../src/steps.ts";
import { encode, pixelsOf } from "./pixels.ts";
import type {
  DetectReply,
  DetectRequest,
  Doubt,
  LoadProgress,
  Machine,
  ModelFacts,
  Precision,
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

/** Raw outputs for the last frame, so that a slider moves boxes without a new inference. */
interface Looked {
  model: number;
  size: number;
  rectangle: boolean;
  outputs: Record<string, Tensor>;
  transform: Transform;
}

export class Detector {
  private readonly threads: number;
  private readonly models = new Map<number, Model>();
  private frame: ImageData | undefined;
  private looked: Looked | undefined;
  private boxes: Detection[] = [];
  /** Models at input shapes that have been compiled. */
  private readonly warm = new Set<string>();

  constructor(threads: number) {
    this.threads = threads;
  }

  machine(): Machine {
    return { simd: features().relaxedSimd ? "relaxed SIMD" : "SIMD" };
  }

  async load(
    id: number,
    source: readonly File[] | string,
    told: ToldFacts,
    progress: (value: LoadProgress) => void,
  ): Promise<ModelFacts> {
    const { threads } = this;
    const model = await load(source, { threads, ...told, onDownload: (file) => progress(file) });
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
      assumptions: model.assumptions,
      doubts: doubtsOf(model.assumptions),
    };
  }

  unload(id: number): undefined {
    this.models.get(id)?.close();
    this.models.delete(id);
    for (const key of [...this.warm]) if (key.startsWith(`${id} `)) this.warm.delete(key);
    if (this.looked?.model === id) this.looked = undefined;
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
    const { model: id, frame, size, rectangle, confidence, iou } = request;
    const model = this.models.get(id);
    if (!model) throw new UsageError("this model is not loaded any more");
    const start = performance.now();
    if (frame) {
      this.looked = undefined;
      this.frame = pixelsOf(frame);
    }
    if (!this.frame) throw new UsageError("there is no picture to look at yet");
    const { looked } = this;
    const reused = looked?.model === id && looked.size === size && looked.rectangle === rectangle;
    const ms = { pre: 0, inference: 0, post: 0 };
    if (!reused) {
      const { input, heads } = model.manifest;
      const own = Math.max(input.width, input.height);
      const { width, height } = size === own ? input : { width: size, height: size };
      const { tensor, transform } = toTensor(this.frame, input, { width, height, rectangle });
      let placed = performance.now();
      ms.pre = placed - start;
      const blobs = blobsOf(heads);
      const key = `${id} ${tensor.shape.join(" ")}`;
      if (!this.warm.has(key)) {
        // Planning and compiling come once and are no part of a frame's time.
        await model.run({ [input.blob]: tensor }, blobs);
        this.warm.add(key);
        placed = performance.now();
      }
      const outputs = await model.run({ [input.blob]: tensor }, blobs);
      ms.inference = performance.now() - placed;
      this.looked = { model: id, size, rectangle, outputs, transform };
    }
    const { outputs, transform } = this.looked as Looked;
    const before = performance.now();
    // Of classes of the picture the best few are shown, whatever their scores.
    const limits = taskOf(model.manifest.heads) === "classify" ? {} : { confidence, iou };
    this.boxes = postprocess(outputs, model.manifest, transform, limits);
    ms.post = performance.now() - before;
    const boxes = this.boxes.map((box) => ({ ...box, color: `rgb(${classColor(box.classId).join(" ")})` }));
    return { boxes, width: this.frame.width, height: this.frame.height, ms, reused };
  }

  async picture(type: string): Promise<Blob> {
    if (!this.frame) throw new UsageError("there is no picture to save yet");
    return encode(drawDetections(this.frame, this.boxes), type);
  }
}
