/** What a kind of step says of itself to the WebGPU backend. */
import type { Target, Tile } from "../../../kernels/webgpu/index.ts";
import type { Needing } from "../../needs.ts";
import type { Reader } from "../../representations.ts";
import type { ConvolutionStep, Step } from "../../steps.ts";
import type { Representation, Value } from "../../values.ts";
import type { StepPlan, Traffic } from "../records.ts";

/** What planning a step may use, when every representation has its place. */
export interface Planning {
  readonly target: Target;
  /** The tile of a layer. */
  tileFor(step: ConvolutionStep): Tile;
}

export interface StepKind<S extends Step = Step> extends Needing<Planning> {
  readonly kind: S["kind"];
  needs(step: S, read: Reader, at: Planning): void;
  plan(step: S, at: Planning): StepPlan;
}

/** A picture's size in labels. */
export function sizeOf({ channels, width, height }: Value): string {
  return `${channels} ${width}x${height}`;
}

export const pixelsOf = ({ height, width }: Value): number => height * width;

/** Groups of four channels of a whole value. */
export function groupCount({ height, width, slotCount }: Value): number {
  return (height * width * slotCount) / 4;
}

/** All of a representation. */
export const trafficOf = ({ dtype, value }: Representation): Traffic => ({
  dtype,
  groups: groupCount(value),
});

/** A step that reads some representations whole and writes all of its result's. */
export const trafficThrough = (read: readonly Representation[], output: Value): Traffic[] =>
  [...read, ...output.representations].map(trafficOf);
