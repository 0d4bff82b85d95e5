/**
 * Weights in the storage they have in the file, so that reading and writing loses nothing and fp16 stays half the size
 * until a backend packs it. Names and layouts are given by the operator description (`ops/`).
 */
import { fp16ToFloat32Array } from "../base/fp16.ts";

/** One weight in the storage of its file. */
export type Weight =
  | { readonly storage: "f32"; readonly data: Float32Array }
  | { readonly storage: "f16"; readonly data: Uint16Array }
  | { readonly storage: "i8"; readonly data: Int8Array }
  /** 256-entry codebook: value i is `codebook[data[i]]`. `tag` is the file's marker, kept to write it back. */
  | {
      readonly storage: "codebook";
      readonly data: Uint8Array;
      readonly codebook: Float32Array;
      readonly tag: number;
    };

/** Weights of a layer by name. */
export type Weights = Record<string, Weight>;

export function f32Weight(data: Float32Array | readonly number[]): Weight {
  return { storage: "f32", data: data instanceof Float32Array ? data : Float32Array.from(data) };
}

/** The values as float32; int8 weights as the bare integers. Shares memory when the storage is float32 already. */
export function weightToFloat32(weight: Weight): Float32Array {
  switch (weight.storage) {
    case "f32":
      return weight.data;
    case "f16":
      return fp16ToFloat32Array(weight.data);
    case "i8":
      return Float32Array.from(weight.data);
    case "codebook":
      return Float32Array.from(weight.data, (index) => weight.codebook[index]);
  }
}

export function weightBytes(weight: Weight): number {
  return weight.data.byteLength + (weight.storage === "codebook" ? weight.codebook.byteLength : 0);
}
