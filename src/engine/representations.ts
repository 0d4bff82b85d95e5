/** In which orders and representations values are kept: what the readers of a value need decides. */

import type { WindowAxis } from "../ir/op.ts";
import type { Shape } from "../ir/tensor.ts";
import type { ChannelRef, Need, OrderClass, Representation, Value } from "./values.ts";
import type { WindowAxes } from "./windows.ts";

/**
 * Chooses the slots of all channels: natural order where fixed, else sorted so that channels with the same readers lie
 * together and every reader finds as few runs as possible.
 */
export function decideOrder(order: OrderClass): void {
  const root = order.root;
  if (root.slots || root.fixedFlag) return;
  const needs = root.members.flatMap((value) => value.needs);
  // Nobody tells channels apart.
  if (needs.every(({ channels }) => channels === undefined)) return;
  const sorted = Array.from({ length: root.members[0].channels }, (_, c) => c);
  const places = needs.map(({ step, dtype }) => step * 2 + (dtype === "f32" ? 1 : 0));
  const byPlace = [...needs.keys()].sort((a, b) => places[a] - places[b]);
  const readers = sorted.map((channel) => {
    const list: number[] = [];
    for (const i of byPlace) {
      const { channels } = needs[i];
      if (channels !== undefined && !channels.has(channel)) continue;
      if (list.at(-1) !== places[i]) list.push(places[i]);
    }
    return list;
  });
  sorted.sort((a, b) => compareLists(readers[a], readers[b]) || a - b);
  root.slots = new Int32Array(sorted.length);
  for (const [slot, channel] of sorted.entries()) root.slots[channel] = slot;
}

function compareLists(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

/** Decides which representations of a value are kept: float32 if anyone reads it, and as many int8 ones as scales differ. */
export function decideRepresentations(value: Value): void {
  if (value.needs.some((need) => need.dtype === "f32")) {
    value.representations.push(makeRepresentation(value, "f32"));
  }
  const integer = value.needs.filter((need) => need.dtype === "i8");
  if (integer.length === 0) return;
  // Scales that are wanted of all channels first: so each fills one representation, as those who read channel by channel need.
  integer.sort((a, b) => Number(a.channels !== undefined) - Number(b.channels !== undefined));
  const layers: Float32Array[] = [];
  const counts = new Int32Array(value.channels);
  for (const { channels, scale } of integer) {
    for (let c = 0; c < counts.length; c++) {
      if (channels !== undefined && !channels.has(c)) continue;
      let k = 0;
      while (k < counts[c] && layers[k][c] !== scale) k++;
      if (k < counts[c]) continue;
      if (k === layers.length) layers.push(new Float32Array(value.channels));
      layers[k][c] = scale;
      counts[c]++;
    }
  }
  for (const scales of layers) value.representations.push(makeRepresentation(value, "i8", scales));
}

function makeRepresentation(value: Value, dtype: "f32" | "i8", scales?: Float32Array): Representation {
  const { border } = value;
  const pixelBytes = value.slotCount * (dtype === "f32" ? 4 : 1);
  const rowBytes = (value.width + border.left + border.right) * pixelBytes;
  return {
    value,
    dtype,
    scales,
    zeroPoint: 0,
    isUnsigned: false,
    pixelBytes,
    rowBytes,
    byteLength: (value.height + border.top + border.bottom) * rowBytes,
    originOffset: border.top * rowBytes + border.left * pixelBytes,
    address: -1,
  };
}

// ---- needs

/** How a step says what it reads. */
export class Reader {
  private readonly step: number;

  /** `step`: its number; readers of outputs and inputs have numbers beyond the ends. */
  constructor(step: number) {
    this.step = step;
  }

  float(value: Value): void {
    value.needs.push({ step: this.step, dtype: "f32", scale: 0 });
  }

  int8(value: Value, scale: number): void {
    value.needs.push({ step: this.step, dtype: "i8", scale });
  }

  /** Some channels of one or more values. */
  channels(refs: readonly ChannelRef[], { dtype, scale }: Pick<Need, "dtype" | "scale">): void {
    const byValue = new Map<Value, Set<number>>();
    for (const { value, channel } of refs) {
      const set = byValue.get(value);
      if (set) set.add(channel);
      else byValue.set(value, new Set([channel]));
    }
    for (const [value, channels] of byValue) {
      const all = channels.size === value.channels;
      value.needs.push({ step: this.step, dtype, scale, channels: all ? undefined : channels });
    }
  }
}

/** The one int8 scale that all readers want, if that is all they want. */
export function soleScale({ needs }: Value): number | undefined {
  const [first] = needs;
  return needs.every((need) => need.dtype === "i8" && need.scale === first.scale) ? first.scale : undefined;
}

/** Makes the border of a value as wide as windows reach over its edges. */
export function widenBorder({ border }: Value, { y, x }: WindowAxes): void {
  const after = (axis: WindowAxis): number => {
    const reach = (axis.output - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1;
    return Math.max(reach - axis.padBefore - axis.input, 0);
  };
  border.top = Math.max(border.top, y.padBefore);
  border.left = Math.max(border.left, x.padBefore);
  border.bottom = Math.max(border.bottom, after(y));
  border.right = Math.max(border.right, after(x));
}

// ---- places

export function hasBorder({ border }: Value): boolean {
  return border.top > 0 || border.left > 0 || border.bottom > 0 || border.right > 0;
}

/** What the cells of a representation's border hold in memory: a float, or a byte. */
export function borderFill({ value, dtype, zeroPoint }: Representation): number {
  const fill = value.fill(dtype);
  return dtype === "f32" ? fill : (fill + zeroPoint) & 0xff;
}

/** Address of pixel (0, 0). */
export function origin(r: Representation): number {
  return r.address + r.originOffset;
}

/** Address of the first cell under the window of output (0, 0). */
export function windowOrigin(r: Representation, { y, x }: WindowAxes): number {
  return origin(r) - y.padBefore * r.rowBytes - x.padBefore * r.pixelBytes;
}

export function floatOf(value: Value): Representation {
  return value.find("f32", 0, 0);
}

/** Channel in every slot, -1 in those that only round up to a vector. */
export function slotsOf(value: Value): Int32Array {
  const channels = new Int32Array(value.slotCount).fill(-1);
  for (let c = 0; c < value.channels; c++) channels[value.slot(c)] = c;
  return channels;
}

/** Bytes of all representations. */
export function writeBytes(value: Value): number {
  return value.representations.reduce((sum, r) => sum + r.byteLength, 0);
}

/** Where the inputs of a network lie: those that somebody reads, in the units of the plan that placed them. */
export const placesOf = (
  inputs: ReadonlyMap<string, { value: Value; shape: Shape }>,
): Map<string, { address: number; shape: Shape }> =>
  new Map(
    [...inputs].flatMap(([blob, { value, shape }]) =>
      value.representations.length ? [[blob, { address: value.representations[0].address, shape }]] : [],
    ),
  );
