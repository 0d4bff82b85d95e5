/** Axes, extents and strides: what operators that move data or work along an axis share. */
import { GraphError } from "../base/errors.ts";
import { elementCount, formatShape, type Shape, type Tensor } from "../ir/tensor.ts";

export type TensorData = Tensor["data"];

/** An axis number counted from the outermost extent, negative ones from the end. Throws GraphError. */
export function resolveAxis(axis: number, rank: number): number {
  const resolved = axis < 0 ? axis + rank : axis;
  if (!(resolved >= 0 && resolved < rank)) {
    throw new GraphError(`axis ${axis} is outside a blob of rank ${rank}`);
  }
  return resolved;
}

/** A shape seen from one axis: `outer` blocks of `extent` slices of `inner` elements. */
export function aroundAxis(shape: Shape, axis: number): { outer: number; extent: number; inner: number } {
  return {
    outer: elementCount(shape.slice(0, axis)),
    extent: shape[axis],
    inner: elementCount(shape.slice(axis + 1)),
  };
}

/** ncnn's named extents; those that a rank does not have are 1. */
export function namedExtents(shape: Shape): { w: number; h: number; d: number; c: number } {
  const rank = shape.length;
  const fromEnd = (k: number): number => shape[rank - k] ?? 1;
  return {
    w: fromEnd(1),
    h: fromEnd(2),
    d: rank === 4 ? shape[1] : 1,
    c: rank >= 3 ? shape[0] : 1,
  };
}

/** The axis of a named extent in a blob of that rank, or -1. */
export function axisOfName(name: string, rank: number): number {
  return axisNames(rank).indexOf(name);
}

/** Names of the axes, outermost first: `w`, `hw`, `chw`, `cdhw`. */
export function axisNames(rank: number): string {
  return ["", "w", "hw", "chw", "cdhw"][rank] ?? "";
}

export function requireRank(shape: Shape, ranks: readonly number[]): void {
  if (!ranks.includes(shape.length)) {
    throw new GraphError(
      `expected an input of rank ${ranks.join(" or ")}, found rank ${shape.length}: ${formatShape(shape)}`,
    );
  }
}

/** Throws GraphError when int8 and float blobs meet where one type is needed. */
export function requireOneType(inputs: readonly Tensor[]): void {
  const int8 = inputs.filter((input) => input.data instanceof Int8Array).length;
  if (int8 > 0 && int8 < inputs.length) {
    throw new GraphError(`${int8} of ${inputs.length} inputs are int8 and the others float`);
  }
}

/** Throws GraphError for an int8 blob: `what` needs float values (see Op.int8Inputs). */
export function requireFloat(what: string, { data }: Tensor): void {
  if (data instanceof Int8Array) throw new GraphError(`${what} of an int8 blob, which has no scale here`);
}

/** A new array of the same element type: int8 blobs stay int8 through data movement. */
export function emptyLike<T extends TensorData>(data: T, length: number): T {
  return (data instanceof Int8Array ? new Int8Array(length) : new Float32Array(length)) as T;
}

/** Row-major element strides. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

/** Gathers a dense tensor of `shape` (rank ≤ 4) from `data`, reading with the given strides from `offset` on. */
export function gather(data: TensorData, shape: Shape, strides: readonly number[], offset = 0): Tensor {
  const out = emptyLike(data, elementCount(shape));
  const [n0, n1, n2, n3] = leftPadded(shape, 1);
  const [s0, s1, s2, s3] = leftPadded(strides, 0);
  let o = 0;
  for (let i0 = 0; i0 < n0; i0++) {
    for (let i1 = 0; i1 < n1; i1++) {
      for (let i2 = 0; i2 < n2; i2++) {
        let at = offset + i0 * s0 + i1 * s1 + i2 * s2;
        for (let i3 = 0; i3 < n3; i3++, at += s3) out[o++] = data[at];
      }
    }
  }
  return { shape, data: out };
}

/** Four values: missing outer ones are `fill`. */
export function leftPadded(values: readonly number[], fill: number): [number, number, number, number] {
  return [...new Array<number>(4 - values.length).fill(fill), ...values] as [number, number, number, number];
}

/** Number of values that a per-channel parameter has to have: the outermost extent. Throws GraphError. */
export function requireChannels(what: string, count: number, shape: Shape): void {
  if (count !== shape[0]) {
    throw new GraphError(`${what} is ${count}, but the input ${formatShape(shape)} has ${shape[0]} channels`);
  }
}

/** y = f(x, channel), where the channel is the outermost axis: element of rank 1, row of rank 2, c of rank 3 and 4. */
export function mapChannels(input: Tensor, f: (x: number, channel: number) => number): Tensor {
  const size = elementCount(input.shape.slice(1));
  const out = new Float32Array(input.data.length);
  for (let i = 0; i < out.length; i++) out[i] = f(input.data[i], Math.floor(i / size));
  return { shape: input.shape, data: out };
}
