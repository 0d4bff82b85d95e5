/** Plans as plain records, which can be printed and tested; `module.ts` makes code of them and `program.ts` runs it. */
import type { Shape } from "../../ir/tensor.ts";
import type { KernelSpec, PlaceSpec } from "../../kernels/wasm/index.ts";
import type { OutputView } from "../lower/views.ts";
import type { ReferenceStep, Step } from "../steps.ts";
import type { StaticData } from "./memory.ts";

export interface KernelCall {
  readonly spec: KernelSpec;
  /** Addresses, in the order of the kernel's parameters, without the range. `scratch` is the running thread's. */
  readonly args: readonly (number | "scratch")[];
  /** Work is divided among threads in multiples of `unit`. */
  readonly total: number;
  readonly unit: number;
}

export interface PlanStep {
  /** Whose kernels it calls. */
  readonly kind: Step["kind"];
  readonly nodes: readonly string[];
  /** What is computed, for people: `convolution i8 60→60 80×80`. */
  readonly label: string;
  readonly macs: number;
  /** Bytes read and written, each representation once. */
  readonly bytes: number;
  readonly calls: readonly KernelCall[];
  /** Done in JavaScript by the reference kernel. */
  readonly reference?: ReferenceStep;
}

/** One copy of a value in the arena. */
export interface PlanBuffer {
  readonly name: string;
  readonly dtype: "f32" | "i8";
  readonly address: number;
  readonly byteLength: number;
  /** Numbers of the step that writes it and of the last that reads it; they count dead steps too. */
  readonly first: number;
  readonly last: number;
  /** Zeros around the picture, which no step may overwrite. */
  readonly bordered: boolean;
}

/** How pixels become the input picture: addresses of what `place` reads and writes. */
export interface PixelPlan {
  readonly spec: Omit<PlaceSpec, "pixelBytes">;
  /** Rows of the picture. */
  readonly height: number;
  /** Of pixel (0, 0) in each representation. */
  readonly outputs: readonly number[];
  readonly tables: number;
  /** Filled for every placement. */
  readonly columns: number;
  readonly lines: number;
  /** Scratch rows. */
  readonly upper: number;
  readonly lower: number;
  /** Source rows are put here, some at a time. */
  readonly staging: number;
}

export interface Plan {
  readonly steps: readonly PlanStep[];
  readonly inputs: ReadonlyMap<string, { readonly address: number; readonly shape: Shape }>;
  readonly outputs: ReadonlyMap<string, OutputView>;
  readonly staticData: StaticData;
  /** Scratch memory of thread t is at `scratchAddress + t·scratchBytes`. */
  readonly scratchAddress: number;
  readonly scratchBytes: number;
  readonly memoryBytes: number;
  /** Where the values lie, and from which to which of the network's steps they are in use. */
  readonly buffers: readonly PlanBuffer[];
  /** Buffers whose borders must hold something else than zero bytes. */
  readonly filledBorders: readonly {
    readonly address: number;
    readonly byteLength: number;
    readonly dtype: "f32" | "i8";
    readonly fill: number;
  }[];
  /** Of a network that is fed with pixels. */
  readonly pixels?: PixelPlan;
}
