/** Weights as a file has them become what kernels read: what the planner packs, done when a module starts. */
import { address, type Expression, f64, i32, select, set } from "../../wasm/expressions.ts";
import { addTo, type Func, type FuncRef, forRange, type Local, type Module } from "../../wasm/index.ts";
import type { NumberMatrix } from "./_winograd-matrices.ts";

/** How numbers are stored, and what they become. */
export type StoredNumber = "i8" | "f16" | "f32";
export type PackedNumber = "i8" | "i16" | "f32";

export const storedBytes = { i8: 1, f16: 2, f32: 4 } as const;
export const packedBytes = { i8: 1, i16: 2, f32: 4 } as const;

const loadStored: Record<StoredNumber, (f: Func, at: Expression) => void> = {
  i8: (f, at) => {
    at(f);
    f.op("i32.load8_s");
  },
  f32: (f, at) => {
    at(f);
    f.op("f32.load");
  },
  f16: (f, at) => {
    // Exponent and fraction moved into place, times 2¹¹² for the other bias, which makes subnormal numbers normal; then the sign.
    const half = f.local("i32", "half");
    at(f);
    f.op("i32.load16_u");
    f.set(half);
    i32.shl(i32.and(half, 0x7fff), 13)(f);
    f.op("f32.reinterpret_i32");
    f.f32(2 ** 112);
    f.op("f32.mul");
    i32.shl(i32.and(half, 0x8000), 16)(f);
    f.op("f32.reinterpret_i32");
    f.op("f32.copysign");
  },
};

const storePacked = { i8: "i32.store8", i16: "i32.store16", f32: "f32.store" } as const;

export interface WidenSpec {
  readonly from: StoredNumber;
  readonly to: PackedNumber;
}

/** Emits `(stored, count, out)`: numbers one after the other. */
export function emitWiden(m: Module, name: string, { from, to }: WidenSpec): FuncRef {
  const params = { stored: "i32", count: "i32", out: "i32" } as const;
  return m.func(name, { params, results: [] }, (f) => {
    const { stored, count, out } = f.params;
    const i = f.local("i32", "i");
    forRange(f, i, 0, count, 1, () => {
      address(out, i, packedBytes[to])(f);
      loadStored[from](f, address(stored, i, storedBytes[from]));
      f.op(storePacked[to]);
    });
  });
}

/** Emits `(stored, groups, out, step)`: groups of four words, `step` bytes apart. */
export function emitSpread(m: Module, name: string): FuncRef {
  const params = { stored: "i32", groups: "i32", out: "i32", step: "i32" } as const;
  return m.func(name, { params, results: [] }, (f) => {
    const { stored, groups, out, step } = f.params;
    const group = f.local("i32", "group");
    forRange(f, group, 0, groups, 1, () => {
      for (const offset of [0, 4, 8, 12]) {
        i32.add(out, i32.mul(group, step))(f);
        address(stored, group, 16)(f);
        f.op("i32.load", { offset });
        f.op("i32.store", { offset });
      }
    });
  });
}

/** Emits `(word, slots, out, step)`: the word in so many slots, four side by side. */
export function emitSpreadWord(m: Module, name: string): FuncRef {
  const params = { word: "i32", slots: "i32", out: "i32", step: "i32" } as const;
  return m.func(name, { params, results: [] }, (f) => {
    const { word, slots, out, step } = f.params;
    const slot = f.local("i32", "slot");
    forRange(f, slot, 0, slots, 1, () => {
      const group = i32.mul(i32.shr_u(slot, 2), step);
      i32.add(i32.add(out, group), i32.shl(i32.and(slot, 3), 2))(f);
      f.get(word);
      f.op("i32.store");
    });
  });
}

export interface UnpackSpec extends WidenSpec {
  /** Values of k that lie beside each other. */
  readonly inLane: number;
}

/** An entry of a table of channels or columns, 16 bits each; −1 for none. */
const entry =
  (table: Local, index: Local | Expression): Expression =>
  (f) => {
    address(table, index, 2)(f);
    f.op("i32.load16_s");
  };

/**
 * Emits `(stored, perOutput, slots, slotCount, columns, columnCount, vectors, out)`: a matrix `[channel][perOutput]` as `[block of
 * vectors][columns in lanes][slot][lane]`, with the channel of each slot and the column of each k. What there is none of stays as it is.
 */
export function emitUnpack(m: Module, name: string, spec: UnpackSpec): FuncRef {
  const { from, to, inLane } = spec;
  const names = ["stored", "perOutput", "slots", "slotCount", "columns", "columnCount", "vectors", "out"];
  const params = Object.fromEntries(names.map((n) => [n, "i32" as const]));
  return m.func(name, { params, results: [] }, (f) => {
    const p = f.params;
    const local = (n: string): Local => f.local("i32", n);
    const names = ["first", "end", "k", "slot", "channel", "o", "row", "block"];
    const [first, end, k, slot, channel, out, row, block] = names.map(local);
    const columns = Array.from({ length: inLane }, (_, lane) => local(`column${lane}`));
    // Four bytes that lie side by side are moved as one.
    const word = from === to && inLane * packedBytes[to] === 4 && inLane > 1 ? local("word") : undefined;
    set(f, out, p.out);
    set(f, block, i32.mul(p.vectors, 4));
    set(f, first, 0);
    f.block((done) => {
      f.loop((next) => {
        i32.lt_s(first, p.slotCount)(f);
        f.op("i32.eqz");
        f.brIf(done);
        set(f, end, i32.add(first, block));
        set(f, end, select(end, p.slotCount, i32.lt_s(end, p.slotCount)));
        forRange(f, k, 0, p.columnCount, inLane, () => {
          columns.forEach((column, lane) => set(f, column, entry(p.columns, i32.add(k, lane))));
          if (word !== undefined) set(f, word, isWord(columns));
          forRange(
            f,
            slot,
            (g) => g.get(first),
            end,
            1,
            () => {
              set(f, channel, entry(p.slots, slot));
              i32.lt_s(channel, 0)(f);
              f.op("i32.eqz");
              f.if(() => {
                set(f, row, address(p.stored, i32.mul(channel, p.perOutput), storedBytes[from]));
                const single = (): void =>
                  columns.forEach((column, lane) => emitNumber(f, spec, { row, column, out, lane }));
                if (word === undefined) single();
                else {
                  f.get(word);
                  f.if(() => {
                    f.get(out);
                    i32.add(row, columns[0])(f);
                    f.op("i32.load", { align: 0 });
                    f.op("i32.store", { align: 0 });
                  }, single);
                }
              });
              addTo(f, out, inLane * packedBytes[to]);
            },
          );
        });
        set(f, first, end);
        f.br(next);
      });
    });
  });
}

/** Whether the columns are there and follow each other. */
const isWord = (columns: readonly Local[]): Expression =>
  columns
    .slice(1)
    .map((column, i): Expression => i32.eq(column, i32.add(columns[0], i + 1)))
    .concat((f) => {
      i32.lt_s(columns[0], 0)(f);
      f.op("i32.eqz");
    })
    .reduce((a, b) => i32.and(a, b));

/** Moves a number, if there is one. */
function emitNumber(
  f: Func,
  { from, to }: UnpackSpec,
  { row, column, out, lane }: { row: Local; column: Local; out: Local; lane: number },
): void {
  i32.lt_s(column, 0)(f);
  f.op("i32.eqz");
  f.if(() => {
    f.get(out);
    loadStored[from](f, address(row, column, storedBytes[from]));
    f.op(storePacked[to], { offset: lane * packedBytes[to] });
  });
}

export interface UnpackWinogradSpec {
  readonly from: StoredNumber;
  /** `[points][3]` */
  readonly matrix: NumberMatrix;
}

/**
 * Emits `(stored, inputs, slots, slotCount, places, placeCount, vectors, out)`: taps of 3×3 `[output][input]` as transformed weights
 * `[point][block of vectors][place][slot]`, with the channel of each slot and of each place.
 */
export function emitUnpackWinograd(m: Module, name: string, { from, matrix }: UnpackWinogradSpec): FuncRef {
  const names = ["stored", "inputs", "slots", "slotCount", "places", "placeCount", "vectors", "out"];
  const params = Object.fromEntries(names.map((n) => [n, "i32" as const]));
  return m.func(name, { params, results: [] }, (f) => {
    const p = f.params;
    const local = (n: string): Local => f.local("i32", n);
    const [slot, place, channel, input, first, width, at, pointBytes] = [
      ...["slot", "place", "channel", "input", "first", "width", "at", "pointBytes"].map(local),
    ];
    const taps = Array.from({ length: 9 }, (_, i) => f.local("f64", `tap${i}`));
    const half = [0, 1, 2].map((i) => f.local("f64", `half${i}`));
    set(f, pointBytes, i32.mul(i32.mul(p.placeCount, p.slotCount), 4));
    forRange(f, slot, 0, p.slotCount, 1, () => {
      const block = i32.mul(p.vectors, 4);
      set(f, channel, entry(p.slots, slot));
      set(f, first, i32.mul(i32.div_u(slot, block), block));
      const rest = i32.sub(p.slotCount, first);
      set(f, width, select(block, rest, i32.lt_s(block, rest)));
      forRange(f, place, 0, p.placeCount, 1, () => {
        set(f, input, entry(p.places, place));
        i32.lt_s(i32.or(channel, input), 0)(f);
        f.op("i32.eqz");
        f.if(() => {
          const tap = i32.mul(i32.add(i32.mul(channel, p.inputs), input), 9);
          set(f, at, address(p.stored, tap, storedBytes[from]));
          taps.forEach((t, i) => {
            loadStored[from](f, i32.add(at, i * storedBytes[from]));
            if (from === "i8") f.op("f64.convert_i32_s");
            else f.op("f64.promote_f32");
            f.set(t);
          });
          const inBlock = i32.add(i32.mul(place, width), i32.sub(slot, first));
          set(f, at, address(p.out, i32.add(i32.mul(first, p.placeCount), inBlock), 4));
          emitTransformed(f, matrix, taps, half, at, pointBytes);
        });
      });
    });
  });
}

/** matrix · taps · matrixᵀ, a point after the other. */
function emitTransformed(
  f: Func,
  matrix: NumberMatrix,
  taps: readonly Local[],
  half: readonly Local[],
  at: Local,
  pointBytes: Local,
): void {
  const sum = (factors: readonly number[], [a, b, c]: readonly Local[]): Expression =>
    f64.add(f64.add(f64.mul(factors[0], a), f64.mul(factors[1], b)), f64.mul(factors[2], c));
  for (const row of matrix) {
    half.forEach((into, x) => set(f, into, sum(row, [taps[x], taps[3 + x], taps[6 + x]])));
    for (const column of matrix) {
      f.get(at);
      sum(column, half)(f);
      f.op("f32.demote_f64");
      f.op("f32.store");
      set(f, at, i32.add(at, pointBytes));
    }
  }
}
