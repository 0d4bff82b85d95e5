/**
 * Dense 3×3 convolution of stride 1 by Winograd's minimal filtering: tiles of m×m outputs cost (m + 2)² products for each
 * pair of channels instead of 9·m². Block of tiles by block of tiles, and all in a thread's own scratch memory:
 *
 * 1. every tile's (m + 2)² inputs are transformed, four channels at a time (int8: eight), to `[point][tile][input channel]`;
 * 2. for each of the (m + 2)² points these are multiplied with the point's matrix of weights, by the kernel of 1×1 convolutions, to
 *    `[point][tile][output channel]`;
 * 3. every tile's m×m outputs are transformed back, and end as those of any convolution.
 *
 * Int8 is done in integers: of 16 bits up to the products, then of 32, which may wrap around. Results are 576 = 9·64 times too large; so
 * the product with the inverse of 9 modulo 2³², shifted, is the sum, exactly, if that is within 26 bits.
 *
 * The input has a border of zeros, wide enough for tiles that hang over. Weights: `[point]` of what the 1×1 kernel takes.
 */
import {
  address,
  type Expression,
  f32x4,
  i16x8,
  i32,
  i32x4,
  set,
  store,
  v128,
} from "../../wasm/expressions.ts";
import { addTo, type Func, type FuncRef, forRange, type Local, type Module } from "../../wasm/index.ts";
import { type ConvolutionSpec, unitSize } from "./_convolution-spec.ts";
import { accumulatorStart, type EpilogueSpec, emitEpilogue, epilogueGroupBytes } from "./_epilogue.ts";
import { kernelParams, vectorBytes } from "./_params.ts";
import { temp } from "./_temp.ts";
import {
  integerMatrices,
  type NumberMatrix,
  type WinogradMatrices,
  type WinogradSize,
  winogradMatrices,
} from "./_winograd-matrices.ts";
import {
  floatLanes,
  integerLanes,
  type Lanes,
  multiplyColumns,
  multiplyRows,
  type Result,
  type Values,
} from "./_winograd-transforms.ts";
import { emitConvolution } from "./convolution.ts";
import type { Target } from "./spec.ts";

/** Consecutive slots of one picture. */
export interface WinogradRun {
  readonly channels: number;
  readonly pixelBytes: number;
  readonly rowBytes: number;
  /** Of bytes. */
  readonly unsigned: boolean;
}

export interface WinogradSpec {
  readonly kind: "winograd";
  /** Tiles of bytes are of size 4. */
  readonly dtype: "f32" | "i8";
  readonly size: WinogradSize;
  readonly runs: readonly WinogradRun[];
  readonly rows: number;
  readonly width: number;
  /** Output channels in vectors of four. */
  readonly outputVectors: number;
  /** Tiles that are handled together, a multiple of `tile.pixels`. */
  readonly blockTiles: number;
  /** Of the products: tiles × vectors. */
  readonly tile: { readonly pixels: number; readonly vectors: number };
  /** Vectors that are transformed side by side: two for V8 to join, else one. */
  readonly block: 1 | 2;
  readonly epilogue: EpilogueSpec;
}

/** Input channels of a spec, every run rounded up to whole vectors. */
export function winogradChannels(runs: readonly Pick<WinogradRun, "channels">[]): number {
  return runs.reduce((sum, { channels }) => sum + ((channels + 3) & ~3), 0);
}

/** Tiles of a picture: across, and in all. */
export function winogradTiles({ size, rows, width }: Pick<WinogradSpec, "size" | "rows" | "width">): {
  across: number;
  count: number;
} {
  const across = Math.ceil(width / size);
  return { across, count: across * Math.ceil(rows / size) };
}

interface Layout {
  readonly points: number;
  readonly channels: number;
  /** Of a tile's inputs at a point. */
  readonly inputBytes: number;
  readonly inputPointBytes: number;
  readonly outputPointBytes: number;
  /** Offsets in scratch: a table entry, a tile between its two transforms, inputs, outputs. */
  readonly middle: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly end: number;
}

function layoutOf({ dtype, size, runs, outputVectors, blockTiles, block }: WinogradSpec): Layout {
  const points = (size + 2) ** 2;
  const channels = winogradChannels(runs);
  const inputBytes = channels * (dtype === "f32" ? 4 : 2);
  // An odd number of cache lines: the points of a tile do not all fall into the same set.
  const odd = (bytes: number): number => (Math.ceil(bytes / 64) | 1) * 64;
  // Vectors of eight channels may reach beyond the last by four.
  const inputPointBytes = odd(blockTiles * inputBytes + (dtype === "f32" ? 0 : 8));
  const outputPointBytes = odd(blockTiles * outputVectors * 16);
  const middle = 64;
  const inputs = middle + points * block * 16;
  const outputs = inputs + points * inputPointBytes;
  const end = outputs + points * outputPointBytes;
  return { points, channels, inputBytes, inputPointBytes, outputPointBytes, middle, inputs, outputs, end };
}

/** Bytes of scratch that a thread needs. */
export function winogradScratchBytes(spec: WinogradSpec): number {
  return layoutOf(spec).end;
}

/**
 * Emits `(input0…, weights, constants, residual, scratch, out0…, begin, end)` for blocks of tiles [begin, end); the inputs are the
 * addresses under the first cell of the window of output (0, 0).
 */
export function emitWinograd(m: Module, name: string, spec: WinogradSpec, target: Target): FuncRef {
  const products = emitConvolution(m, `${name}_products`, productsOf(spec), target);
  const own = [...spec.runs.map((_, i) => `input${i}`), "weights", "constants", "residual", "scratch"];
  const params = kernelParams(own, spec.epilogue.stores);
  return m.func(name, { params, results: [] }, (f) => new Emitter(f, spec, target, products).emit());
}

/** The 1×1 convolution of a point. */
function productsOf(spec: WinogradSpec): ConvolutionSpec {
  const { channels, inputBytes } = layoutOf(spec);
  const { outputVectors, blockTiles, tile } = spec;
  const dot = spec.dtype === "f32" ? "f32" : "wide";
  const units = channels / unitSize(dot);
  return {
    kind: "convolution",
    dot,
    chain: 1,
    groups: [{ segments: 1, length: units, pixelBytes: inputBytes, rowBytes: 0, unsigned: false }],
    rows: 1,
    width: blockTiles,
    outputVectors,
    tile,
    epilogue: {
      ...{ accumulator: "none", roundOnce: false, correction: false, fits: false, steps: [] },
      stores: [
        { dtype: "f32", pixelBytes: outputVectors * 16, rowBytes: 0, zeroPoint: 0, least: -127, most: 127 },
      ],
    },
    units,
  };
}

class Emitter {
  private readonly f: Func;
  private readonly spec: WinogradSpec;
  private readonly target: Target;
  private readonly products: FuncRef;
  private readonly layout: Layout;
  private readonly matrices: WinogradMatrices;
  private readonly inputLanes: Lanes;
  private readonly outputLanes: Lanes;
  /** The running tile: its number in the block, row and column in the picture. */
  private readonly tile: Local;
  private readonly ty: Local;
  private readonly tx: Local;

  constructor(f: Func, spec: WinogradSpec, target: Target, products: FuncRef) {
    this.f = f;
    this.spec = spec;
    this.target = target;
    this.products = products;
    this.layout = layoutOf(spec);
    const isFloat = spec.dtype === "f32";
    this.matrices = isFloat ? winogradMatrices(spec.size) : integerMatrices();
    this.inputLanes = isFloat ? floatLanes(target) : integerLanes(i16x8);
    this.outputLanes = isFloat ? this.inputLanes : integerLanes(i32x4);
    [this.tile, this.ty, this.tx] = ["tile", "ty", "tx"].map((name) => f.local("i32", name));
  }

  emit(): void {
    const { f, spec } = this;
    const { across, count } = winogradTiles(spec);
    const [block, first, tiles] = ["block", "first", "tiles"].map((name) => f.local("i32", name));
    const { input, output } = this.matrices;
    const forTiles = (body: () => void): void =>
      forRange(f, this.tile, 0, tiles, 1, () => {
        set(f, this.ty, i32.div_u(i32.add(first, this.tile), across));
        set(f, this.tx, i32.rem_u(i32.add(first, this.tile), across));
        body();
      });
    forRange(f, block, f.params.begin, f.params.end, 1, () => {
      set(f, first, i32.mul(block, spec.blockTiles));
      set(f, tiles, i32.sub(count, first));
      i32.lt_s(spec.blockTiles, tiles)(f);
      f.if(() => set(f, tiles, spec.blockTiles));
      forTiles(() => spec.runs.forEach((_, r) => this.transformRun(r, input)));
      this.multiply(tiles);
      forTiles(() => this.transformBack(output));
    });
  }

  /** scratch + offset */
  private scratch(offset: number): Expression {
    return i32.add(this.f.params.scratch, offset);
  }

  /** The inputs of a tile, of all channels of a run. */
  private transformRun(run: number, matrix: NumberMatrix): void {
    const { f, spec, layout } = this;
    const { channels, pixelBytes, rowBytes } = spec.runs[run];
    // Vectors: channels, and bytes of their inputs.
    const [count, bytes] = spec.dtype === "f32" ? [4, 16] : [8, 8];
    const before = winogradChannels(spec.runs.slice(0, run));
    const [a, to, index] = [temp(f, "a", "i32"), temp(f, "to", "i32"), temp(f, "vector", "i32")];
    const row = address(f.params[`input${run}`], this.ty, spec.size * rowBytes);
    set(f, a, i32.add(row, i32.mul(this.tx, spec.size * pixelBytes)));
    const skipped = (before / layout.channels) * layout.inputBytes;
    set(f, to, address(this.scratch(layout.inputs + skipped), this.tile, layout.inputBytes));
    const some = (lanes: number, vectors: number): void => {
      this.transformVectors(matrix, a, to, spec.runs[run], lanes, vectors);
      addTo(f, a, vectors * bytes);
      addTo(f, to, vectors * 16);
    };
    const whole = Math.floor(channels / count);
    const blocks = Math.floor(whole / spec.block);
    if (blocks > 0) forRange(f, index, 0, blocks, 1, () => some(count, spec.block));
    if (whole % spec.block > 0) some(count, 1);
    if (channels % count > 0) some(channels % count, 1);
  }

  /**
   * Vectors of channels that lie side by side; where only the first `lanes` of floats are the layer's, zeros take the place of the others,
   * which may be NaN.
   */
  private transformVectors(
    matrix: NumberMatrix,
    a: Local,
    to: Local,
    { pixelBytes, rowBytes, unsigned }: WinogradRun,
    lanes: number,
    vectors: number,
  ): void {
    const { f, spec, layout } = this;
    const n = matrix.length;
    const isFloat = spec.dtype === "f32";
    const load = isFloat ? v128.load : unsigned ? v128.load8x8_u : v128.load8x8_s;
    const mask: Expression = (g) => g.v128(maskOf(lanes));
    const values = this.values(vectors);
    for (let x = 0; x < n; x++) {
      for (let y = 0; y < n; y++) {
        values.forEach((value, v) => {
          const cell = load(a, y * rowBytes + x * pixelBytes + v * (isFloat ? 16 : 8));
          set(f, value(y), isFloat && lanes < 4 ? v128.and(cell, mask) : cell);
        });
      }
      multiplyRows(f, this.inputLanes, matrix, values, (y, results) => {
        this.storeAll(f.params.scratch, results, this.middle(y * n + x));
      });
    }
    for (let y = 0; y < n; y++) {
      for (let x = 0; x < n; x++) this.loadAll(values, x, f.params.scratch, this.middle(y * n + x));
      multiplyRows(f, this.inputLanes, matrix, values, (x, results) => {
        this.storeAll(to, results, (y * n + x) * layout.inputPointBytes);
      });
    }
  }

  /** The values of vectors before a product. */
  private values(vectors: number): Values[] {
    return Array.from(
      { length: vectors },
      (_, v) =>
        (i: number): Local =>
          temp(this.f, `in${i}of${v}`),
    );
  }
  /** Of a point between the two halves of a transform. */
  private middle(point: number): number {
    return this.layout.middle + point * this.spec.block * 16;
  }
  private loadAll(values: readonly Values[], i: number, at: Local, offset: number): void {
    values.forEach((value, v) => set(this.f, value(i), v128.load(at, offset + v * 16)));
  }
  /** Stores vectors side by side, when all are worked out. */
  private storeAll(at: Local, results: Parameters<Result>[1], offset: number): void {
    const { f } = this;
    if (results.length === 1) {
      store(f, at, results[0], offset);
      return;
    }
    const worked = results.map((_, v) => temp(f, `result${v}`));
    results.forEach((result, v) => set(f, worked[v], result));
    worked.forEach((result, v) => store(f, at, result, offset + v * 16));
  }

  /** All points of the block: as many tiles as there are, rounded up to whole ones of the kernel. */
  private multiply(tiles: Local): void {
    const { f, spec, layout } = this;
    const { pixels } = spec.tile;
    const { params } = f;
    const [point, from, to, weights, end] = ["point", "from", "outTo", "w", "rounded"].map((name) =>
      temp(f, name, "i32"),
    );
    set(f, end, i32.mul(i32.div_u(i32.add(tiles, pixels - 1), pixels), pixels));
    set(f, from, this.scratch(layout.inputs));
    set(f, to, this.scratch(layout.outputs));
    set(f, weights, params.weights);
    forRange(f, point, 0, layout.points, 1, () => {
      f.get(params.scratch);
      f.get(from);
      f.op("i32.store");
      // table, weights, constants, residual, scratch, out, begin, end
      f.get(params.scratch);
      f.get(weights);
      for (let i = 0; i < 3; i++) f.i32(0);
      f.get(to);
      f.i32(0);
      f.get(end);
      f.call(this.products);
      addTo(f, from, layout.inputPointBytes);
      addTo(f, to, layout.outputPointBytes);
      addTo(f, weights, layout.inputBytes * spec.outputVectors * 4);
    });
  }

  /** The outputs of a tile, those inside of the picture. */
  private transformBack(matrix: NumberMatrix): void {
    const { f, spec, layout } = this;
    const { size, rows, width, epilogue } = spec;
    const [m, constants, index, left] = ["m", "e", "vector", "left"].map((name) => temp(f, name, "i32"));
    set(f, m, address(this.scratch(layout.outputs), this.tile, spec.outputVectors * 16));
    set(f, constants, f.params.constants);
    const outputs = epilogue.stores.map((_, i) => temp(f, `o${i}`, "i32"));
    const residual = epilogue.steps.find((step) => step.kind === "residual");
    const place = (local: Local, base: Local, pixelBytes: number, rowBytes: number): void => {
      const row = address(base, this.ty, size * rowBytes);
      set(f, local, i32.add(row, i32.mul(this.tx, size * pixelBytes)));
    };
    epilogue.stores.forEach((to, i) => place(outputs[i], f.params[`out${i}`], to.pixelBytes, to.rowBytes));
    const residualAt = temp(f, "r", "i32");
    if (residual) place(residualAt, f.params.residual, residual.pixelBytes, residual.rowBytes);
    set(f, left, i32.sub(rows, i32.mul(this.ty, size)));
    const some = (vectors: number): void => {
      this.transformColumns(matrix, m, vectors);
      const last = width % size;
      const finish = (pixels: number): void =>
        this.finishRows(matrix, pixels, vectors, { constants, outputs, residual: residualAt }, left);
      if (last === 0) finish(size);
      else {
        i32.lt_s(this.tx, Math.floor(width / size))(f);
        f.if(
          () => finish(size),
          () => finish(last),
        );
      }
      addTo(f, m, vectors * 16);
      addTo(f, constants, vectors * epilogueGroupBytes(epilogue));
      epilogue.stores.forEach((to, i) => addTo(f, outputs[i], vectors * vectorBytes(to)));
      if (residual) addTo(f, residualAt, vectors * 16);
    };
    const blocks = Math.floor(spec.outputVectors / spec.block);
    if (blocks > 0) forRange(f, index, 0, blocks, 1, () => some(spec.block));
    if (spec.outputVectors % spec.block > 0) some(1);
  }

  /** middle[y][x] of the m rows and m + 2 columns that are left after the first half. */
  private transformColumns(matrix: NumberMatrix, m: Local, vectors: number): void {
    const { f, layout } = this;
    const n = matrix.length + 2;
    const values = this.values(vectors);
    for (let x = 0; x < n; x++) {
      for (let y = 0; y < n; y++) this.loadAll(values, y, m, (y * n + x) * layout.outputPointBytes);
      multiplyColumns(f, this.outputLanes, matrix, values, (y, results) => {
        this.storeAll(f.params.scratch, results, this.middle(y * n + x));
      });
    }
  }

  /** What is added to a result of the transform, on its scale. */
  private start(constants: Local, group: number): Expression {
    const start = accumulatorStart(this.spec.epilogue, constants, group);
    return this.spec.dtype === "f32" ? start : i32x4.shl(start, scaleBits);
  }

  /** The sum of a pixel. */
  private sum(result: Local | Expression, start: Local): Expression {
    if (this.spec.dtype === "f32") return f32x4.add(result, start);
    return i32x4.shr_s(i32x4.add(i32x4.mul(result, oddInverse), start), scaleBits);
  }

  /** The second half and the epilogue, row by row as far as there are any. */
  private finishRows(
    matrix: NumberMatrix,
    pixels: number,
    vectors: number,
    at: { constants: Local; outputs: readonly Local[]; residual: Local },
    left: Local,
  ): void {
    const { f, spec, target } = this;
    const { epilogue, rows, size } = spec;
    const n = size + 2;
    const values = this.values(vectors);
    const out = (i: number, v: number): Local => temp(f, `out${i}of${v}`);
    const starts = values.map((_, v) => temp(f, `start${v}`));
    const row = (y: number): void => {
      for (let x = 0; x < n; x++) this.loadAll(values, x, f.params.scratch, this.middle(y * n + x));
      starts.forEach((start, v) => set(f, start, this.start(at.constants, v)));
      multiplyColumns(f, this.outputLanes, matrix.slice(0, pixels), values, (x, results) => {
        results.forEach((result, v) => set(f, out(x, v), this.sum(result, starts[v])));
      });
      const shift = (base: Local, name: string, rowBytes: number): Local => {
        const local = temp(f, name, "i32");
        set(f, local, i32.add(base, y * rowBytes));
        return local;
      };
      const residual = epilogue.steps.find((step) => step.kind === "residual");
      const pointers = {
        constants: at.constants,
        outputs: epilogue.stores.map((to, i) => shift(at.outputs[i], `row${i}`, to.rowBytes)),
        residual: residual ? shift(at.residual, "rowResidual", residual.rowBytes) : undefined,
      };
      emitEpilogue(
        f,
        target,
        epilogue,
        pointers,
        Array.from({ length: pixels }, (_, x) => values.map((_, v) => out(x, v))),
      );
    };
    for (let y = 0; y < size; y++) {
      if (rows % size === 0 || y < rows % size) row(y);
      else {
        i32.gt_s(left, y)(f);
        f.if(() => row(y));
      }
    }
  }
}

/** 576 = 9·2⁶, and the inverse of 9 modulo 2³². */
const [scaleBits, oddInverse] = [6, 954437177];

const maskOf = (lanes: number): Uint8Array =>
  Uint8Array.from({ length: 16 }, (_, i) => (i < lanes * 4 ? 255 : 0));
