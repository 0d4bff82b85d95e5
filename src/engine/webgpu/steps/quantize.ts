import { floatOf, writeBytes } from "../../representations.ts";
import type { Value } from "../../values.ts";
import { endingOf } from "../epilogue.ts";
import type { PlanStep } from "../records.ts";
import { pixelsOf, sizeOf } from "./kind.ts";

/** The int8 representations of a value whose floats have just been written by a kernel that can write no others, where anybody wants any. */
export function quantizeStep(value: Value): PlanStep | undefined {
  const stores = value.representations.filter((r) => r.dtype === "i8");
  if (stores.length === 0) return undefined;
  const ending = endingOf(value, [], "none", { stores });
  return {
    kind: "elementwise",
    nodes: [],
    label: `quantize ${sizeOf(value)}`,
    macs: 0,
    bytes: writeBytes(value),
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
