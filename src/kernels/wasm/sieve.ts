/** What is worth looking at in a large output: the next row of numbers of which one is above a limit. */
import { f32x4, i32, i32x4, set, v128 } from "../../wasm/expressions.ts";
import { addTo, type Func, type FuncRef, forRange, type Local, type Module } from "../../wasm/index.ts";

const params = { at: "i32", row: "i32", rows: "i32", stride: "i32", columns: "i32", least: "f32" } as const;

/**
 * Emits the exported `(at, row, rows, stride, columns, least)`: the first row from `row` on of which one of the `columns` floats side by side is
 * above `least`; `rows` if there is none. Rows begin `stride` bytes apart at `at`.
 */
export function emitNextRow(m: Module, name: string): FuncRef {
  return m.func(name, { params, results: ["i32"], export: true }, (f) => {
    const { at, row, rows, stride, columns } = f.params;
    const [from, vectors, i, limit] = [
      f.local("i32", "from"),
      f.local("i32", "vectors"),
      f.local("i32", "i"),
      splatLimit(f),
    ];
    set(f, vectors, i32.and(columns, -4));
    forRange(f, row, row, rows, 1, () => {
      set(f, from, i32.add(at, i32.mul(row, stride)));
      forRange(f, i, i32.of(0), vectors, 4, () => {
        v128.any_true(f32x4.gt(v128.load(from), limit))(f);
        returnIf(f, row);
        addTo(f, from, 16);
      });
      forRange(f, i, vectors, columns, 1, () => {
        f.get(from);
        f.op("f32.load");
        f.get(f.params.least);
        f.op("f32.gt");
        returnIf(f, row);
        addTo(f, from, 4);
      });
    });
    f.get(rows);
  });
}

/** Rows that are looked at together. */
const block = 16;

/**
 * Emits the same for rows whose floats lie in planes: row r of column k is the r-th float of the plane at at + k·stride. The r-th float at the
 * address `less`, if that is not 0, is taken off before. Reads up to 60 bytes beyond a plane.
 */
export function emitNextCell(m: Module, name: string): FuncRef {
  const own = { ...params, less: "i32" } as const;
  return m.func(name, { params: own, results: ["i32"], export: true }, (f) => {
    const { at, row, rows, stride, columns, less } = f.params;
    const [from, bits, k, left] = ["from", "bits", "k", "left"].map((n) => f.local("i32", n));
    const limit = splatLimit(f);
    const parts = Array.from({ length: block / 4 }, (_, i) => i);
    const found = parts.map((i) => f.local("v128", `found${i}`));
    const off = parts.map((i) => f.local("v128", `off${i}`));
    forRange(f, row, row, rows, block, () => {
      set(f, from, i32.add(at, i32.shl(row, 2)));
      for (const each of [...found, ...off]) set(f, each, f32x4.of(0));
      f.get(less);
      f.if(() => {
        for (const [i, each] of off.entries()) {
          set(f, each, v128.load(i32.add(less, i32.shl(row, 2)), i * 16));
        }
      });
      forRange(f, k, i32.of(0), columns, 1, () => {
        for (const [i, each] of found.entries()) {
          const value = f32x4.sub(v128.load(from, i * 16), off[i]);
          set(f, each, v128.or(each, f32x4.gt(value, limit)));
        }
        set(f, from, i32.add(from, stride));
      });
      set(f, bits, 0);
      for (const [i, each] of found.entries()) {
        set(f, bits, i32.or(bits, i32.shl(i32x4.bitmask(each), i * 4)));
      }
      // Of the last block those that there are.
      set(f, left, i32.sub(rows, row));
      i32.lt_s(left, block)(f);
      f.if(() => set(f, bits, i32.and(bits, i32.sub(i32.shl(1, left), 1))));
      f.get(bits);
      f.if(() => {
        i32.add(row, i32.ctz(bits))(f);
        f.return();
      });
    });
    f.get(rows);
  });
}

function splatLimit(f: { params: { least: Local } } & Pick<Func, "get" | "op" | "set" | "local">): Local {
  const limit = f.local("v128", "limit");
  f.get(f.params.least);
  f.op("f32x4.splat");
  f.set(limit);
  return limit;
}

/** Takes a condition. */
function returnIf(f: Func, value: Local): void {
  f.if(() => {
    f.get(value);
    f.return();
  });
}
