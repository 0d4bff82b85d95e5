/** Addresses of all representations. */
import { quantize } from "../../ops/int8.ts";
import { Arena } from "../arena.ts";
import { borderFill, hasBorder } from "../representations.ts";
import type { Value } from "../values.ts";
import { type StaticData, slack } from "./memory.ts";
import type { PlanBuffer } from "./records.ts";

/**
 * Places every representation: an address is used again after its last reader. Those with a border share only among equals,
 * since nobody ever writes the border again.
 */
export function allocateValues(
  values: readonly Value[],
  start: number,
): { arena: Arena; buffers: PlanBuffer[] } {
  const arena = new Arena(start, slack);
  const buffers: PlanBuffer[] = [];
  const byStart = [...values].sort((a, b) => a.producer - b.producer);
  for (const value of byStart) {
    const last = Math.max(...value.needs.map((need) => need.step));
    for (const r of value.representations) {
      const { width, height } = value;
      const pool = hasBorder(value)
        ? [width, height, r.rowBytes, r.pixelBytes, r.byteLength, r.originOffset, borderFill(r)].join()
        : undefined;
      r.address = arena.allocate(r.byteLength, value.producer, last, pool);
      const { name, producer: first } = value;
      const { dtype, address, byteLength } = r;
      buffers.push({ name, dtype, address, byteLength, first, last, bordered: pool !== undefined });
    }
  }
  return { arena, buffers };
}

/** Places the numbers of a constant value, in every representation asked for. */
export function packConstant(data: StaticData, value: Value): void {
  const { constant, channels } = value;
  if (!constant) return;
  for (const r of value.representations) {
    const bytes = new Uint8Array(r.byteLength);
    const floats = new Float32Array(bytes.buffer);
    for (let i = 0; i < constant.length; i++) {
      const [pixel, channel] = [Math.floor(i / channels), i % channels];
      const slot = value.slot(channel);
      if (r.dtype === "f32") floats[(pixel * r.pixelBytes) / 4 + slot] = constant[i];
      else bytes[pixel * r.pixelBytes + slot] = quantize(constant[i], r.scales![channel]) + r.zeroPoint;
    }
    r.address = data.add(bytes);
  }
}
