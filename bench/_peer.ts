/** What the benchmarks share: peers in processes of their own, the middle of some times, and where they were measured. */
import { spawn } from "node:child_process";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { features } from "../dist/node.js";

/** Folder of the real models and pictures: NCNNKIT_DATA, or `../shared` beside the checkout. */
export const data = path.resolve(
  process.env.NCNNKIT_DATA ?? path.join(import.meta.dirname, "..", "..", "shared"),
);

/** The middle one of some times, or the mean of the middle two. */
export function median(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** Milliseconds of a run. */
export async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

/** Processor, runtime and instructions in use: what a figure must be stated with. */
export function environment(): Record<string, string> {
  const { relaxedSimd, dot, madd } = features();
  return {
    cpu: os.cpus()[0].model,
    runtime: `Node ${process.versions.node}, V8 ${process.versions.v8}`,
    simd: `relaxed ${relaxedSimd}, int8 dot ${dot}, madd ${madd}`,
  };
}

export interface Peer {
  readonly version: string;
  /** Milliseconds of one inference of the peer's `model`-th model; undefined when its process has ended. */
  time(model: number): Promise<number | undefined>;
  close(): void;
}

/**
 * Starts a program that prints "ready VERSION" and then answers each line on stdin, the number of a model, with the
 * milliseconds of one inference. Undefined where it does not start: its package is missing.
 */
export async function startPeer(program: string, args: readonly string[]): Promise<Peer | undefined> {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "ignore"] });
  child.on("error", () => {});
  child.stdin.on("error", () => {}); // a peer that has ended says so by its answers
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ready = await lines.next();
  if (ready.done) return undefined;
  return {
    version: ready.value.replace("ready ", ""),
    time: async (model) => {
      child.stdin.write(`${model}\n`);
      const answer = await lines.next();
      return answer.done ? undefined : Number(answer.value);
    },
    close: () => child.stdin.end(),
  };
}

export interface NativeModel {
  /** Path of the `.param` and `.bin` without the extension. */
  base: string;
  /** Side of the square input of three channels. */
  size: number;
  input: string;
  outputs: readonly string[];
}

/** Native ncnn through its Python package. */
export function startNative(models: readonly NativeModel[], threads: number): Promise<Peer | undefined> {
  const list = models.map(({ base, size, input, outputs }) => [base, size, input, outputs.join()].join("|"));
  return startPeer("python3", [path.join(import.meta.dirname, "native.py"), String(threads), ...list]);
}
