/** Speed of a model: how long it takes to start, to run, and where the time goes. */

import { expectKind } from "../base/arguments.ts";
import { median } from "../base/maths.ts";
import { Random } from "../base/random.ts";
import { warmUp } from "../base/timing.ts";
import { createSession, type Profile, type Session } from "../engine/session.ts";
import { elementCount, type Shape, type Tensor } from "../ir/tensor.ts";
import type { Model } from "./model.ts";

/** Milliseconds of an inference. */
export interface Timing {
  /** Milliseconds of one inference. */
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly avg: number;
  readonly loops: number;
  /** Rounds that were run before, not counted. */
  readonly warmup: number;
}

/** Times of a model, and at which size. */
export interface BenchmarkResult extends Timing {
  /** Milliseconds from a graph in memory to the first result: plan, generate, pack, compile and the first run. */
  readonly firstRun: number;
  /** Bytes of WebAssembly memory of the model at this size. */
  readonly memoryBytes: number;
}

/** Size and number of timed inferences. */
export interface BenchmarkOptions {
  /** Input size in pixels; default: the manifest's. */
  readonly width?: number;
  readonly height?: number;
  readonly loops?: number;
}

/** Random pixels in [0, 1) for every input, always the same. */
export function randomInputs(model: Model, options: BenchmarkOptions = {}): Record<string, Tensor> {
  expectKind("randomInputs: model", model, "a loaded model");
  expectKind("randomInputs: options", options, "an object of options");
  const { width, height } = options;
  const { input } = model.manifest;
  const random = new Random(1);
  const shapes: Record<string, Shape> = {
    [input.blob]: [input.channels, height ?? input.height, width ?? input.width],
  };
  return Object.fromEntries(
    Object.entries(shapes).map(([blob, shape]) => [
      blob,
      { shape, data: random.floats(elementCount(shape), 0, 1) },
    ]),
  );
}

/**
 * Times a model that has not run yet. `onLoop` is called after every timed round.
 *
 * ```ts
 * await benchmark(await load("yolov5ss"), { width: 320, height: 320 });
 * // { min: 24.1, median: 24.6, max: 27.9, avg: 24.9, loops: 20, warmup: 14, firstRun: 201, memoryBytes: 21299200 }
 * ```
 */
export async function benchmark(
  model: Model,
  options: BenchmarkOptions = {},
  onLoop?: (done: number) => void,
): Promise<BenchmarkResult> {
  expectKind("benchmark: model", model, "a loaded model");
  expectKind("benchmark: options", options, "an object of options");
  const { loops = 20 } = options;
  const inputs = randomInputs(model, options);
  const start = performance.now();
  await model.run(inputs);
  const firstRun = performance.now() - start;
  const warmup = 1 + (await warmUp(() => model.run(inputs)));
  const timing = await timeRuns(() => model.run(inputs), loops, warmup, onLoop);
  return { ...timing, firstRun, memoryBytes: model.memoryBytes };
}

/** Times `loops` runs after `warmup` that were made already; `onLoop` is called after each. */
export async function timeRuns(
  run: () => Promise<unknown>,
  loops: number,
  warmup: number,
  onLoop?: (done: number) => void,
): Promise<Timing> {
  const times: number[] = [];
  for (let loop = 0; loop < loops; loop++) {
    const before = performance.now();
    await run();
    times.push(performance.now() - before);
    onLoop?.(loop + 1);
  }
  return {
    min: Math.min(...times),
    median: median(times),
    max: Math.max(...times),
    avg: times.reduce((sum, ms) => sum + ms, 0) / loops,
    loops,
    warmup,
  };
}

/** Time, work and bytes of every step of the model on one thread. Throws UnsupportedError on the reference backend. */
export function profile(model: Model, options: BenchmarkOptions = {}): Promise<Profile> {
  expectKind("profile: model", model, "a loaded model");
  expectKind("profile: options", options, "an object of options");
  const inputs = randomInputs(model, options);
  return withSession(model, (session) => session.profile(inputs, options.loops));
}

/** The plan of the model at a size, as text: one step a line. Throws UnsupportedError on the reference backend. */
export function planText(model: Model, options: BenchmarkOptions = {}): Promise<string> {
  expectKind("planText: model", model, "a loaded model");
  expectKind("planText: options", options, "an object of options");
  const inputs = randomInputs(model, options);
  return withSession(model, (session) => session.plan(inputs));
}

/** A session of one thread of its own. */
async function withSession<T>({ graph, options }: Model, work: (session: Session) => Promise<T>): Promise<T> {
  const session = await createSession(graph, { ...options, threads: 1 });
  try {
    return await work(session);
  } finally {
    session.close();
  }
}
