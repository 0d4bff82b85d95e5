import type { ElementwiseSpec } from "../../../kernels/wasm/index.ts";
import { floatOf, origin, writeBytes } from "../../representations.ts";
import type { Value } from "../../values.ts";
import { epilogueOf, packEpilogue } from "../epilogue.ts";
import type { PlanStep } from "../records.ts";
import { callOverRows, type Planning, sizeOf } from "./kind.ts";

/**
 * The int8 representations of a value whose floats have just been written by a kernel that can write no others; undefined where
 * nobody wants any.
 */
export function quantizeStep(value: Value, { data }: Planning): PlanStep | undefined {
  const stores = value.representations.filter((r) => r.dtype === "i8");
  if (stores.length === 0) return undefined;
  const source = floatOf(value);
  const epilogue = epilogueOf([], stores, "none");
  const spec: ElementwiseSpec = {
    kind: "elementwise",
    operator: "add",
    rows: value.height,
    width: value.width,
    vectors: value.slotCount / 4,
    a: { pixelBytes: source.pixelBytes, rowBytes: source.rowBytes, splat: false },
    b: { kind: "none" },
    epilogue,
  };
  const constants = packEpilogue(data, epilogue, value, { fused: [], stores });
  return {
    kind: "elementwise",
    nodes: [],
    label: `quantize ${sizeOf(value)}`,
    macs: 0,
    bytes: writeBytes(value),
    calls: [callOverRows(spec, [origin(source), 0, constants, ...stores.map(origin)], value)],
  };
}
