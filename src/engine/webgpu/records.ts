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

export interface PlanStep {
  readonly kind: Step["kind"];
  readonly nodes: readonly string[];
  /** What is computed, for people. */
  readonly label: string;
  readonly macs: number;
  /** Bytes read and written, each representation once. */
  readonly bytes: number;
  readonly call?: KernelCall;
  /** Done in JavaScript by the reference kernel, instead. */
  readonly reference?: ReferenceStep;
}

export interface Plan {
  readonly steps: readonly PlanStep[];
  /** Where dense inputs lie, in groups. */
  readonly inputs: ReadonlyMap<string, { readonly address: number; readonly shape: Shape }>;
  readonly outputs: ReadonlyMap<string, OutputView>;
  /** Groups of four numbers, and of four bytes. */
  readonly floatGroups: number;
  readonly byteGroups: number;
  /** What is known before any run. */
  readonly constants: readonly { readonly address: number; readonly data: Float32Array | Uint32Array }[];
}
