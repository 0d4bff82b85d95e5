/** A plan as a WebAssembly module: one function per distinct kernel, one per step, and the runs between JavaScript steps. */
import { emitNextCell, emitNextRow, emitPlace, type KernelSpec } from "../../kernels/wasm/index.ts";
import { type FuncRef, Module } from "../../wasm/index.ts";
import type { KernelCall, Plan, PlanStep } from "./records.ts";
import { kindOf } from "./steps/index.ts";
import type { PlanTarget } from "./target.ts";
import { controlAddresses, emitBarrier, emitServe } from "./threads.ts";

const wasmPageBytes = 65536;

/** Runs of consecutive wasm steps; between them a step is done in JavaScript. */
export interface ModuleSegment {
  /** Exported function `(thread, threads) → 0`, or 1 if another thread went missing. */
  readonly exportName: string;
  /** Index of the step in JavaScript that follows. */
  readonly reference?: number;
}

export interface CompiledPlan {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly segments: readonly ModuleSegment[];
  readonly pages: number;
  /** What functions expect at `controlAddresses.constants`. */
  readonly constants: Int32Array;
}

export function compilePlan(plan: Plan, target: PlanTarget): CompiledPlan {
  const m = new Module();
  const pages = Math.ceil(plan.memoryBytes / wasmPageBytes);
  const shared = target.threads > 1;
  m.importMemory("env", "memory", shared ? { min: pages, max: pages, shared } : { min: pages });
  const { constants, end } = controlAddresses;
  if (target.constantsInMemory) m.keepConstants(constants, (end - constants) / 4);
  const barrier = shared ? emitBarrier(m) : undefined;
  const kernels = new Kernels(m, target);
  const stepFunctions = plan.steps.map((step, i) =>
    step.reference ? undefined : emitStep(m, stepName(i), step.calls, (spec) => kernels.of(step, spec), plan),
  );
  const segments: ModuleSegment[] = [];
  const runs: FuncRef[] = [];
  let first = 0;
  for (let i = 0; i <= plan.steps.length; i++) {
    if (i < plan.steps.length && !plan.steps[i].reference) continue;
    const exportName = `run${segments.length}`;
    const functions = stepFunctions.slice(first, i).flatMap((f) => (f ? [f] : []));
    runs.push(emitRun(m, exportName, functions, barrier));
    segments.push({ exportName, reference: i < plan.steps.length ? i : undefined });
    first = i + 1;
  }
  if (shared) emitServe(m, runs);
  if (plan.pixels) {
    for (const pixelBytes of [3, 4] as const) {
      emitPlace(m, `place${pixelBytes}`, { ...plan.pixels.spec, pixelBytes });
    }
    emitNextRow(m, "nextRow");
    emitNextCell(m, "nextCell");
  }
  return { bytes: m.encode(), segments, pages, constants: m.constantWords() };
}

/** The functions of a module's kernels: one for each distinct spec. */
export class Kernels {
  private readonly m: Module;
  private readonly target: PlanTarget;
  private readonly made = new Map<string, FuncRef>();

  constructor(m: Module, target: PlanTarget) {
    this.m = m;
    this.target = target;
  }

  of({ kind }: PlanStep, spec: KernelSpec): FuncRef {
    const key = JSON.stringify(spec);
    const known = this.made.get(key);
    if (known) return known;
    const made = kindOf({ kind }).emit!(this.m, `${spec.kind}${this.made.size}`, spec, this.target);
    this.made.set(key, made);
    return made;
  }
}

/** Exported function that runs a single step, `(thread, threads)`; for profiles. */
export const stepName = (i: number): string => `step${i}`;

/** `(thread, threads)`: the thread's share of every call of a step. */
export function emitStep(
  m: Module,
  name: string,
  calls: readonly KernelCall[],
  kernel: (spec: KernelSpec) => FuncRef,
  plan: Plan,
  isExported = true,
): FuncRef {
  const functions = calls.map((call) => kernel(call.spec));
  const params = { thread: "i32", threads: "i32" } as const;
  return m.func(name, { params, results: [], export: isExported }, (f) => {
    calls.forEach((call, i) => {
      for (const arg of call.args) {
        if (arg !== "scratch") f.i32(arg);
        else {
          f.get(f.params.thread);
          f.i32(plan.scratchBytes);
          f.op("i32.mul");
          f.i32(plan.scratchAddress);
          f.op("i32.add");
        }
      }
      const units = Math.ceil(call.total / call.unit);
      // ⌊units·t/threads⌋·unit; the last thread ends at the total.
      const bound = (next: number): void => {
        f.i32(units);
        f.get(f.params.thread);
        if (next) {
          f.i32(next);
          f.op("i32.add");
        }
        f.op("i32.mul");
        f.get(f.params.threads);
        f.op("i32.div_u");
        if (call.unit !== 1) {
          f.i32(call.unit);
          f.op("i32.mul");
        }
      };
      bound(0);
      const end = f.local("i32", "end");
      bound(1);
      f.tee(end);
      f.i32(call.total);
      f.get(end);
      f.i32(call.total);
      f.op("i32.lt_s");
      f.select();
      f.call(functions[i]);
    });
  });
}

/** All steps of a segment, every thread waiting for the others after each. */
export function emitRun(
  m: Module,
  name: string,
  steps: readonly FuncRef[],
  barrier: FuncRef | undefined,
  isExported = true,
): FuncRef {
  const params = { thread: "i32", threads: "i32" } as const;
  return m.func(name, { params, results: ["i32"], export: isExported }, (f) => {
    for (const step of steps) {
      f.get(f.params.thread);
      f.get(f.params.threads);
      f.call(step);
      if (!barrier) continue;
      f.get(f.params.threads);
      f.call(barrier);
      f.if(() => {
        f.i32(1);
        f.return();
      });
    }
    f.i32(0);
  });
}

/** Writes constants and borders into fresh memory. */
export function initialiseMemory(
  {
    constants,
    chunks,
    filledBorders,
  }: Pick<CompiledPlan, "constants"> & Pick<Plan["staticData"], "chunks"> & Pick<Plan, "filledBorders">,
  memory: WebAssembly.Memory,
): void {
  const bytes = new Uint8Array(memory.buffer);
  bytes.fill(0, 0, controlAddresses.end);
  new Int32Array(memory.buffer, controlAddresses.constants).set(constants);
  for (const chunk of chunks) bytes.set(chunk.bytes, chunk.address);
  for (const { address, byteLength, dtype, fill } of filledBorders) {
    if (dtype === "i8") bytes.fill(fill, address, address + byteLength);
    else new Float32Array(memory.buffer, address, byteLength / 4).fill(fill);
  }
}
