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
  const finite = points[size];
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
