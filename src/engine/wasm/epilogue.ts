/** The end of a step (kernels/wasm/_epilogue.ts): what is done to results, where they are stored, and the constants for it. */

import { type Activation, unbounded } from "../../base/activation.ts";
import { epilogueVectors } from "../../kernels/epilogue.ts";
import type { EpilogueSpec, EpilogueStep, StoreSpec } from "../../kernels/wasm/index.ts";
import { dequantizeScale, quantize } from "../../ops/int8.ts";
import { type EpilogueData, packVectors } from "../epilogue.ts";
import { floatOf } from "../representations.ts";
import type { ConvolutionStep, DepthwiseStep, FusedStep } from "../steps.ts";
import type { Representation, Value } from "../values.ts";
import type { StaticData } from "./memory.ts";

export function epilogueStep(done: FusedStep): EpilogueStep {
  if (done.kind === "scale") return { kind: "scale" };
  if (done.kind !== "residual") return done;
  const { pixelBytes, rowBytes } = done.value.representations.length
    ? floatOf(done.value)
    : { pixelBytes: 0, rowBytes: 0 };
  return { kind: "residual", pixelBytes, rowBytes };
}

/** `representations`: what is written; `largest`: no accumulated result of a channel is larger, as far as it is known. */
export function epilogueOf(
  fused: readonly FusedStep[],
  representations: readonly Representation[],
  accumulator: EpilogueSpec["accumulator"],
  { correction = false, roundOnce = false, largest }: EpilogueOptions = {},
): EpilogueSpec {
  const { steps, limits } = limitsOf(fused, representations);
  const stores = representations.map(
    ({ dtype, pixelBytes, rowBytes, zeroPoint }, i): StoreSpec => ({
      ...{ dtype, pixelBytes, rowBytes, zeroPoint },
      ...limits[i],
    }),
  );
  const fits = isSmall(largest, steps, representations);
  return { accumulator, correction, roundOnce, fits, steps: steps.map(epilogueStep), stores };
}

interface EpilogueOptions {
  readonly correction?: boolean;
  readonly roundOnce?: boolean;
  readonly largest?: Float64Array;
}

type Limits = Pick<StoreSpec, "least" | "most">;
const allIntegers: Limits = { least: -127, most: 127 };

/**
 * A clip at the end is done by the limits of the integers, which are there anyway: quantizing keeps the order of numbers. That
 * needs bytes only, and in each representation one pair of limits for all channels. Else what is left of the clip is the end
 * that does not become −127 or 127 by itself.
 */
function limitsOf(
  fused: readonly FusedStep[],
  representations: readonly Representation[],
): { steps: readonly FusedStep[]; limits: readonly Limits[] } {
  const none = { steps: fused, limits: representations.map(() => allIntegers) };
  const last = fused.at(-1);
  const bounds = last?.kind === "activation" ? boundsOf(last.activation) : undefined;
  if (!bounds || representations.length === 0) return none;
  const scales = representations.map((r) => [...new Set(r.scales)].filter((scale) => scale !== 0));
  const isSound = scales.every((list) => list.every((scale) => scale > 0));
  if (!isSound || representations.some(({ dtype }) => dtype === "f32")) return none;
  const found = scales.map((list) => list.map((scale) => limitsAt(bounds, scale)));
  const isUniform = found.every(([first, ...rest]) =>
    rest.every(({ least, most }) => least === first.least && most === first.most),
  );
  if (isUniform) return { steps: fused.slice(0, -1), limits: found.map(([first]) => first ?? allIntegers) };
  const all = found.flat();
  const min = all.every(({ least }) => least === -127) ? -unbounded : bounds.min;
  const max = all.every(({ most }) => most === 127) ? unbounded : bounds.max;
  return {
    ...none,
    steps: [...fused.slice(0, -1), { kind: "activation", activation: { kind: "clip", min, max } }],
  };
}

function boundsOf(activation: Activation): { min: number; max: number } | undefined {
  if (activation.kind === "relu") return { min: 0, max: unbounded };
  return activation.kind === "clip" ? activation : undefined;
}

/** What the ends of a clip are quantized to; those that are hardly ever reached, to the ends of the integers. */
function limitsAt({ min, max }: { min: number; max: number }, scale: number): Limits {
  const limit = (bound: number): number =>
    Math.abs(bound * scale) >= 127 ? Math.sign(bound) * 127 : quantize(bound, scale);
  return { least: limit(min), most: limit(max) };
}

/** Integers beyond this do not fit 32 bits; half of it leaves room for rounding. */
const largestInteger = 2 ** 31;

/** Whether no result times a scale is too large an integer. */
function isSmall(
  largest: Float64Array | undefined,
  steps: readonly FusedStep[],
  representations: readonly Representation[],
): boolean {
  const onlyCuts = steps.every((step) => step.kind === "activation" && boundsOf(step.activation));
  if (!largest || !onlyCuts) return false;
  return representations.every(
    ({ scales }) => !scales || largest.every((most, c) => most * Math.abs(scales[c]) < largestInteger / 2),
  );
}

/** The largest magnitude of a convolution's results before what is fused into it, by output channel; of float ones nothing is known. */
export function largestOf({
  weight,
  bias,
  int8,
  output,
}: ConvolutionStep | DepthwiseStep): Float64Array | undefined {
  if (!int8) return undefined;
  const perOutput = weight.length / output.channels;
  return Float64Array.from({ length: output.channels }, (_, c) => {
    let sum = 0;
    for (let k = c * perOutput; k < (c + 1) * perOutput; k++) sum += Math.abs(weight[k]);
    return sum * 128 * Math.abs(dequantizeScale(int8.bottom, int8.weight[c])) + Math.abs(bias?.[c] ?? 0);
  });
}

/** Places the constants of an epilogue (`packVectors`); 0 where it has none. */
export function packEpilogue(
  data: StaticData,
  spec: EpilogueSpec,
  output: Value,
  values: EpilogueData,
  blockGroups = 1,
): number {
  const vectors = epilogueVectors(spec);
  if (vectors.length === 0) return 0;
  const packed = packVectors(spec, output, values, blockGroups);
  return data.add(packed, { kind: "vectors", count: vectors.length });
}
