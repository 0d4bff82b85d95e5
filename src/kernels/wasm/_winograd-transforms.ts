/** Matrices of constants times vectors, for the transforms of Winograd's minimal filtering. */
import { type Expression, f32x4, type i16x8, type i32x4, type Operand, set } from "../../wasm/expressions.ts";
import type { Func, Local } from "../../wasm/index.ts";
import { temp } from "./_temp.ts";
import type { NumberMatrix } from "./_winograd-matrices.ts";
import type { Target } from "./spec.ts";

/** Arithmetic of a kind of lanes. */
export interface Lanes {
  readonly add: (a: Operand, b: Operand) => Expression;
  readonly sub: (a: Operand, b: Operand) => Expression;
  readonly mul: (x: Operand, factor: number) => Expression;
  /** sum + x·factor */
  readonly multiplyAdd: (sum: Operand, x: Operand, factor: number) => Expression;
}

export const floatLanes = ({ relaxed }: Target): Lanes => ({
  ...f32x4,
  multiplyAdd: (sum, x, factor) =>
    relaxed ? f32x4.relaxed_madd(x, f32x4.of(factor), sum) : f32x4.add(sum, f32x4.mul(x, factor)),
});

/** Integers that wrap around. */
export function integerLanes(lanes: typeof i16x8 | typeof i32x4): Lanes {
  const { add, sub } = lanes;
  const mul = (x: Operand, factor: number): Expression => {
    const bits = Math.log2(factor);
    return Number.isInteger(bits) ? lanes.shl(x, bits) : lanes.mul(x, factor);
  };
  const multiplyAdd = (sum: Operand, x: Operand, factor: number): Expression =>
    factor < 0 ? sub(sum, mul(x, -factor)) : add(sum, mul(x, factor));
  return { add, sub, mul, multiplyAdd };
}

/** Value i of a vector; several of them are transformed side by side. */
export type Values = (i: number) => Local;
/** Takes result `index` of every vector. */
export type Result = (index: number, values: readonly (Local | Expression)[]) => void;

/** Σ factors[i] · value(i), or nothing where all factors are 0. */
function weighted(
  lanes: Lanes,
  factors: readonly number[],
  value: (i: number) => Local,
): Expression | undefined {
  let sum: Expression | undefined;
  // Factors of 1 first: they cost no product.
  const order = [...factors.keys()].filter((i) => factors[i] !== 0);
  order.sort((a, b) => Number(factors[b] === 1) - Number(factors[a] === 1));
  for (const i of order) {
    const [factor, before] = [factors[i], sum];
    const x: Expression = (f) => f.get(value(i));
    if (!before) sum = factor === 1 ? x : lanes.mul(x, factor);
    else if (factor === 1) sum = lanes.add(before, x);
    else if (factor === -1) sum = lanes.sub(before, x);
    else sum = lanes.multiplyAdd(before, x, factor);
  }
  return sum;
}

/** Rows k and k + 1 that belong to points a and −a: they differ in the signs of either the even or the odd columns. */
function arePaired(matrix: NumberMatrix, k: number): boolean {
  const [a, b] = [matrix[k], matrix[k + 1]];
  return !!b && a.some((x, i) => x !== 0 && x === -b[i]) && a.every((x, i) => Math.abs(x) === Math.abs(b[i]));
}

/** result(k) = Σ matrix[k][i] · value(i); of rows that are paired the parts that they share are worked out once. */
export function multiplyRows(
  f: Func,
  lanes: Lanes,
  matrix: NumberMatrix,
  vectors: readonly Values[],
  result: Result,
): void {
  for (let k = 0; k < matrix.length; k++) {
    const row = matrix[k];
    if (!arePaired(matrix, k)) {
      result(
        k,
        vectors.map((value) => weighted(lanes, row, value)!),
      );
      continue;
    }
    const next = matrix[k + 1];
    const part = (isShared: boolean, name: string): Local[] =>
      vectors.map((value, v) => {
        const local = temp(f, `${name}${v}`);
        const factors = row.map((x, i) => ((x === next[i]) === isShared ? x : 0));
        set(f, local, weighted(lanes, factors, value)!);
        return local;
      });
    const [same, other] = [part(true, "same"), part(false, "other")];
    result(
      k,
      same.map((x, v) => lanes.add(x, other[v])),
    );
    result(
      k + 1,
      same.map((x, v) => lanes.sub(x, other[v])),
    );
    k++;
  }
}

/** The same with a matrix whose columns are paired: sums and differences of the values are worked out once. */
export function multiplyColumns(
  f: Func,
  lanes: Lanes,
  matrix: NumberMatrix,
  vectors: readonly Values[],
  result: Result,
): void {
  const columns = matrix[0].map((_, i) => matrix.map((row) => row[i]));
  // What is multiplied, and by what in each row.
  const terms: { locals: readonly Local[]; factors: number[] }[] = [];
  for (let i = 0; i < columns.length; i++) {
    if (!arePaired(columns, i)) {
      terms.push({ locals: vectors.map((value) => value(i)), factors: columns[i] });
      continue;
    }
    const [a, b] = [columns[i], columns[i + 1]];
    const combined = (name: string, combine: Lanes["add"]): Local[] =>
      vectors.map((value, v) => {
        const local = temp(f, `${name}${i}of${v}`);
        set(f, local, combine(value(i), value(i + 1)));
        return local;
      });
    const [sums, differences] = [combined("sum", lanes.add), combined("difference", lanes.sub)];
    terms.push({ locals: sums, factors: a.map((x, k) => (x === b[k] ? x : 0)) });
    terms.push({ locals: differences, factors: a.map((x, k) => (x === b[k] ? 0 : x)) });
    i++;
  }
  matrix.forEach((_, k) => {
    const factors = terms.map((term) => term.factors[k]);
    result(
      k,
      vectors.map((_, v) => weighted(lanes, factors, (i) => terms[i].locals[v])!),
    );
  });
}
