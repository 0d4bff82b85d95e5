/** What the page says of a model: in the worker of one that was loaded, and when the page is built of its first one. */
import { type Head, summarize } from "../src/index.ts";
import { type Model, taskOf } from "../src/steps.ts";
import type { Doubt, ModelFacts, Precision } from "./protocol.ts";

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

export function factsOf(
  model: Pick<Model, "manifest" | "graph" | "assumptions"> & { readonly fallback?: string },
): Omit<ModelFacts, "id"> {
  const { name, input, heads, labels, quantization } = model.manifest;
  const { blob, channels, width, height, stride } = input;
  const { storage, weightBytes } = summarize(model.graph, { [blob]: [channels, height, width] });
  const precision: Precision = quantization || storage.i8 ? "int8" : "fp32";
  // Biases stay float32 in fp16 files, so the larger part decides.
  const half = precision === "fp32" && (storage.f16 ?? 0) > (storage.f32 ?? 0);
  return {
    ...{ name, precision, half, width, height, stride },
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
