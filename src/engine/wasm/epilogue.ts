/** The end of a step (kernels/wasm/_epilogue.ts): what is done to results, where they are stored, and the constants for it. */
import {
  type EpilogueSpec,
  type EpilogueStep,
  epilogueVectors,
  type StoreSpec,
} from "../../kernels/wasm/index.ts";
import { dequantizeScale } from "../../ops/int8.ts";
import type { FusedStep, Int8Scales } from "../steps.ts";
import type { Representation, Value } from "../values.ts";
import type { StaticData } from "./memory.ts";
import { floatOf, slotsOf } from "./representations.ts";

export function epilogueStep(done: FusedStep): EpilogueStep {
  if (done.kind !== "residual") return done;
  const { pixelBytes, rowBytes } = done.value.representations.length
    ? floatOf(done.value)
    : { pixelBytes: 0, rowBytes: 0 };
  return { kind: "residual", pixelBytes, rowBytes };
}

/** `representations`: what is written. */
export function epilogueOf(
  fused: readonly FusedStep[],
  representations: readonly Representation[],
  accumulator: EpilogueSpec["accumulator"],
  { correction = false, roundOnce = false } = {},
): EpilogueSpec {
  const stores = representations.map(
    ({ dtype, pixelBytes, rowBytes, zeroPoint }): StoreSpec => ({ dtype, pixelBytes, rowBytes, zeroPoint }),
  );
  const needed = isSaturated(fused.at(-1), representations) ? fused.slice(0, -1) : fused;
  return { accumulator, correction, roundOnce, steps: needed.map(epilogueStep), stores };
}

/** Whether a clip cuts off nothing but what becomes −127 or 127 anyway. */
function isSaturated(last: FusedStep | undefined, representations: readonly Representation[]): boolean {
  if (last?.kind !== "activation" || last.activation.kind !== "clip") return false;
  const { min, max } = last.activation;
  const cutsNothing = (scale: number): boolean => scale >= 0 && min * scale <= -126.5 && max * scale >= 126.5;
  return (
    representations.length > 0 &&
    representations.every(({ scales }) => scales?.every((scale) => scale === 0 || cutsNothing(scale)))
  );
}

export interface EpilogueData {
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
export function packEpilogue(
  data: StaticData,
  spec: EpilogueSpec,
  output: Value,
  { bias, int8, correction, stores = output.representations }: EpilogueData = {},
  blockGroups = 1,
): number {
  const vectors = epilogueVectors(spec);
  if (vectors.length === 0) return 0;
  const slots = slotsOf(output);
  const groups = Math.ceil(slots.length / 4 / blockGroups) * blockGroups;
  const out = new Float32Array(groups * vectors.length * 4);
  const integers = new Int32Array(out.buffer);
  slots.forEach((channel, slot) => {
    if (channel < 0) return;
    vectors.forEach((vector, v) => {
      const at = (Math.floor(slot / 4) * vectors.length + v) * 4 + (slot % 4);
      if (vector === "bias") out[at] = bias?.[channel] ?? 0;
      else if (vector === "scale") out[at] = dequantizeScale(int8!.bottom, int8!.weight[channel]);
      else if (vector === "correction") integers[at] = correction![channel];
      else {
        const store = Number(vector.slice("requantize".length));
        out[at] = stores[store].scales![channel];
      }
    });
  });
  return data.add(out);
}
