/** What steps read of what others make: found backwards, by any backend that plans ahead. */
import type { Lowered } from "./lower/index.ts";
import { Reader } from "./representations.ts";
import { outputsOf, type Step } from "./steps.ts";
import type { Value } from "./values.ts";

/** What a backend's kind of step says of itself. */
export interface Needing<T> {
  /** Its kernels write every representation of the result; others write float32. */
  readonly quantizes: boolean;
  /** Says what the step reads. Called when all that read its result have done so. */
  needs(step: Step, read: Reader, target: T): void;
}

/** Whether anybody reads what the step makes. */
export function isLive(step: Step): boolean {
  return outputsOf(step).some((value) => value.needs.length > 0);
}

/** Backwards over the steps: what readers need decides what a step must make, and so what it needs itself. */
export function collectNeeds<T>(
  { steps, inputs, outputs }: Lowered,
  kindOf: (step: Step) => Needing<T>,
  target: T,
): void {
  const end = new Reader(steps.length);
  for (const view of outputs.values()) {
    if (view.kind === "int8") end.int8(view.value, view.view.int8Scale!);
    else end.float(view.value);
  }
  for (let i = steps.length - 1; i >= 0; i--) {
    const step = steps[i];
    if (!isLive(step)) continue;
    const reader = new Reader(i);
    const kind = kindOf(step);
    if (!kind.quantizes) for (const value of outputsOf(step)) needFloats(value, reader);
    if ("fused" in step)
      for (const done of step.fused) if (done.kind === "residual") reader.float(done.value);
    kind.needs(step, reader, target);
  }
  for (const { value } of inputs.values()) needFloats(value, new Reader(value.producer));
}

/** Where only floats are made of what is read as bytes, a quantize step behind reads the floats. */
function needFloats(value: Value, reader: Reader): void {
  if (value.needs.some((need) => need.dtype === "i8")) reader.float(value);
}
