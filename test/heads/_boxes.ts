/** How much two boxes `x0 y0 x1 y1` have in common: their intersection over their union. */
export function overlap(a: readonly number[], b: readonly number[]): number {
  const area = ([x0, y0, x1, y1]: readonly number[]): number => Math.max(x1 - x0, 0) * Math.max(y1 - y0, 0);
  const shared = area([
    Math.max(a[0], b[0]),
    Math.max(a[1], b[1]),
    Math.min(a[2], b[2]),
    Math.min(a[3], b[3]),
  ]);
  return shared / (area(a) + area(b) - shared);
}
