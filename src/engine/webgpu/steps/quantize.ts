import { floatOf } from "../../representations.ts";
import type { Value } from "../../values.ts";
import { endingOf } from "../epilogue.ts";
import type { StepPlan } from "../records.ts";
import { pixelsOf, sizeOf, trafficOf } from "./kind.ts";

/** The int8 representations of a value whose floats have just been written by a kernel that can write no others, where anybody wants any. */
export function quantizeStep(value: Value): StepPlan | undefined {
  const stores = value.representations.filter((r) => r.dtype === "i8");
  if (stores.length === 0) return undefined;
  const ending = endingOf(value, [], "none", { stores });
  return {
    kind: "elementwise",
    nodes: [],
    label: `quantize ${sizeOf(value)}`,
    macs: 0,
    traffic: value.representations.map(trafficOf),
    call: {
      spec: {
        kind: "elementwise",
        operator: "add",
        pixels: pixelsOf(value),
        b: { kind: "none" },
        epilogue: ending.epilogue,
      },
      args: [floatOf(value).address, 0, ...ending.args],
      constants: ending.constants,
    },
  };
}
