/** What a kind of step says of itself: everything that the plan and the module have to know of it. */
import type { KernelSpec, Target } from "../../../kernels/wasm/index.ts";
import type { FuncRef, Module } from "../../../wasm/index.ts";
import type { Reader } from "../../representations.ts";
import type { Step } from "../../steps.ts";
import type { Representation, Value } from "../../values.ts";
import type { StaticData } from "../memory.ts";
import type { KernelCall, PlanStep } from "../records.ts";
import type { PlanTarget } from "../target.ts";

/** What planning a step may use, when every representation has its address. */
export interface Planning {
  readonly data: StaticData;
  readonly target: PlanTarget;
  /** No number of the value is lower than this; at most 0. */
  lowestOf(value: Value): number;
  /** Asks for so many bytes of scratch memory for each thread. */
  needScratch(bytes: number): void;
}

export interface StepKind<S extends Step = Step, K extends KernelSpec = KernelSpec> {
  readonly kind: S["kind"];
  /** Its kernels write every representation of the result. Others write float32, and a `quantize` step is put behind them. */
  readonly quantizes: boolean;
  /** Says what the step reads. Called when all that read its result have done so. */
  needs(step: S, read: Reader, target: PlanTarget): void;
  /** What no number of the result is lower than, apart from what is fused into the step. */
  lowest?(step: S, of: (value: Value) => number): number;
  /** Pairs of representations of which one is copied, byte for byte, into the other. */
  copies?(step: S): readonly (readonly [Representation, Representation])[];
  plan(step: S, at: Planning): PlanStep;
  /** The kernel of a spec that `plan` made; absent for steps that are not done in wasm. */
  emit?(m: Module, name: string, spec: K, target: Target): FuncRef;
}

/** A call that shares the rows of its output among threads. */
export function callOverRows(
  spec: KernelCall["spec"],
  args: KernelCall["args"],
  output: Pick<Value, "height">,
): KernelCall {
  return { spec, args, total: output.height, unit: 1 };
}

/** A picture's size in labels. */
export function sizeOf({ channels, width, height }: Value): string {
  return `${channels} ${width}x${height}`;
}
