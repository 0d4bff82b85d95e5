/** Tables of figures, and how figures are written. */
import { table } from "./terminal.ts";

/** Hundredths with one decimal, or a dash where there was nothing to measure. */
export const percent = (value: number | undefined): string =>
  value === undefined || value < 0 ? "–" : (100 * value).toFixed(1);
/** A relative change with its sign, or a dash. */
export const change = (value: number | null | undefined): string =>
  value === undefined || value === null ? "–" : `${value >= 0 ? "+" : ""}${(100 * value).toFixed(1)} %`;

/** A table whose columns, but the first, are aligned to the right. */
export function figures(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return table(rows.map((row) => row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell))));
}
