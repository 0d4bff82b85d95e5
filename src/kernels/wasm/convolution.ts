/**
 * Dense convolution as a matrix product over pointers, float32 and int8: 1×1, k×k and fully connected layers alike.
 *
 * For each output pixel the inputs are a sequence of *segments*: runs of consecutive slots in some picture. A 1×1
 * convolution over one picture has one segment; a k×k one has a segment per kernel row (or tap); a concatenation adds one
 * per part. Segments with equal strides form a group and are looped over through a table in memory. So neither im2col
 * nor concatenation nor channel shuffle ever copies anything.
 *
 * A tile of `pixels`×`vectors` accumulators (vectors of four output channels) stays in registers over the whole sum. The
 * loops from outside in: rows, tiles of pixels, blocks of channels, segments, k.
 *
 * Weights: `[block][k unit][vectors of the block]` v128, k in the order of the segments. f32: a unit is one k, lanes are four
 * output channels. i8: a unit is four k, lanes `[4 channels][4 k]`; for the i16 dot a unit is two pairs,
 * `[pair][vectors]` of lanes `[4 channels][2 k]` i16.
 */
import { type Expression, i32, select, set } from "../../wasm/expressions.ts";
import {
  addTo,
  type Func,
  type FuncRef,
  forRange,
  type Local,
  type Module,
  pushI32,
} from "../../wasm/index.ts";
import { type ConvolutionSpec, sharedNumbers } from "./_convolution-spec.ts";
import { type Accumulators, SegmentSum } from "./_convolution-sum.ts";
import { accumulatorStart, emitEpilogue, epilogueGroupBytes } from "./_epilogue.ts";
import { Numbers } from "./_numbers.ts";
import { kernelParams, vectorBytes } from "./_params.ts";
import { temp } from "./_temp.ts";
import type { Target } from "./spec.ts";

/** The distinct widths of tiles: the full one and the rest of a row. */
function tailPixels(spec: ConvolutionSpec): number {
  return spec.width % spec.tile.pixels;
}

/**
 * Emits `(table, weights, constants, residual, scratch, out0…, begin, end)`, with `shared` numbers behind scratch: computes output rows [begin, end), or with
 * `rows` = 1 pixels [begin, end), where begin is a multiple of the tile and end is too or is the last; of a single pixel blocks of
 * output channels [begin, end).
 */
export function emitConvolution(m: Module, name: string, spec: ConvolutionSpec, target: Target): FuncRef {
  const own = ["table", "weights", "constants", "residual", "scratch", ...(spec.shared ? ["numbers"] : [])];
  const params = kernelParams(own, spec.epilogue.stores);
  return m.func(name, { params, results: [] }, (f) => new Emitter(f, spec, target).emit());
}

class Emitter {
  private readonly f: Func;
  private readonly spec: ConvolutionSpec;
  private readonly target: Target;
  /** Current row and pixel. */
  private readonly y: Local;
  private readonly x: Local;
  /** Offset of the tile from output pixel 0, per segment group. */
  private readonly offsets: Local[];
  private readonly weights: Local;
  private readonly constants: Local;
  private readonly outputs: Local[];
  private readonly residual: Local;
  private readonly sum: SegmentSum;
  private readonly numbers: Numbers;

  constructor(f: Func, spec: ConvolutionSpec, target: Target) {
    this.f = f;
    this.spec = spec;
    this.target = target;
    this.y = f.local("i32", "y");
    this.x = f.local("i32", "x");
    this.offsets = spec.groups.map((_, g) => f.local("i32", `offset${g}`));
    this.weights = f.local("i32", "w");
    this.constants = f.local("i32", "e");
    this.outputs = spec.epilogue.stores.map((_, i) => f.local("i32", `o${i}`));
    this.residual = f.local("i32", "r");
    this.numbers = new Numbers(f, sharedNumbers(spec), spec.shared === true);
    this.sum = new SegmentSum(f, spec, target, this.offsets, this.weights, this.numbers);
  }

  emit(): void {
    const { f, spec } = this;
    this.numbers.load();
    if (spec.rows * spec.width === 1 && !spec.shared) {
      this.emitPixel();
      return;
    }
    if (spec.panel) {
      this.emitPanels(spec.panel);
      return;
    }
    if (spec.rows === 1) {
      set(f, this.x, f.params.begin);
      this.emitRow(
        () => f.get(f.params.end),
        (pixels) => this.emitTile(pixels),
      );
      return;
    }
    forRange(f, this.y, f.params.begin, f.params.end, 1, () => {
      f.i32(0);
      f.set(this.x);
      this.emitRow(
        () => pushI32(f, this.numbers.of("width")),
        (pixels) => this.emitTile(pixels),
      );
    });
  }

  /** Panels of blocks of channels, in them tiles of pixels, in these blocks. */
  private emitPanels(size: number): void {
    const { f, spec, x, y } = this;
    const { vectors } = spec.tile;
    const [first, last, block] = ["panel", "panelEnd", "block"].map((name) => f.local("i32", name));
    const blocks = Math.floor(spec.outputVectors / vectors);
    const rest = spec.outputVectors % vectors;
    const { begin, end } = f.params;
    /** Over all pixels, from a block on. */
    const through = (from: Expression, emitBlocks: (pixels: number) => void): void => {
      const row = (pushEnd: () => void): void =>
        this.emitRow(pushEnd, (pixels) => {
          this.startTile(pixels);
          const skipped = (bytes: number): Expression => i32.mul(from, vectors * bytes);
          set(f, this.weights, i32.add(this.weights, skipped(spec.units * 16)));
          this.moveOn((local, bytes) => set(f, local, i32.add(local, skipped(bytes))));
          emitBlocks(pixels);
        });
      if (spec.rows === 1) {
        set(f, x, begin);
        row(() => f.get(end));
        return;
      }
      forRange(f, y, begin, end, 1, () => {
        set(f, x, i32.of(0));
        row(() => f.i32(spec.width));
      });
    };
    forRange(f, first, i32.of(0), i32.of(blocks), size, () => {
      set(f, last, i32.add(first, size));
      set(f, last, select(last, blocks, i32.lt_s(last, blocks)));
      through(
        (g) => g.get(first),
        (pixels) => forRange(f, block, first, last, 1, () => this.emitBlock(pixels, vectors, true)),
      );
    });
    if (rest > 0) through(i32.of(blocks), (pixels) => this.emitBlock(pixels, rest, false));
  }

  /** All tiles from x to the limit that `pushEnd` leaves on the stack. */
  private emitRow(pushEnd: () => void, emitTile: (pixels: number) => void): void {
    const { f, spec, x } = this;
    const { pixels } = spec.tile;
    const full = (next: (label: Parameters<Parameters<Func["loop"]>[0]>[0]) => void): void => {
      f.loop((again) => next(again));
    };
    if (spec.width >= pixels) {
      f.block((done) => {
        full((again) => {
          f.get(x);
          f.i32(pixels);
          f.op("i32.add");
          pushEnd();
          f.op("i32.gt_s");
          f.brIf(done);
          emitTile(pixels);
          addTo(f, x, pixels);
          f.br(again);
        });
      });
    }
    const tail = tailPixels(spec);
    if (tail > 0) {
      f.get(x);
      pushEnd();
      f.op("i32.lt_s");
      f.if(() => emitTile(tail));
    }
  }

  /** Blocks [begin, end) of the only pixel. */
  private emitPixel(): void {
    const { f, spec } = this;
    const { begin, end } = f.params;
    const { vectors } = spec.tile;
    const blocks = Math.floor(spec.outputVectors / vectors);
    const rest = spec.outputVectors % vectors;
    this.startTile(1);
    const skipped = (bytes: number): Expression => i32.mul(begin, vectors * bytes);
    set(f, this.weights, i32.add(this.weights, skipped(spec.units * 16)));
    this.moveOn((local, bytes) => set(f, local, i32.add(local, skipped(bytes))));
    const block = f.local("i32", "block");
    const last = f.local("i32", "last");
    set(f, last, select(end, blocks, i32.lt_s(end, blocks)));
    forRange(f, block, begin, last, 1, () => this.emitBlock(1, vectors, true));
    if (rest === 0) return;
    i32.gt_s(end, blocks)(f);
    f.if(() => this.emitBlock(1, rest, false));
  }

  private emitTile(pixels: number): void {
    const { f, spec } = this;
    const { vectors } = spec.tile;
    this.startTile(pixels);
    const blocks = Math.floor(spec.outputVectors / vectors);
    const rest = spec.outputVectors % vectors;
    if (blocks > 1 || spec.shared) {
      const block = temp(f, "block", "i32");
      const end = spec.shared ? this.numbers.of("blocks") : i32.of(blocks);
      forRange(f, block, i32.of(0), end, 1, () => this.emitBlock(pixels, vectors, true));
    } else if (blocks === 1) this.emitBlock(pixels, vectors, rest > 0);
    if (rest > 0) this.emitBlock(pixels, rest, false);
  }

  /** Sets all pointers to the first block of the tile. */
  private startTile(pixels: number): void {
    const { f, spec } = this;
    spec.groups.forEach((_, g) => this.setOffset(this.offsets[g], `group${g}`));
    spec.epilogue.stores.forEach((_, i) => this.setOffset(this.outputs[i], `store${i}`, f.params[`out${i}`]));
    const residual = spec.epilogue.steps.find((step) => step.kind === "residual");
    if (residual) this.setOffset(this.residual, "residual", f.params.residual);
    set(f, this.weights, f.params.weights);
    set(f, this.constants, f.params.constants);
    if (spec.dot === "i16") this.sum.widen(pixels);
  }

  /** `move` for each pointer of the epilogue, with its bytes for a vector of channels. */
  private moveOn(move: (local: Local, bytes: number) => void): void {
    const { epilogue } = this.spec;
    move(this.constants, epilogueGroupBytes(epilogue));
    epilogue.stores.forEach((store, i) => move(this.outputs[i], vectorBytes(store)));
    if (epilogue.steps.some((step) => step.kind === "residual")) move(this.residual, 16);
  }

  /** local = base + y·rowBytes + x·pixelBytes, with the strides of that name. */
  private setOffset(local: Local, name: string, base?: Local): void {
    const { f, spec, numbers } = this;
    let offset = i32.mul(this.x, numbers.of(`${name}.pixelBytes`));
    if (spec.rows > 1) offset = i32.add(offset, i32.mul(this.y, numbers.of(`${name}.rowBytes`)));
    set(f, local, base ? i32.add(offset, base) : offset);
  }

  /** One block of output channels for one tile of pixels. */
  private emitBlock(pixels: number, vectors: number, advance: boolean): void {
    const { f, spec, target } = this;
    const acc: Accumulators = (p, v) => temp(f, `acc${p * vectors + v}`);
    for (let v = 0; v < vectors; v++) {
      set(f, acc(0, v), accumulatorStart(spec.epilogue, this.constants, v));
      for (let p = 1; p < pixels; p++) {
        set(f, acc(p, v), acc(0, v));
      }
    }
    this.sum.add(pixels, vectors, acc);
    const { constants, outputs, residual } = this;
    const at = { constants, outputs, residual, ...(spec.shared && { numbers: this.numbers }) };
    const values = Array.from({ length: pixels }, (_, p) =>
      Array.from({ length: vectors }, (_, v) => acc(p, v)),
    );
    emitEpilogue(f, target, spec.epilogue, at, values);
    if (advance) this.moveOn((local, bytes) => addTo(f, local, vectors * bytes));
  }
}
