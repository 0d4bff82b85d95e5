/** Where the time of a network goes: every step of a compiled program, timed. */
import { median } from "../base/maths.ts";
import type { Graph } from "../ir/graph.ts";
import type { Shape, Tensor } from "../ir/tensor.ts";
import type { Plan } from "./plan.ts";
import { detectTarget, Program } from "./wasm.ts";

export interface StepProfile {
  /** The kernel and its sizes: `conv f32 60>60 40x40`. */
  readonly label: string;
  /** Names of the layers that the step carries out. */
  readonly nodes: readonly string[];
  /** Median milliseconds. */
  readonly ms: number;
  readonly macs: number;
  /** Bytes read and written, weights included. */
  readonly bytes: number;
}

export interface Profile {
  readonly steps: readonly StepProfile[];
  /** Median milliseconds of a whole round; what the steps do not add up to is the cost of measuring and calling. */
  readonly total: number;
  readonly loops: number;
  readonly memoryBytes: number;
}

/** Times every step of `graph` on one thread, after warming up. */
export async function profileGraph(
  graph: Graph,
  inputs: Record<string, Tensor>,
  { loops = 50 } = {},
): Promise<Profile> {
  const shapes: Record<string, Shape> = {};
  for (const [blob, { shape }] of Object.entries(inputs)) shapes[blob] = shape;
  const program = await Program.make(graph, shapes, graph.outputs, detectTarget());
  program.setInputs(inputs);
  await warmUp(async () => program.run());
  const { steps, total } = program.profile(loops);
  return {
    steps: program.plan.steps.map(({ label, nodes, macs, bytes }, i) => ({
      label,
      nodes,
      ms: median(steps[i]),
      macs,
      bytes,
    })),
    total: median(total),
    loops,
    memoryBytes: program.memory.buffer.byteLength,
  };
}

/**
 * Runs until the times settle, since engines first run quickly made code and swap in better code when that is ready:
 * until five rounds are no faster than the five before, at least `least` rounds and no longer than two seconds (but once).
 * Returns the number of rounds.
 */
export async function warmUp(run: () => Promise<unknown>, least = 10): Promise<number> {
  const times: number[] = [];
  const start = performance.now();
  for (;;) {
    const before = performance.now();
    await run();
    times.push(performance.now() - before);
    // Gives the background compiler's result a chance to be taken over.
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (performance.now() - start > 2000) return times.length;
    const recent = Math.min(...times.slice(-5));
    const earlier = Math.min(...times.slice(0, -5));
    if (times.length >= least && recent > earlier * 0.97) return times.length;
  }
}

/** A plan as text, a step a line: number, kernel, layers, and where its result lies. */
export function describePlan(plan: Plan): string {
  const lines = plan.steps.map(
    (step, i) => `${String(i).padStart(3)} ${step.label.padEnd(44)} ${step.nodes.join(" ")}`,
  );
  const kilobytes = (bytes: number): string => `${Math.round(bytes / 1024)} kB`;
  const constants = plan.staticData.end - plan.staticData.start;
  return `${lines.join("\n")}\nmemory ${kilobytes(plan.memoryBytes)}: values ${kilobytes(plan.staticData.start)}, constants ${kilobytes(constants)}, scratch ${kilobytes(plan.scratchBytes)}\n`;
}
