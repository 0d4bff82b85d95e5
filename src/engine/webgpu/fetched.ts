/** Outputs that are read back: where they lie, and where they go. */
import type { Shape } from "../../ir/tensor.ts";
import type { Storage } from "../../kernels/webgpu/index.ts";
import type { OutputView } from "../lower/views.ts";
import { floatOf } from "../representations.ts";
import type { Value } from "../values.ts";
import { align } from "./constants.ts";
import { groupCount } from "./steps/kind.ts";

/** Bytes of a group of four floats. */
export const groupBytes: Readonly<Record<Storage, number>> = { f32: 16, f16: 8, packed: 8 };

/** Where an output lies, and where it is read back. */
export interface Fetched {
  readonly blob: string;
  readonly value: Value;
  readonly shape: Shape;
  /** Of a picture of integers. */
  readonly int8Scale?: number;
  readonly from: number;
  readonly bytes: number;
  /** In the buffer that is mapped. */
  readonly to: number;
}

export function partOf(value: Value, storage: Storage, to: number): Pick<Fetched, "from" | "bytes" | "to"> {
  const from = floatOf(value).address * groupBytes[storage];
  return { from, bytes: align((value.channels * groupBytes[storage]) / 4, 4), to };
}

/** The outputs, one behind the other. */
export function fetchedOf(outputs: ReadonlyMap<string, OutputView>, storage: Storage): Fetched[] {
  let to = 0;
  return [...outputs].map(([blob, output]): Fetched => {
    const { value, shape } = output;
    const int8Scale = output.kind === "int8" ? output.view.int8Scale! : undefined;
    const part =
      int8Scale === undefined
        ? partOf(value, storage, to)
        : { from: value.find("i8", int8Scale, 0).address * 4, bytes: groupCount(value) * 4, to };
    to += align(part.bytes, 8);
    return { blob, value, shape, ...(int8Scale !== undefined && { int8Scale }), ...part };
  });
}

/** `[c, h, w]` of a picture of bytes. */
export function integersOf(value: Value, bytes: Int8Array): Int8Array {
  const pixels = value.height * value.width;
  const out = new Int8Array(value.channels * pixels);
  for (let c = 0, o = 0; c < value.channels; c++) {
    const slot = value.slot(c);
    for (let pixel = 0; pixel < pixels; pixel++, o++) out[o] = bytes[pixel * value.slotCount + slot];
  }
  return out;
}
