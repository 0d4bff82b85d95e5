/** Which rows of a large list of numbers are worth looking at. */

/** Rows of numbers in a list: `columnStride` is 1 where the numbers of a row lie side by side, `rowStride` where those of a column do. */
export interface SieveGrid {
  /** Element at which the first row begins. */
  readonly first: number;
  readonly rows: number;
  readonly columns: number;
  /** Elements from a row to the next, and from a column to the next. */
  readonly rowStride: number;
  readonly columnStride: number;
  /** Element that is taken off the numbers of the first row before they are compared, and so on, `rowStride` apart; nothing when absent. */
  readonly less?: number;
}

/** Calls `visit` with the rows, in order, of which a number is above `least`. NaN is not. */
export type Sieve = (
  data: ArrayLike<number>,
  grid: SieveGrid,
  least: number,
  visit: (row: number) => void,
) => void;

/** Rows that are looked at together, so that planes are read in the order of memory. */
const block = 256;
const found = new Uint8Array(block);

/** The sieve without any help. `visit` must not sieve. */
export const sieve: Sieve = (data, { first, rows, columns, rowStride, columnStride, less }, least, visit) => {
  for (let start = 0; start < rows; start += block) {
    const count = Math.min(block, rows - start);
    found.fill(0);
    for (let k = 0; k < columns; k++) {
      let at = first + start * rowStride + k * columnStride;
      if (less === undefined) {
        for (let i = 0; i < count; i++, at += rowStride) if (data[at] > least) found[i] = 1;
        continue;
      }
      let off = less + start * rowStride;
      for (let i = 0; i < count; i++, at += rowStride, off += rowStride) {
        if (data[at] - data[off] > least) found[i] = 1;
      }
    }
    for (let i = 0; i < count; i++) if (found[i]) visit(start + i);
  }
};

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** The largest float32 that is not above a number: a float32 is above the one if and only if it is above the other. */
export function floorFloat(x: number): number {
  float[0] = x;
  if (float[0] <= x || Number.isNaN(x)) return float[0];
  // One step towards −Infinity: of a number below 0 that is one with larger bits.
  if (float[0] === 0) return -(2 ** -149);
  bits[0] += float[0] > 0 ? -1 : 1;
  return float[0];
}
