/** Plans as plain records: `program.ts` makes buffers and pipelines of them and runs them. */
import type { Shape } from "../../ir/tensor.ts";
import type { KernelSpec } from "../../kernels/webgpu/index.ts";
import type { OutputView } from "../lower/views.ts";
import type { ReferenceStep, Step } from "../steps.ts";

/** One dispatch. */
export interface KernelCall {
  readonly spec: KernelSpec;
  /** Places in groups of four channels, in the order of the shader's arguments. */
  readonly args: readonly number[];
  /** In the layout that the kernel reads; floats are stored as the program stores floats. */
  readonly weights?: Float32Array | Uint32Array;
  readonly constants?: Float32Array;
  readonly table?: Uint32Array;
}

/** Groups of four numbers, or of four bytes, that a dispatch reads or writes. */
export interface Traffic {
  readonly dtype: "f32" | "i8";
  readonly groups: number;
}

/** What a kind of step makes of one. */
export interface StepPlan {
  readonly kind: Step["kind"];
  readonly nodes: readonly string[];
  /** What is computed, for people. */
  readonly label: string;
  readonly macs: number;
  /** Of values: what it reads, residuals apart, and writes, each group once. */
  readonly traffic: readonly Traffic[];
  readonly call?: KernelCall;
  /** Done in JavaScript by the reference kernel, instead. */
  readonly reference?: ReferenceStep;
}

export interface PlanStep extends StepPlan {
  /** Read and written, each once, what is constant included. */
  readonly bytes: number;
}

/** Work of an inference. */
export interface Work {
  /** Layers in JavaScript are steps without a dispatch. */
  readonly steps: number;
  readonly dispatches: number;
  /** That dispatches read and write, what each touches counted once. */
  readonly bytes: number;
  /** Weights and inputs read once, outputs written once, whatever else is computed written once and read once, without padding. */
  readonly leastBytes: number;
  /** Products of all invocations, those at the edges of tiles and in lanes that have nothing to do included. */
  readonly macs: number;
  readonly leastMacs: number;
  /** Copied to where JavaScript reads it. */
  readonly fetchedBytes: number;
  readonly outputBytes: number;
}

export interface Plan {
  readonly steps: readonly PlanStep[];
  /** Where dense inputs lie, in groups. */
  readonly inputs: ReadonlyMap<string, { readonly address: number; readonly shape: Shape }>;
  readonly outputs: ReadonlyMap<string, OutputView>;
  /** Groups of four numbers, and of four bytes. */
  readonly floatGroups: number;
  readonly byteGroups: number;
  readonly work: Work;
  /** What is known before any run. */
  readonly constants: readonly { readonly address: number; readonly data: Float32Array | Uint32Array }[];
}
