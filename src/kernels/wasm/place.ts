/** 8-bit pixels become the network's input picture: resized, put in its place, and mapped to what the first layers read. */
import {
  address,
  type Expression,
  i8x16,
  i16x8,
  i32,
  i32x4,
  type Operand,
  set,
  store,
  v128,
} from "../../wasm/expressions.ts";
import { addTo, type Func, type FuncRef, forRange, type Local, type Module } from "../../wasm/index.ts";
import { temp } from "./_temp.ts";
import type { StoreSpec } from "./spec.ts";

/** Rows of RGB or RGBA to rows of a picture of up to four channels, in natural order. */
export interface PlaceSpec {
  readonly kind: "place";
  /** Bytes of a source pixel. */
  readonly pixelBytes: 3 | 4;
  /** Of the picture. */
  readonly width: number;
  /** For each channel, how much it has of red, green and blue, in 256ths. */
  readonly mix: readonly (readonly number[])[];
  readonly stores: readonly Pick<StoreSpec, "dtype" | "rowBytes">[];
}

/** What is known of an output row: numbers of the two source rows (−1: the row is border), and their weights. */
export const placeLineBytes = 16;
/** Of an output column: bytes from the start of a source row, and both weights of 16 bits. */
export const placeColumnBytes = 8;
/** A table of what each level becomes, and at the end what the border does: words, for each store and channel. */
export const placeTableBytes = 257 * 4;
/** Columns are worked on in groups, the last one with others behind the picture, which may be any that lie in a source row. */
export const placeColumns = (columns: number): number => Math.ceil(columns / group) * group;
const group = 4;
/** Bytes of a row that is resized across: four levels of 16 bits a column. */
export const placeRowBytes = (columns: number): number => placeColumns(columns) * 8;

/** Parameters of the function besides the addresses of the stores. */
const params = [
  "source",
  "sourceBytes",
  "first",
  "columns",
  "lines",
  "upper",
  "lower",
  "tables",
  "left",
  "count",
] as const;

/**
 * Emits the exported `(source, sourceBytes, first, columns, lines, upper, lower, tables, left, count, out0…, begin, end)` for output rows
 * [begin, end): source row n begins at source + (n − first)·sourceBytes, and `count` columns lie from column `left` on. `upper` and `lower` are
 * scratch rows. Reads up to 5 bytes beyond a source pixel.
 */
export function emitPlace(m: Module, name: string, spec: PlaceSpec, isExported = true): FuncRef {
  const stretch = emitStretch(m, `${name}Row`, spec);
  const outs = spec.stores.map((_, i) => `out${i}`);
  const names = [...params, ...outs, "begin", "end"];
  const signature = Object.fromEntries(names.map((param) => [param, "i32" as const]));
  return m.func(name, { params: signature, results: [], export: isExported }, (f) => {
    const p = f.params;
    const local = (what: string): Local => f.local("i32", what);
    const [y, line, upper, lower] = [local("y"), local("line"), local("upper"), local("lower")];
    const [upperRow, lowerRow, swapped] = [local("upperRow"), local("lowerRow"), local("swapped")];
    const at = outs.map(local);
    /** Resizes the source row that the line names, if `known` is not that row. */
    const row = (into: Local, known: Local, offset: number): void => {
      i32.sub(known, i32.load(line, offset))(f);
      f.if(() => {
        set(f, known, i32.load(line, offset));
        i32.add(p.source, i32.mul(i32.sub(known, p.first), p.sourceBytes))(f);
        for (const arg of [p.columns, p.count, into]) f.get(arg);
        f.call(stretch);
      });
    };
    const swap = (a: Local, b: Local): void => {
      set(f, swapped, a);
      set(f, a, b);
      set(f, b, swapped);
    };
    set(f, upper, p.upper);
    set(f, lower, p.lower);
    set(f, upperRow, -1);
    set(f, lowerRow, -1);
    forRange(f, y, p.begin, p.end, 1, () => {
      set(f, line, address(p.lines, y, placeLineBytes));
      spec.stores.forEach(({ rowBytes }, i) => set(f, at[i], address(p[outs[i]], y, rowBytes)));
      i32.lt_s(i32.load(line), 0)(f);
      f.if(
        () => emitBorder(f, spec, at, i32.of(spec.width)),
        () => {
          emitBorder(f, spec, at, p.left);
          i32.eqz(i32.sub(i32.load(line), lowerRow))(f);
          f.if(() => {
            swap(upper, lower);
            swap(upperRow, lowerRow);
          });
          row(upper, upperRow, 0);
          row(lower, lowerRow, 4);
          emitBlend(f, spec, at, { line, upper, lower });
          emitBorder(f, spec, at, i32.sub(i32.sub(spec.width, p.left), p.count));
        },
      );
    });
  });
}

/** `(row, columns, count, out)`: a source row resized across, `[column][red, green, blue, 0]` of 16 bits, four of them fraction. */
function emitStretch(m: Module, name: string, { pixelBytes }: PlaceSpec): FuncRef {
  const signature = { row: "i32", columns: "i32", count: "i32", out: "i32" } as const;
  // Each level beside that of the next pixel, widened to 16 bits; byte 16 is a zero.
  const lanes = [0, 1, 2].flatMap((c) => [c, 16, c + pixelBytes, 16]).concat([16, 16, 16, 16]);
  return m.func(name, { params: signature, results: [] }, (f) => {
    const { row, columns, count, out } = f.params;
    const sums = [0, 1, 2, 3].map((i) => temp(f, `sum${i}`));
    forRange(f, temp(f, "column", "i32"), 0, count, group, () => {
      sums.forEach((sum, i) => {
        const levels = v128.load64_zero(i32.add(row, i32.load(columns, i * placeColumnBytes)));
        const pairs = i8x16.shuffle(lanes)(levels, 0);
        const weights = v128.load32_splat(columns, i * placeColumnBytes + 4);
        set(f, sum, i32x4.shr_u(i32x4.dot_i16x8_s(pairs, weights), 4));
      });
      store(f, out, i16x8.narrow_i32x4_s(sums[0], sums[1]));
      store(f, out, i16x8.narrow_i32x4_s(sums[2], sums[3]), 16);
      addTo(f, columns, group * placeColumnBytes);
      addTo(f, out, group * 8);
    });
  });
}

/** Blends the two rows and stores all columns; moves the pointers `at` on. */
function emitBlend(
  f: Func,
  spec: PlaceSpec,
  at: readonly Local[],
  { line, upper, lower }: Record<"line" | "upper" | "lower", Local>,
): void {
  const [a, b, levels] = [temp(f, "weightA"), temp(f, "weightB"), temp(f, "levels")];
  const [from, to, x] = ["from", "to", "x"].map((name) => temp(f, name, "i32"));
  const splat = (offset: number) => (): void => {
    i32.load(line, offset)(f);
    f.op("i16x8.splat");
  };
  set(f, a, splat(8));
  set(f, b, splat(12));
  set(f, from, upper);
  set(f, to, lower);
  // The upper 16 bits of a product of 32.
  const part = (pointer: Local, weight: Local, offset: number) => {
    const row = temp(f, "row");
    return (): void => {
      set(f, row, v128.load(pointer, offset));
      i16x8.upperHalves(i32x4.extmul_low_i16x8_s(row, weight), i32x4.extmul_high_i16x8_s(row, weight))(f);
    };
  };
  const half = (offset: number) =>
    i16x8.shr_u(i16x8.add(i16x8.add(part(from, a, offset), part(to, b, offset)), 2), 2);
  const pixels = (count: number): void => {
    set(f, levels, i8x16.narrow_i16x8_u(half(0), count > 2 ? half(16) : i16x8.of(0)));
    for (let i = 0; i < count; i++) emitPixel(f, spec, at, levels, i);
    addTo(f, from, count * 8);
    addTo(f, to, count * 8);
    for (const [i, { dtype }] of spec.stores.entries()) addTo(f, at[i], count * pictureBytes(dtype));
  };
  forRange(f, x, group, i32.add(f.params.count, 1), group, () => pixels(group));
  forRange(f, x, i32.sub(x, group), f.params.count, 1, () => pixels(1));
}

/** Looks up what the levels in lane `lane` become, and stores that. */
function emitPixel(f: Func, spec: PlaceSpec, at: readonly Local[], levels: Local, lane: number): void {
  const word = temp(f, "word", "i32");
  f.get(levels);
  f.op("i32x4.extract_lane", { lane });
  f.set(word);
  const known = new Map<string, Local>();
  const index = spec.mix.map((parts): Local => {
    const key = parts.join();
    const found = known.get(key) ?? temp(f, `index${known.size}`, "i32");
    if (!known.has(key)) set(f, found, mixed(word, parts));
    known.set(key, found);
    return found;
  });
  emitStores(f, spec, at, lane, (c) => index[c]);
}

/** Four times the level of a channel, from the bytes red, green, blue of a word. */
function mixed(word: Local, parts: readonly number[]): Operand {
  const only = parts.indexOf(256);
  if (only >= 0) {
    const shifted = only === 0 ? i32.shl(word, 2) : i32.shr_u(word, 8 * only - 2);
    return i32.and(shifted, 1020);
  }
  const terms = parts.map((part, i) => i32.mul(i32.and(i32.shr_u(word, 8 * i), 255), part));
  return i32.and(i32.shr_u(i32.add(i32.add(terms[0], terms[1]), terms[2]), 6), 1020);
}

const pictureBytes = (dtype: StoreSpec["dtype"]): number => (dtype === "f32" ? 16 : 4);

/** Stores pixel `pixel` behind the pointers: `index(channel)` is the place in its table, in bytes. */
function emitStores(
  f: Func,
  { stores, mix }: PlaceSpec,
  at: readonly Local[],
  pixel: number,
  index: (channel: number) => Local | number,
): void {
  stores.forEach(({ dtype }, s) => {
    const entry = (c: number): Expression => {
      const offset = (s * mix.length + c) * placeTableBytes;
      const place = index(c);
      return typeof place === "number"
        ? i32.load(f.params.tables, offset + place)
        : i32.load(i32.add(f.params.tables, place), offset);
    };
    const put = (value: Expression, offset: number): void => {
      f.get(at[s]);
      value(f);
      f.op("i32.store", { offset });
    };
    const channels = mix.map((_, c) => entry(c));
    if (dtype === "f32") for (let c = 0; c < 4; c++) put(channels[c] ?? i32.of(0), pixel * 16 + c * 4);
    else put(channels.reduce(i32.or), pixel * 4);
  });
}

/** `count` pixels of border; moves the pointers on. */
function emitBorder(f: Func, spec: PlaceSpec, at: readonly Local[], count: Operand): void {
  const [x, end] = [temp(f, "borderX", "i32"), temp(f, "borderEnd", "i32")];
  set(f, end, count);
  forRange(f, x, i32.of(0), end, 1, () => {
    emitStores(f, spec, at, 0, () => 256 * 4);
    for (const [i, { dtype }] of spec.stores.entries()) addTo(f, at[i], pictureBytes(dtype));
  });
}
