/** Where the time of a network goes: every step of a program, timed; and its plan as text. */
import { median } from "../../base/maths.ts";
import { warmUp } from "../../base/timing.ts";
import type { Tensor } from "../../ir/tensor.ts";
import type { Profile } from "../backend.ts";
import type { Program } from "./program.ts";
import type { Plan } from "./records.ts";

/** Times every step on one thread, after warming up. */
export async function profileProgram(
  program: Program,
  inputs: Record<string, Tensor>,
  loops: number,
): Promise<Profile> {
  await warmUp(async () => program.run(inputs));
  const { steps, total } = program.time(loops);
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

/** A plan as text, a step a line: number, kernel, layers, and where its result lies. */
export function describePlan(plan: Plan): string {
  const lines = plan.steps.map(
    (step, i) => `${String(i).padStart(3)} ${step.label.padEnd(44)} ${step.nodes.join(" ")}`,
  );
  const kilobytes = (bytes: number): string => `${Math.round(bytes / 1024)} kB`;
  const constants = plan.staticData.end - plan.staticData.start;
  return `${lines.join("\n")}\nmemory ${kilobytes(plan.memoryBytes)}: values ${kilobytes(plan.staticData.start)}, constants ${kilobytes(constants)}, scratch ${kilobytes(plan.scratchBytes)}\n`;
}
