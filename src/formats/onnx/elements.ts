/** ONNX element types: their codes in files, their storage here, and conversion to and from plain numbers. */
import { bitsToF32, f32ToBits, fp16ToFloat32Array, numberToFp16 } from "../../base/fp16.ts";

/**
 * Numeric arrays as tensors store them. 64-bit integers are doubles (whole numbers beyond 2^53 are rounded, which only
 * "to the end" markers such as INT64_MAX reach); float16 and bfloat16 are bit patterns.
 */
export type Elements =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

interface ElementInfo {
  /** TensorProto.DataType. */
  readonly code: number;
  /** Bytes in `raw_data`. */
  readonly bytes: number;
  readonly make: (count: number) => Elements;
}

export const elementTypes = {
  float32: { code: 1, bytes: 4, make: (n) => new Float32Array(n) },
  uint8: { code: 2, bytes: 1, make: (n) => new Uint8Array(n) },
  int8: { code: 3, bytes: 1, make: (n) => new Int8Array(n) },
  uint16: { code: 4, bytes: 2, make: (n) => new Uint16Array(n) },
  int16: { code: 5, bytes: 2, make: (n) => new Int16Array(n) },
  int32: { code: 6, bytes: 4, make: (n) => new Int32Array(n) },
  int64: { code: 7, bytes: 8, make: (n) => new Float64Array(n) },
  bool: { code: 9, bytes: 1, make: (n) => new Uint8Array(n) },
  float16: { code: 10, bytes: 2, make: (n) => new Uint16Array(n) },
  float64: { code: 11, bytes: 8, make: (n) => new Float64Array(n) },
  uint32: { code: 12, bytes: 4, make: (n) => new Uint32Array(n) },
  uint64: { code: 13, bytes: 8, make: (n) => new Float64Array(n) },
  bfloat16: { code: 16, bytes: 2, make: (n) => new Uint16Array(n) },
} as const satisfies Record<string, ElementInfo>;

export type ElementType = keyof typeof elementTypes;

const byCode = new Map<number, ElementType>(
  (Object.keys(elementTypes) as ElementType[]).map((name) => [elementTypes[name].code, name]),
);

export function elementTypeOf(code: number): ElementType | undefined {
  return byCode.get(code);
}

export function isInteger(type: ElementType): boolean {
  return type.includes("int") || type === "bool";
}

/** Plain numbers; shares memory where the storage holds them already. */
export function toNumbers(type: ElementType, data: Elements): Exclude<Elements, Uint16Array> | Uint16Array {
  if (type === "float16") return fp16ToFloat32Array(data as Uint16Array);
  if (type === "bfloat16") return Float32Array.from(data, (bits) => bitsToF32((bits << 16) >>> 0));
  return data;
}

/** Storage for numbers, rounded or wrapped as a cast to `type` does. */
export function fromNumbers(type: ElementType, numbers: ArrayLike<number>): Elements {
  const out = elementTypes[type].make(numbers.length);
  const convert = converters[type];
  for (let i = 0; i < numbers.length; i++) out[i] = convert ? convert(numbers[i]) : numbers[i];
  return out;
}

const toBfloat16 = (x: number): number => {
  const bits = f32ToBits(x);
  if (Number.isNaN(x)) return 0x7fc0;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
};
const converters: Partial<Record<ElementType, (x: number) => number>> = {
  float16: numberToFp16,
  bfloat16: toBfloat16,
  bool: (x) => (x ? 1 : 0),
  int64: (x) => (Number.isNaN(x) ? 0 : Math.trunc(x)),
  uint64: (x) => (Number.isNaN(x) ? 0 : Math.trunc(x)),
};

const maxInt64 = 2n ** 63n - 1n;

/** `raw_data` bytes (little-endian) to storage; the byte count has been checked. */
export function fromRaw(type: ElementType, raw: Uint8Array): Elements {
  const { bytes, make } = elementTypes[type];
  const out = make(raw.length / bytes);
  if (type !== "int64" && type !== "uint64") {
    new Uint8Array(out.buffer).set(raw);
    return out;
  }
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  for (let i = 0; i < out.length; i++) {
    const low = view.getUint32(i * 8, true);
    const high = type === "int64" ? view.getInt32(i * 8 + 4, true) : view.getUint32(i * 8 + 4, true);
    out[i] = high * 4294967296 + low;
  }
  return out;
}

/** Storage to `raw_data` bytes. */
export function toRaw(type: ElementType, data: Elements): Uint8Array {
  if (type !== "int64" && type !== "uint64") {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  const out = new Uint8Array(data.length * 8);
  const view = new DataView(out.buffer);
  for (let i = 0; i < data.length; i++) {
    const value = BigInt(data[i]);
    if (type === "int64") view.setBigInt64(i * 8, value > maxInt64 ? maxInt64 : value, true);
    else view.setBigUint64(i * 8, value, true);
  }
  return out;
}
