/** The constants of the end of a step (kernels/epilogue.ts), for each channel. */
import { type EpilogueShape, type EpilogueVector, epilogueVectors } from "../kernels/epilogue.ts";
import { dequantizeScale } from "../ops/int8.ts";
import { slotsOf } from "./representations.ts";
import type { FusedStep, Int8Scales } from "./steps.ts";
import type { Representation, Value } from "./values.ts";

export interface EpilogueData {
  /** What the spec's steps were made of. */
  readonly fused: readonly FusedStep[];
  readonly bias?: Float32Array;
  readonly int8?: Int8Scales;
  readonly correction?: Int32Array;
  /** What is written; all representations when absent. */
  readonly stores?: readonly Representation[];
}

/**
 * Constant vectors of all groups of four slots, `[group][vector][4]`; the number of groups is rounded up to `blockGroups`,
 * which kernels may read at once.
 */
export function packVectors(
  spec: EpilogueShape,
  output: Value,
  values: EpilogueData,
  blockGroups = 1,
): Float32Array {
  const vectors = epilogueVectors(spec);
  const slots = slotsOf(output);
  const groups = Math.ceil(slots.length / 4 / blockGroups) * blockGroups;
  const out = new Float32Array(groups * vectors.length * 4);
  const integers = new Int32Array(out.buffer);
  vectors.forEach((vector, v) => {
    const constantOf = constantsOf(vector, output, values);
    const into = vector === "correction" ? integers : out;
    slots.forEach((channel, slot) => {
      const at = (Math.floor(slot / 4) * vectors.length + v) * 4 + (slot % 4);
      if (channel >= 0) into[at] = constantOf(channel);
    });
  });
  return out;
}

/** What a vector holds for a channel. */
function constantsOf(
  vector: EpilogueVector,
  output: Value,
  { fused, bias, int8, correction, stores = output.representations }: EpilogueData,
): (channel: number) => number {
  if (vector === "bias") return (channel) => bias?.[channel] ?? 0;
  if (vector === "scale") return (channel) => dequantizeScale(int8!.bottom, int8!.weight[channel]);
  if (vector === "correction") return (channel) => correction![channel];
  const [, what, number] = /^([a-z]+)(\d+)$/.exec(vector)!;
  if (what === "requantize") return (channel) => stores[Number(number)].scales![channel];
  const step = fused[Number(number)];
  if (step?.kind !== "scale") throw new Error(`${vector}: no such step`);
  const list = what === "factor" ? step.factor : step.bias;
  return (channel) => list[channel];
}
