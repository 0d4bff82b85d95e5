/** A compiled module over its own memory. */
import { GraphError, NcnnkitError } from "../../base/errors.ts";
import type { Graph } from "../../ir/graph.ts";
import { resolveParams } from "../../ir/op.ts";
import type { Pixels } from "../../ir/pixels.ts";
import { elementCount, type Shape, type Tensor } from "../../ir/tensor.ts";
import { ops } from "../../ops/index.ts";
import type { Looked, ModuleStore, PixelInput } from "../backend.ts";
import { floatOf, origin } from "../representations.ts";
import type { ReferenceStep } from "../steps.ts";
import type { Value } from "../values.ts";
import {
  type DenseOutput,
  type Image,
  type ImageOutput,
  imageKey,
  imageOf,
  keepImage,
  keptImage,
  storeFor,
} from "./image.ts";
import { type CompiledPlan, compilePlan, initialiseMemory, stepName } from "./module.ts";
import { PixelFeed } from "./pixels.ts";
import { makePlan } from "./plan.ts";
import type { Plan } from "./records.ts";
import { sieveOver } from "./sieve.ts";
import type { PlanTarget } from "./target.ts";
import { ThreadPool } from "./threads.ts";

type RunFunction = (thread: number, threads: number) => number;

/** What an image was made from. */
interface Origin {
  readonly makePlan: () => Plan;
  readonly target: PlanTarget;
}

/** One compiled program over its own memory. */
export class Program {
  readonly memory: WebAssembly.Memory;
  private readonly image: Image;
  private readonly makePlan: () => Plan;
  private readonly target: PlanTarget;
  private readonly exports: Record<string, RunFunction>;
  private readonly pool: ThreadPool | undefined;
  /** Shapes of this run's outputs whose number of rows depends on the data, by address. */
  private readonly foundShapes = new Map<number, Shape>();
  private readonly feed: PixelFeed | undefined;
  /** What a look gives: made once, for most outputs. */
  private readonly looked: Looked & {
    readonly blobs: Record<string, Tensor>;
    turn: number;
    readonly milliseconds: { placing: number; running: number };
  };
  private known: Plan | undefined;
  private readonly outputs: readonly (readonly [blob: string, output: ImageOutput])[];

  private constructor(
    image: Image,
    { makePlan, target }: Origin,
    memory: WebAssembly.Memory,
    instance: WebAssembly.Instance,
    pool: ThreadPool | undefined,
  ) {
    this.image = image;
    this.makePlan = makePlan;
    this.target = target;
    this.memory = memory;
    this.exports = instance.exports as unknown as Record<string, RunFunction>;
    this.pool = pool;
    if (image.pixels) this.feed = new PixelFeed(image.pixels, memory, instance.exports);
    this.outputs = [...image.outputs];
    const sieve = sieveOver(memory, instance.exports);
    this.looked = { blobs: {}, sieve, turn: 0, milliseconds: { placing: 0, running: 0 } };
  }

  /** With a store, what was kept there is used, and what was not is kept. */
  static async make(
    graph: Graph,
    shapes: Record<string, Shape>,
    outputs: readonly string[],
    target: PlanTarget,
    source?: PixelInput,
    modules?: ModuleStore,
  ): Promise<Program> {
    const store = storeFor(modules, graph);
    const origin: Origin = { makePlan: () => makePlan(graph, shapes, outputs, target, source), target };
    const key = store && (await imageKey(store, graph, shapes, outputs, target, source));
    const kept = store && (await keptImage(store, key!));
    if (kept) return Program.start(kept, origin);
    const plan = origin.makePlan();
    const image = imageOf(plan, compilePlan(plan, target));
    const program = await Program.start(image, origin);
    program.known = plan;
    if (store) void keepImage(store, key!, image);
    return program;
  }

  private static async start(image: Image, origin: Origin): Promise<Program> {
    const { pages } = image;
    const { threads } = origin.target;
    const memory = new WebAssembly.Memory(
      threads > 1 ? { initial: pages, maximum: pages, shared: true } : { initial: pages },
    );
    initialiseMemory(image, memory);
    const module = await WebAssembly.compile(image.bytes);
    const instance = await WebAssembly.instantiate(module, { env: { memory } });
    const pool = threads > 1 ? await ThreadPool.start(module, memory, threads) : undefined;
    return new Program(image, origin, memory, instance, pool);
  }

  /** What it was made from; planned anew where it was kept. */
  get plan(): Plan {
    this.known ??= this.makePlan();
    return this.known;
  }

  get compiled(): CompiledPlan {
    return this.image;
  }

  /** The outputs for inputs of the program's shapes, copied or as they lie in memory. Throws NcnnkitError when a worker thread has died. */
  run(inputs: Record<string, Tensor>, lent = false): Record<string, Tensor> {
    this.setInputs(inputs);
    this.runSteps();
    const read = (output: ImageOutput): Tensor =>
      lent && output.kind === "dense" ? this.denseOutput(output) : this.output(output);
    return Object.fromEntries(this.outputs.map(([blob, output]) => [blob, read(output)]));
  }

  /**
   * The outputs for pixels, of a program that was made for them, as they lie in memory. Throws NcnnkitError when a worker thread has died.
   */
  look(pixels: Pixels): Looked {
    const { looked } = this;
    looked.turn++;
    const start = performance.now();
    this.feed?.place(pixels);
    const placed = performance.now();
    this.runSteps();
    looked.milliseconds.placing = placed - start;
    looked.milliseconds.running = performance.now() - placed;
    const { blobs } = looked;
    for (const [blob, output] of this.outputs) {
      if (output.kind !== "dense") blobs[blob] = this.output(output);
      else if (!blobs[blob] || this.foundShapes.has(output.address)) blobs[blob] = this.denseOutput(output);
    }
    return looked;
  }

  private setInputs(inputs: Record<string, Tensor>): void {
    for (const [blob, { address }] of this.image.inputs) {
      const { data } = inputs[blob];
      if (data instanceof Int8Array) {
        throw new GraphError(`input "${blob}" is int8; inputs are float, layers quantize them by themselves`);
      }
      new Float32Array(this.memory.buffer, address, data.length).set(data);
    }
  }

  private runSteps(): void {
    this.image.segments.forEach((segment, i) => {
      this.checkThreads();
      this.pool?.command(i);
      const missing = this.exports[segment.exportName](0, this.target.threads);
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

  /** Runs every step `loops` times on one thread, on the inputs of the last run; milliseconds of each step in each round, and of the whole round. */
  time(loops: number): { steps: Float64Array[]; total: Float64Array } {
    const steps = this.plan.steps.map(() => new Float64Array(loops));
    const total = new Float64Array(loops);
    for (let loop = 0; loop < loops; loop++) {
      const start = performance.now();
      let before = start;
      this.plan.steps.forEach((step, i) => {
        if (step.reference) this.runReferenceStep(step.reference);
        else this.exports[stepName(i)](0, 1);
        const now = performance.now();
        steps[i][loop] = now - before;
        before = now;
      });
      total[loop] = before - start;
    }
    return { steps, total };
  }

  private runReferenceStep(step: ReferenceStep): void {
    const op = ops.get(step.node.type)!;
    const inputs = step.inputs.map(({ value, shape }) => ({ shape, data: this.floats(value) }));
    const shapes = step.outputs.map(({ shape }) => shape);
    const results = op.reference(inputs, resolveParams(op, step.node.params), step.node.weights, shapes);
    step.outputs.forEach(({ value }, i) => {
      this.floats(value).set(results[i].data);
      if (op.dynamicRows) this.foundShapes.set(floatOf(value).address, results[i].shape);
    });
  }

  /** A dense value's numbers in memory. */
  private floats(value: Value): Float32Array {
    return new Float32Array(this.memory.buffer, floatOf(value).address, value.channels);
  }

  /** A copy. */
  private output(output: ImageOutput): Tensor {
    if (output.kind === "int8") {
      return { shape: output.shape, data: this.integers(output.value, output.view.int8Scale!) };
    }
    const { shape, data } = this.denseOutput(output);
    return { shape, data: data.slice() };
  }

  /** A dense output as it lies in memory. */
  private denseOutput({ address, length, shape }: DenseOutput): Tensor & { data: Float32Array } {
    const found = this.foundShapes.get(address) ?? shape;
    const count = Math.min(elementCount(found), length);
    return { shape: found, data: new Float32Array(this.memory.buffer, address, count) };
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
          const at = origin(r) + y * r.rowBytes + x * r.pixelBytes + value.slot(c);
          out[o++] = bytes[at] - r.zeroPoint;
        }
      }
    }
    return out;
  }
}
