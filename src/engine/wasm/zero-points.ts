/** How the bytes of int8 representations are stored: what is added to them, and whether they are then known to be unsigned. */
import { lowestAfter } from "../../kernels/wasm/index.ts";
import type { Step } from "../steps.ts";
import type { Representation, Value } from "../values.ts";
import { epilogueStep } from "./epilogue.ts";
import { kindOf } from "./steps/index.ts";
import type { PlanTarget } from "./target.ts";

/** No number of a value is lower than this, whatever the input; at most 0, and -Infinity if nothing is known. */
export class Lowest {
  private readonly steps: readonly Step[];
  private readonly known = new Map<Value, number>();

  constructor(steps: readonly Step[]) {
    this.steps = steps;
  }

  of(value: Value): number {
    const known = this.known.get(value);
    if (known !== undefined) return known;
    const isKnown = value.producer >= 0 && value.fill("i8") >= 0;
    const lowest = isKnown ? this.madeBy(this.steps[value.producer]) : Number.NEGATIVE_INFINITY;
    this.known.set(value, Math.min(0, lowest));
    return Math.min(0, lowest);
  }

  private madeBy(step: Step): number {
    if ("fused" in step && step.fused.length > 0) return lowestAfter(step.fused.map(epilogueStep));
    return kindOf(step).lowest?.(step, (value) => this.of(value)) ?? Number.NEGATIVE_INFINITY;
  }
}

/**
 * A larger range of inputs leaves fewer sums of pairs that fit 16 bits: beyond this, widening everything is as fast.
 */
const mostZeroPoint = 64;

export function decideZeroPoints(
  steps: readonly Step[],
  values: readonly Value[],
  { dot, pairTop }: PlanTarget,
  lowest: Lowest,
): void {
  const integer = values.flatMap((value) => value.representations.filter((r) => r.dtype === "i8"));
  if (dot === "unsigned") {
    for (const r of integer) [r.zeroPoint, r.isUnsigned] = [128, true];
    return;
  }
  if (dot !== "i7") return;
  const needed = new Map(integer.map((r) => [r, leastZeroPoint(r, lowest)]));
  const chosen = agreed(steps, needed);
  for (const r of integer) {
    const zeroPoint = chosen.get(r)!;
    if (zeroPoint <= Math.min(mostZeroPoint, pairTop - 127)) [r.zeroPoint, r.isUnsigned] = [zeroPoint, true];
    else r.isUnsigned = needed.get(r) === 0;
  }
}

/** The smallest with which no byte is negative; a scale that is none (below 0, NaN) proves nothing. */
function leastZeroPoint({ value, scales }: Representation, lowest: Lowest): number {
  const isSound = scales!.every((scale) => scale >= 0);
  const least = isSound ? lowest.of(value) : Number.NEGATIVE_INFINITY;
  return least === 0 ? 0 : Math.ceil(-least * Math.max(...scales!));
}

/** Steps that copy bytes as they are want the same on both sides: the larger one. */
function agreed(
  steps: readonly Step[],
  needed: ReadonlyMap<Representation, number>,
): Map<Representation, number> {
  const chosen = new Map(needed);
  const copies = steps.flatMap((step) => kindOf(step).copies?.(step) ?? []);
  for (let isChanged = true; isChanged; ) {
    isChanged = false;
    for (const pair of copies) {
      const most = Math.max(...pair.map((r) => chosen.get(r)!));
      for (const r of pair) {
        isChanged ||= chosen.get(r) !== most;
        chosen.set(r, most);
      }
    }
  }
  return chosen;
}
