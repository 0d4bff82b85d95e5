/** The wasm backend: plans, compiles and caches a program per input size, and runs it. */
import { expectKind } from "../base/arguments.ts";
import { GraphError, NcnnkitError, UnsupportedError } from "../base/errors.ts";
import type { Graph } from "../ir/graph.ts";
import { resolveParams } from "../ir/op.ts";
import { elementCount, type Shape, type Tensor } from "../ir/tensor.ts";
import { ops } from "../ops/index.ts";
import { type Features, features } from "../wasm/index.ts";
import type { Value } from "./layout.ts";
import { makePlan, type Plan, type PlanTarget } from "./plan.ts";
import { type CompiledPlan, compilePlan, initialiseMemory } from "./program.ts";
import { checkInputs } from "./reference.ts";
import type { ReferenceStep } from "./steps.ts";
import { ThreadPool } from "./threads.ts";

/**
 * EXPERIMENTAL: asks V8 to join pairs of 128-bit instructions into 256-bit ones (AVX2) in all modules compiled from now on in
 * this process. Returns whether the runtime has such a switch (Node does; browsers do not offer it).
 */
export function enableWideVectors(): boolean {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  const v8 = process?.getBuiltinModule?.("node:v8") as
    | { setFlagsFromString(flags: string): void }
    | undefined;
  v8?.setFlagsFromString("--experimental-wasm-revectorize");
  return v8 !== undefined;
}

/** Accumulators, and what feeds them, that just fit the 15 vector registers that V8 ≥ 13 has to give on x86. */
const tiles: PlanTarget["tiles"] = {
  f32: { pixels: 6, vectors: 2 },
  relaxed: { pixels: 4, vectors: 2 },
  pairs: { pixels: 4, vectors: 2 },
  i16: { pixels: 4, vectors: 2 },
};
/** For older V8, whose register allocator spills with these; measured on 11.3. */
const smallTiles: PlanTarget["tiles"] = {
  f32: { pixels: 4, vectors: 2 },
  relaxed: { pixels: 4, vectors: 2 },
  pairs: { pixels: 3, vectors: 2 },
  i16: { pixels: 2, vectors: 2 },
};
/** For joined vectors: four vectors of channels make two of twice the width. */
const wideTiles: PlanTarget["tiles"] = {
  f32: { pixels: 6, vectors: 4 },
  relaxed: { pixels: 4, vectors: 4 },
  pairs: { pixels: 4, vectors: 4 },
  i16: { pixels: 4, vectors: 4 },
};

/** Node says its V8 version; browsers that have relaxed SIMD are taken for new. */
function hasManyRegisters(relaxedSimd: boolean): boolean {
  const { process } = globalThis as { process?: { versions?: { v8?: string } } };
  const v8 = process?.versions?.v8;
  return v8 === undefined ? relaxedSimd : Number.parseInt(v8, 10) >= 13;
}

/** The largest second operand for which the dot product of pairs is exact, where sums fit 16 bits. */
function pairTop(mode: Features["pairDot"]): number {
  if (mode === "none") return 0;
  return mode === "saturating" || mode === "unsigned" ? 255 : 127;
}

/** The target that suits this machine; `wide` for code that V8 is going to join. Throws UnsupportedError without SIMD. */
export function detectTarget(threads = 1, wide = false): PlanTarget {
  const found = features();
  if (!found.simd) {
    throw new UnsupportedError(
      "this runtime has no WebAssembly SIMD (Node 16.4, Chrome 91, Firefox 89, Safari 16.4 and newer do); use the reference backend",
    );
  }
  const dot = found.dot === "none" ? "i16" : found.dot === "saturating" ? "i7" : found.dot;
  return {
    relaxed: found.relaxedSimd,
    fusedMadd: found.madd === "fused",
    dot,
    threads,
    pairTop: pairTop(found.pairDot),
    tiles: wide ? wideTiles : hasManyRegisters(found.relaxedSimd) ? tiles : smallTiles,
  };
}

type RunFunction = (thread: number, threads: number) => number;

/** One compiled program over its own memory. */
export class Program {
  readonly plan: Plan;
  readonly compiled: CompiledPlan;
  readonly memory: WebAssembly.Memory;
  private readonly exports: Record<string, RunFunction>;
  private readonly threads: number;
  private readonly pool: ThreadPool | undefined;
  /** Shapes of this run's outputs whose number of rows depends on the data. */
  private readonly foundShapes = new Map<Value, Shape>();

  private constructor(
    plan: Plan,
    compiled: CompiledPlan,
    memory: WebAssembly.Memory,
    instance: WebAssembly.Instance,
    threads: number,
    pool: ThreadPool | undefined,
  ) {
    this.plan = plan;
    this.compiled = compiled;
    this.memory = memory;
    this.exports = instance.exports as unknown as Record<string, RunFunction>;
    this.threads = threads;
    this.pool = pool;
  }

  static async make(
    graph: Graph,
    shapes: Record<string, Shape>,
    outputs: readonly string[],
    target: PlanTarget,
  ): Promise<Program> {
    const plan = makePlan(graph, shapes, outputs, target);
    const compiled = compilePlan(plan, target);
    const { pages } = compiled;
    const { threads } = target;
    const memory = new WebAssembly.Memory(
      threads > 1 ? { initial: pages, maximum: pages, shared: true } : { initial: pages },
    );
    initialiseMemory(plan, memory);
    const module = await WebAssembly.compile(compiled.bytes);
    const instance = await WebAssembly.instantiate(module, { env: { memory } });
    const pool = threads > 1 ? await ThreadPool.start(module, memory, threads) : undefined;
    return new Program(plan, compiled, memory, instance, threads, pool);
  }

  setInputs(inputs: Record<string, Tensor>): void {
    for (const [blob, { address }] of this.plan.inputs) {
      const { data } = inputs[blob];
      if (data instanceof Int8Array) {
        throw new GraphError(`input "${blob}" is int8; inputs are float, layers quantize them by themselves`);
      }
      new Float32Array(this.memory.buffer, address, data.length).set(data);
    }
  }

  /** Runs every step. Throws NcnnkitError when a worker thread has died. */
  run(): void {
    this.compiled.segments.forEach((segment, i) => {
      this.checkThreads();
      this.pool?.command(i);
      const missing = this.exports[segment.exportName](0, this.threads);
      if (missing && this.pool) {
        this.pool.broken ??= "a worker thread did not answer in time";
        this.checkThreads();
      }
      if (segment.reference !== undefined)
        this.runReferenceStep(this.plan.steps[segment.reference].reference!);
    });
  }

  private checkThreads(): void {
    if (this.pool?.broken === undefined) return;
    const reason = this.pool.broken;
    this.close();
    throw new NcnnkitError(`inference stopped: ${reason}; create a new session`);
  }

  /** Ends the worker threads. */
  close(): void {
    this.pool?.close();
  }

  /** Runs every step `loops` times on one thread; milliseconds of each step in each round, and of the whole round. */
  profile(loops: number): { steps: Float64Array[]; total: Float64Array } {
    const steps = this.plan.steps.map(() => new Float64Array(loops));
    const total = new Float64Array(loops);
    for (let loop = 0; loop < loops; loop++) {
      const start = performance.now();
      let before = start;
      this.plan.steps.forEach((step, i) => {
        if (step.reference) this.runReferenceStep(step.reference);
        else this.exports[this.compiled.stepExport(i)](0, 1);
        const now = performance.now();
        steps[i][loop] = now - before;
        before = now;
      });
      total[loop] = before - start;
    }
    return { steps, total };
  }

  runReferenceStep(step: ReferenceStep): void {
    const op = ops.get(step.node.type)!;
    const inputs = step.inputs.map(({ value, shape }) => ({ shape, data: this.floats(value) }));
    const shapes = step.outputs.map(({ shape }) => shape);
    const results = op.reference(inputs, resolveParams(op, step.node.params), step.node.weights, shapes);
    step.outputs.forEach(({ value }, i) => {
      this.floats(value).set(results[i].data);
      if (op.dynamicRows) this.foundShapes.set(value, results[i].shape);
    });
  }

  /** A dense value's numbers in memory. */
  private floats(value: Value): Float32Array {
    return new Float32Array(this.memory.buffer, value.find("f32", 0, 0).address, value.channels);
  }

  outputs(): Record<string, Tensor> {
    const result: Record<string, Tensor> = {};
    for (const [blob, view] of this.plan.outputs) {
      if (view.kind === "dense") {
        const shape = this.foundShapes.get(view.value) ?? view.shape;
        result[blob] = { shape, data: this.floats(view.value).slice(0, elementCount(shape)) };
      } else result[blob] = { shape: view.shape, data: this.integers(view.value, view.view.int8Scale!) };
    }
    return result;
  }

  /** Requantized integers as `[c, h, w]`. */
  private integers(value: Value, scale: number): Int8Array {
    const r = value.find("i8", scale, 0);
    const bytes = r.zeroPoint ? new Uint8Array(this.memory.buffer) : new Int8Array(this.memory.buffer);
    const out = new Int8Array(value.channels * value.height * value.width);
    let o = 0;
    for (let c = 0; c < value.channels; c++) {
      for (let y = 0; y < value.height; y++) {
        for (let x = 0; x < value.width; x++) {
          const at = r.address + r.originOffset + y * r.rowBytes + x * r.pixelBytes + value.slot(c);
          out[o++] = bytes[at] - r.zeroPoint;
        }
      }
    }
    return out;
  }
}

/** Programs kept at a time; the least recently used goes first. */
const cacheSize = 4;

export class WasmRunner {
  private readonly graph: Graph;
  private readonly target: PlanTarget;
  private readonly programs = new Map<string, Promise<Program>>();
  private closed = false;

  constructor(graph: Graph, target: PlanTarget) {
    this.graph = graph;
    this.target = target;
  }

  async run(
    inputs: Record<string, Tensor>,
    outputs: readonly string[] = this.graph.outputs,
  ): Promise<Record<string, Tensor>> {
    if (this.closed) throw new GraphError("the session is closed");
    expectKind("run: outputs", outputs ?? [], "a list of strings");
    const program = await this.program(checkInputs(this.graph, inputs), outputs);
    program.setInputs(inputs);
    program.run();
    return program.outputs();
  }

  /** The program for an input size, made once. */
  program(shapes: Record<string, Shape>, outputs: readonly string[] = this.graph.outputs): Promise<Program> {
    const key = JSON.stringify([shapes, outputs]);
    const known = this.programs.get(key);
    const program = known ?? Program.make(this.graph, shapes, outputs, this.target);
    this.programs.delete(key);
    this.programs.set(key, program);
    if (!known) {
      program.then(
        (made) => {
          this.memoryBytes += made.memory.buffer.byteLength;
        },
        () => this.programs.delete(key),
      );
    }
    for (const oldest of this.programs.keys()) {
      if (this.programs.size <= cacheSize) break;
      this.drop(oldest);
    }
    return program;
  }

  /** Bytes of the memories of all programs that are ready. */
  memoryBytes = 0;

  private drop(key: string): void {
    void this.programs.get(key)?.then(
      (program) => {
        this.memoryBytes -= program.memory.buffer.byteLength;
        program.close();
      },
      () => {},
    );
    this.programs.delete(key);
  }

  close(): void {
    this.closed = true;
    for (const key of [...this.programs.keys()]) this.drop(key);
  }
}
