/**
 * The matrices of Winograd's minimal filtering, F(m, 3): m neighbouring results of a filter of three taps cost m + 2 products
 * instead of 3·m. With d the m + 2 inputs and g the taps, the results are output · ((weight · g) ⊙ (input · d)).
 *
 * By Toom and Cook: results are coefficients of a product of polynomials, known by its values at m + 1 points and at infinity.
 */

/** Outputs of a tile along each axis. */
export type WinogradSize = 2 | 4;

/** Rows of numbers. */
export type NumberMatrix = readonly (readonly number[])[];

export interface WinogradMatrices {
  /** `[m + 2][m + 2]` */
  readonly input: NumberMatrix;
  /** `[m + 2][3]` */
  readonly weight: NumberMatrix;
  /** `[m][m + 2]` */
  readonly output: NumberMatrix;
}

/**
 * In pairs of opposite sign, which share most of their work. For 4 not ±1 and ±2: around 1 powers stay small, which leaves a third of
 * the rounding error. All numbers that come of them are exact in float32, but for those of the weights.
 */
const points: Readonly<Record<WinogradSize, readonly number[]>> = {
  2: [0, 1, -1],
  4: [0, 0.75, -0.75, 1.5, -1.5],
};

export function winogradMatrices(size: WinogradSize): WinogradMatrices {
  return matricesOf(size, points[size]);
}

/**
 * F(4, 3) in integers, each result being `scale` times too large. Applied along both axes, transformed weights of one byte and inputs of
 * one byte, signed or not, fit 16 bits.
 */
export function integerMatrices(): WinogradMatrices & { readonly scale: number } {
  const { input, weight, output } = matricesOf(4, [0, 1, -1, 2, -2]);
  // The last row would be too large if it was multiplied by all of the scale: its results are doubled instead.
  const [scale, last] = [24, 5];
  const factor = (row: number): number => (row === last ? scale / 2 : scale);
  return {
    scale,
    input,
    weight: weight.map((row, i) => row.map((x) => Math.round(x * factor(i)))),
    output: output.map((row) => row.map((x, i) => (x * scale) / factor(i))),
  };
}

function matricesOf(size: WinogradSize, finite: readonly number[]): WinogradMatrices {
  const n = size + 2;
  const others = (a: number): number[] => finite.filter((b) => b !== a);
  const product = (roots: readonly number[], a: number): number => roots.reduce((sum, b) => sum * (a - b), 1);
  return {
    input: [...finite.map((a) => withRoots(others(a), n)), withRoots(finite, n)],
    weight: [...finite.map((a) => [0, 1, 2].map((k) => a ** k / product(others(a), a))), [0, 0, 1]],
    output: Array.from({ length: size }, (_, i) => [...finite.map((a) => a ** i), Number(i === size - 1)]),
  };
}

/** Coefficients of Π (x − root), from low to high, `count` of them. */
function withRoots(roots: readonly number[], count: number): number[] {
  const coefficients = new Array<number>(count).fill(0);
  coefficients[0] = 1;
  for (const root of roots) {
    for (let i = count - 1; i >= 0; i--)
      coefficients[i] = (coefficients[i - 1] ?? 0) - root * coefficients[i];
  }
  return coefficients;
}
