/** Formulas from numbers: which sum of known terms a list of numbers is. */

/** Relative; constants of a graph are float32 or shorter, but the same at all probes. */
const exact = 1e-6;

export function near(found: readonly number[], expected: readonly number[]): boolean {
  return found.every((v, i) => Math.abs(v - expected[i]) <= exact * Math.max(1, Math.abs(expected[i])));
}

/**
 * Factors of `terms` whose sum is `values` within `tolerance` of the greatest of them, those that add nothing as exactly 0; nothing
 * where no sum is.
 */
export function fitTo(
  values: readonly number[],
  terms: readonly (readonly number[])[],
  tolerance = exact,
): number[] | undefined {
  const n = terms.length;
  const dot = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, v, i) => sum + v * b[i], 0);
  const rows = terms.map((term) => [...terms.map((each) => dot(term, each)), dot(term, values)]);
  for (let i = 0; i < n; i++) {
    let pivot = i;
    for (let r = i + 1; r < n; r++) if (Math.abs(rows[r][i]) > Math.abs(rows[pivot][i])) pivot = r;
    [rows[i], rows[pivot]] = [rows[pivot], rows[i]];
    if (Math.abs(rows[i][i]) < 1e-12) return undefined;
    for (let r = 0; r < n; r++) {
      if (r === i) continue;
      const factor = rows[r][i] / rows[i][i];
      for (let c = i; c <= n; c++) rows[r][c] -= factor * rows[i][c];
    }
  }
  const factors = rows.map((row, i) => row[n] / row[i]);
  const scale = Math.max(...values.map(Math.abs));
  const isExact = values.every((v, p) => {
    const sum = terms.reduce((total, term, i) => total + factors[i] * term[p], 0);
    return Math.abs(sum - v) <= tolerance * scale;
  });
  if (!isExact || !(scale > 0)) return undefined;
  const most = terms.map((term, i) => Math.abs(factors[i]) * Math.max(...term.map(Math.abs)));
  return factors.map((factor, i) => (most[i] <= 10 * tolerance * scale ? 0 : factor));
}
