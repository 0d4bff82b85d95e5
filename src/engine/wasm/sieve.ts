/** The sieve of `base/` in wasm, for what lies in a program's memory. */
import { floorFloat, type Sieve, sieve } from "../../base/sieve.ts";

type Next = (
  at: number,
  row: number,
  rows: number,
  stride: number,
  columns: number,
  least: number,
  less: number,
) => number;

/** Of a program that was made for pixels: only its module has the functions. */
export function sieveOver({ buffer }: WebAssembly.Memory, exports: WebAssembly.Exports): Sieve {
  const { nextRow, nextCell } = exports as Record<string, Next | undefined>;
  return (data, grid, least, visit) => {
    const { first, rows, columns, rowStride, columnStride, less } = grid;
    const inPlanes = rowStride === 1 ? nextCell : undefined;
    const next = columnStride === 1 && less === undefined ? nextRow : inPlanes;
    if (!next || !(data instanceof Float32Array) || data.buffer !== buffer) {
      sieve(data, grid, least, visit);
      return;
    }
    const at = data.byteOffset + first * 4;
    const stride = (next === nextRow ? rowStride : columnStride) * 4;
    const off = less === undefined ? 0 : data.byteOffset + less * 4;
    const limit = floorFloat(least);
    for (let row = 0; ; row++) {
      row = next(at, row, rows, stride, columns, limit, off);
      if (row >= rows) return;
      visit(row);
    }
  };
}
