/**
 * Gemm: alpha·(A·B + beta·C), where each of A, B, C is an input or constant. Alpha scales C too, unlike ONNX's Gemm.
 * Source: ncnn src/layer/gemm.cpp.
 */
import { GraphError, UnsupportedError } from "../base/errors.ts";
import { defineOp, float, int, type ParamValues, type WeightSpec } from "../ir/op.ts";
import { elementCount, formatShape, type Shape, type Tensor } from "../ir/tensor.ts";
import { type Weight, type Weights, weightToFloat32 } from "../ir/weight.ts";
import { quantize } from "./int8.ts";
import { requireRank } from "./shapes.ts";

const gemmParams = {
  alpha: float(0, 1),
  beta: float(1, 1),
  transA: int(2),
  transB: int(3),
  constantA: int(4),
  constantB: int(5),
  constantC: int(6),
  constantM: int(7),
  constantN: int(8),
  constantK: int(9),
  constant_broadcast_type_C: int(10),
  /** The result is [M, 1, N] instead of [M, N]. */
  output_N1M: int(11),
  output_elempack: int(12),
  output_elemtype: int(13),
  output_transpose: int(14),
  int8_scale_term: int(18),
  constant_TILE_M: int(20),
  constant_TILE_N: int(21),
  constant_TILE_K: int(22),
};
type P = ParamValues<typeof gemmParams>;

/** How C lies in the result: none, one value, one a row (as rank 1 or column), full, one a column. */
export const broadcastTypes = { none: -1, scalar: 0, perRow: 1, column: 2, full: 3, perColumn: 4 } as const;
/** `int8_scale_term` from here on means weights in blocks of bits. */
const blockQuantized = 400;

interface Sizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly broadcast: number;
}

export const gemm = defineOp({
  type: "Gemm",
  typeIndex: 74,
  params: gemmParams,
  inputs: [0, 3],
  weights: gemmWeights,
  shape: (inputs, p) => {
    const { m, n } = sizesOf(inputs, p);
    const [rows, columns] = p.output_transpose ? [n, m] : [m, n];
    return [p.output_N1M ? [rows, 1, columns] : [rows, columns]];
  },
  reference: (inputs, p, weights, [shape]) => [{ shape, data: multiply(inputs, p, weights) }],
  macs: (inputs, _, p) => {
    const { m, n, k } = sizesOf(inputs, p);
    return m * n * k;
  },
});

function gemmWeights(p: P): WeightSpec[] {
  const { constantM: m, constantN: n, constantK: k, constant_broadcast_type_C: broadcast } = p;
  if (p.int8_scale_term >= blockQuantized) {
    throw new UnsupportedError(
      `Gemm with block-quantized weights (18=${p.int8_scale_term}) is not supported`,
    );
  }
  const specs: WeightSpec[] = [];
  if (p.constantA) specs.push({ name: "A", count: m * k, kind: "tagged" });
  if (p.constantB) specs.push({ name: "B", count: n * k, kind: "tagged" });
  const sizeOfC = [1, m, m, m * n, n][broadcast];
  if (p.constantC && sizeOfC !== undefined) specs.push({ name: "C", count: sizeOfC, kind: "tagged" });
  if (p.int8_scale_term && p.constantA) specs.push({ name: "A_scales", count: m, kind: "raw" });
  if (p.int8_scale_term && p.constantB) specs.push({ name: "B_scale", count: 1, kind: "raw" });
  return specs;
}

/** Rows and columns of a matrix input; rank 1 is one row, rank 3 has its rows in c. */
function matrixSize(shape: Shape): [rows: number, columns: number] {
  requireRank(shape, [1, 2, 3]);
  if (shape.length === 1) return [1, shape[0]];
  if (shape.length === 3 && shape[1] !== 1) {
    throw new GraphError(`a rank 3 matrix has to have h = 1, found ${formatShape(shape)}`);
  }
  return [shape[0], shape[shape.length - 1]];
}

function takeInput<T>(inputs: T[], what: string): T {
  const next = inputs.shift();
  if (next === undefined) throw new GraphError(`matrix ${what} is neither an input nor constant`);
  return next;
}

function sizesOf(inputs: readonly Shape[], p: P): Sizes {
  const rest = [...inputs];
  const [a0, a1] = p.constantA
    ? p.transA
      ? [p.constantK, p.constantM]
      : [p.constantM, p.constantK]
    : matrixSize(takeInput(rest, "A"));
  const [b0, b1] = p.constantB
    ? p.transB
      ? [p.constantN, p.constantK]
      : [p.constantK, p.constantN]
    : matrixSize(takeInput(rest, "B"));
  const [m, k] = p.transA ? [a1, a0] : [a0, a1];
  const [n, otherK] = p.transB ? [b0, b1] : [b1, b0];
  if (k !== otherK) throw new GraphError(`A has ${k} columns, but B has ${otherK} rows`);
  if (p.constantC) return { m, n, k, broadcast: p.constant_broadcast_type_C };
  return { m, n, k, broadcast: rest.length ? broadcastType(rest[0], m, n) : broadcastTypes.none };
}

function broadcastType(c: Shape, m: number, n: number): number {
  const last = c[c.length - 1];
  if (c.length === 1 && last === n) return broadcastTypes.perColumn;
  if (c.length === 1 && last === m) return broadcastTypes.perRow;
  if (elementCount(c) === 1) return broadcastTypes.scalar;
  if (c.length === 2 && c[0] === 1 && last === n) return broadcastTypes.perColumn;
  if (c.length === 2 && c[0] === m && last === n) return broadcastTypes.full;
  if (c.length === 2 && c[0] === m && last === 1) return broadcastTypes.column;
  throw new GraphError(`C of ${formatShape(c)} cannot be broadcast to ${n}x${m}`);
}

/** A matrix as [rows][columns] with its strides, so that transposing is a choice of strides. */
interface Matrix {
  readonly data: ArrayLike<number>;
  readonly rowStride: number;
  readonly columnStride: number;
}

function matrix(data: ArrayLike<number>, rows: number, columns: number, isTransposed: number): Matrix {
  return isTransposed
    ? { data, rowStride: 1, columnStride: rows }
    : { data, rowStride: columns, columnStride: 1 };
}

function multiply(inputs: readonly Tensor[], p: P, weights: Weights): Float32Array {
  const { m, n, k, broadcast } = sizesOf(
    inputs.map((input) => input.shape),
    p,
  );
  const rest = [...inputs];
  const load = (isConstant: number, name: string): ArrayLike<number> =>
    isConstant ? integersOrFloats(weights[name]) : takeInput(rest, name).data;
  let a = matrix(load(p.constantA, "A"), m, k, p.transA);
  let b = matrix(load(p.constantB, "B"), k, n, p.transB);
  const c = p.constantC ? weights.C && weightToFloat32(weights.C) : rest[0]?.data;
  let descale: (row: number) => number = () => 1;
  if (p.int8_scale_term) {
    const quantizedA = quantizeRows(a, m, k, weights.A_scales);
    const quantizedB = quantizeAll(b, weights.B_scale);
    a = quantizedA.matrix;
    b = quantizedB.matrix;
    descale = (row) => Math.fround(1 / Math.fround(quantizedA.scales[row] * quantizedB.scale));
  }
  const out = new Float32Array(m * n);
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < n; column++) {
      let sum = 0;
      for (let i = 0; i < k; i++) {
        sum +=
          a.data[row * a.rowStride + i * a.columnStride] * b.data[i * b.rowStride + column * b.columnStride];
      }
      sum *= descale(row);
      if (c && broadcast >= 0) sum += p.beta * c[indexInC(broadcast, row, column, n)];
      out[p.output_transpose ? column * m + row : row * n + column] = p.alpha * sum;
    }
  }
  return out;
}

function indexInC(broadcast: number, row: number, column: number, n: number): number {
  return [0, row, row, row * n + column, column][broadcast];
}

const integersOrFloats = (weight: Weight): ArrayLike<number> =>
  weight.storage === "i8" ? weight.data : weightToFloat32(weight);

/** 127/absmax, 1 for zeros: the scale of values that are quantized while running. */
const dynamicScale = (absMax: number): number => (absMax === 0 ? 1 : Math.fround(127 / absMax));

/** A as int8 with one scale a row, given or from the values. */
function quantizeRows(
  a: Matrix,
  m: number,
  k: number,
  given: Weight | undefined,
): { matrix: Matrix; scales: Float32Array } {
  const scales = given ? weightToFloat32(given) : new Float32Array(m);
  if (a.data instanceof Int8Array) return { matrix: a, scales };
  const data = new Int8Array(m * k);
  for (let row = 0; row < m; row++) {
    const at = (i: number): number => a.data[row * a.rowStride + i * a.columnStride];
    if (!given) {
      let absMax = 0;
      for (let i = 0; i < k; i++) absMax = Math.max(absMax, Math.abs(at(i)));
      scales[row] = dynamicScale(absMax);
    }
    for (let i = 0; i < k; i++) data[row * k + i] = quantize(at(i), scales[row]);
  }
  return { matrix: matrix(data, m, k, 0), scales };
}

/** B as int8 with one scale, given or from the values. */
function quantizeAll(b: Matrix, given: Weight | undefined): { matrix: Matrix; scale: number } {
  if (b.data instanceof Int8Array && given) return { matrix: b, scale: weightToFloat32(given)[0] };
  let absMax = 0;
  for (let i = 0; i < b.data.length; i++) absMax = Math.max(absMax, Math.abs(b.data[i]));
  const scale = given ? weightToFloat32(given)[0] : dynamicScale(absMax);
  return { matrix: { ...b, data: Int8Array.from(b.data, (x) => quantize(x, scale)) }, scale };
}
