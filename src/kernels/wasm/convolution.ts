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
import {
  addTo,
  type Func,
  type FuncRef,
  forRange,
  type Local,
  type Module,
  whileLoop,
} from "../../wasm/index.ts";
import { emitPairDot, emitRelaxedDot } from "./_dot.ts";
import { type EpilogueSpec, emitAccumulatorStart, emitEpilogue, epilogueGroupBytes } from "./_epilogue.ts";
import { temp } from "./_temp.ts";
import type { Target } from "./spec.ts";

export interface SegmentGroup {
  /** Number of segments, at least 1; where it is not given, an entry in front of the group's says it. */
  readonly segments?: number;
  /** Units of k in every segment when they are equal, else the table holds each length. */
  readonly length?: number;
  /** Bytes between the inputs of neighbouring output pixels, and output rows. */
  readonly pixelBytes: number;
  readonly rowBytes: number;
  /** i8 inputs are unsigned bytes: only `i16` has to know. */
  readonly unsigned: boolean;
}

/**
 * `relaxed`: i32x4.relaxed_dot_i8x16_i7x16_add_s with the weights as the signed operand, exact for the operands that the
 * planner lets through; `pairs`: i16x8.relaxed_dot_i8x16_i7x16_s on the same operands, summed in 16 bits over `chain` units
 * before it is widened, for machines on which that saves instructions; `i16`: i32x4.dot_i16x8_s on inputs widened to 16 bits, exact always.
 */
export type DotKind = "f32" | "relaxed" | "pairs" | "i16";

export interface ConvolutionSpec {
  readonly kind: "convolution";
  readonly dot: DotKind;
  /** `pairs`: consecutive units whose sums of two products, added up, are known to fit 16 bits; else 1. */
  readonly chain: number;
  readonly groups: readonly SegmentGroup[];
  /** Output pixels; `rows` is 1 when all pixels can be treated as one long row. */
  readonly rows: number;
  readonly width: number;
  /** Output channels in vectors of four. */
  readonly outputVectors: number;
  readonly tile: { readonly pixels: number; readonly vectors: number };
  readonly epilogue: EpilogueSpec;
  /** The total length of all segments. */
  readonly units: number;
}

/** k values in a unit of the sum. */
export function unitSize(dot: DotKind): number {
  return dot === "f32" ? 1 : 4;
}
/** Bytes of input in a unit. All are 4: one float or four bytes. */
const unitBytes = 4;
/** Bytes of weights for each unit and vector of output channels. */
export function weightUnitBytes(dot: DotKind): number {
  return dot === "i16" ? 32 : 16;
}
/** Table entry: address of the segment at output pixel 0, length in bytes; in front of a group: its number of segments. */
export const segmentEntryBytes = 8;

/** Bytes of scratch that a thread needs: the inputs of one tile as i16. */
export function scratchBytes({ dot, tile, units }: ConvolutionSpec): number {
  return dot === "i16" ? tile.pixels * scratchPixelBytes(units) : 0;
}
/** Bytes of one pixel's widened inputs; widening writes 16 bytes at a time. */
function scratchPixelBytes(units: number): number {
  return units * 8 + 16;
}

/** The distinct widths of tiles: the full one and the rest of a row. */
function tailPixels(spec: ConvolutionSpec): number {
  return spec.width % spec.tile.pixels;
}

/**
 * Emits `(table, weights, constants, residual, scratch, out0…, begin, end)`: computes output rows [begin, end), or with
 * `rows` = 1 pixels [begin, end), where begin is a multiple of the tile and end is too or is the last.
 */
export function emitConvolution(m: Module, name: string, spec: ConvolutionSpec, target: Target): FuncRef {
  const params: Record<string, "i32"> = {
    table: "i32",
    weights: "i32",
    constants: "i32",
    residual: "i32",
    scratch: "i32",
  };
  spec.epilogue.stores.forEach((_, i) => {
    params[`out${i}`] = "i32";
  });
  params.begin = "i32";
  params.end = "i32";
  return m.func(name, { params, results: [] }, (f) => new Emitter(f, spec, target).emit());
}

/** Units of k in a turn of the loop over a segment. */
const unroll = 4;

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
  }

  emit(): void {
    const { f, spec } = this;
    if (spec.rows === 1) {
      f.get(f.params.begin);
      f.set(this.x);
      this.emitRow(() => f.get(f.params.end));
      return;
    }
    forRange(
      f,
      this.y,
      () => f.get(f.params.begin),
      f.params.end,
      1,
      () => {
        f.i32(0);
        f.set(this.x);
        this.emitRow(() => f.i32(spec.width));
      },
    );
  }

  /** All tiles from x to the limit that `pushEnd` leaves on the stack. */
  private emitRow(pushEnd: () => void): void {
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
          this.emitTile(pixels);
          f.get(x);
          f.i32(pixels);
          f.op("i32.add");
          f.set(x);
          f.br(again);
        });
      });
    }
    const tail = tailPixels(spec);
    if (tail > 0) {
      f.get(x);
      pushEnd();
      f.op("i32.lt_s");
      f.if(() => this.emitTile(tail));
    }
  }

  private emitTile(pixels: number): void {
    const { f, spec } = this;
    const { vectors } = spec.tile;
    spec.groups.forEach((group, g) => this.setOffset(this.offsets[g], group.pixelBytes, group.rowBytes));
    spec.epilogue.stores.forEach((store, i) => {
      this.setOffset(this.outputs[i], store.pixelBytes, store.rowBytes, f.params[`out${i}`]);
    });
    const residual = spec.epilogue.steps.find((step) => step.kind === "residual");
    if (residual) this.setOffset(this.residual, residual.pixelBytes, residual.rowBytes, f.params.residual);
    f.get(f.params.weights);
    f.set(this.weights);
    f.get(f.params.constants);
    f.set(this.constants);
    if (spec.dot === "i16") this.emitWiden(pixels);
    const blocks = Math.floor(spec.outputVectors / vectors);
    const rest = spec.outputVectors % vectors;
    if (blocks > 1) {
      const block = temp(f, "block", "i32");
      forRange(
        f,
        block,
        () => f.i32(0),
        () => f.i32(blocks),
        1,
        () => this.emitBlock(pixels, vectors, true),
      );
    } else if (blocks === 1) this.emitBlock(pixels, vectors, rest > 0);
    if (rest > 0) this.emitBlock(pixels, rest, false);
  }

  /** local = base + y·rowBytes + x·pixelBytes */
  private setOffset(local: Local, pixelBytes: number, rowBytes: number, base?: Local): void {
    const { f, spec } = this;
    f.get(this.x);
    f.i32(pixelBytes);
    f.op("i32.mul");
    if (spec.rows > 1) {
      f.get(this.y);
      f.i32(rowBytes);
      f.op("i32.mul");
      f.op("i32.add");
    }
    if (base) {
      f.get(base);
      f.op("i32.add");
    }
    f.set(local);
  }

  /** One block of output channels for one tile of pixels. */
  private emitBlock(pixels: number, vectors: number, advance: boolean): void {
    const { f, spec, target } = this;
    const acc = (p: number, v: number): Local => temp(f, `acc${p * vectors + v}`);
    for (let v = 0; v < vectors; v++) {
      emitAccumulatorStart(f, spec.epilogue, this.constants, v);
      f.set(acc(0, v));
      for (let p = 1; p < pixels; p++) {
        f.get(acc(0, v));
        f.set(acc(p, v));
      }
    }
    if (spec.dot === "i16") this.emitScratchSum(pixels, vectors, acc);
    else {
      this.startTable();
      spec.groups.forEach((group, g) => this.emitGroup(group, g, pixels, vectors, acc));
    }
    const at = { constants: this.constants, outputs: this.outputs, residual: this.residual };
    const values = Array.from({ length: pixels }, (_, p) =>
      Array.from({ length: vectors }, (_, v) => acc(p, v)),
    );
    emitEpilogue(f, target, spec.epilogue, at, values);
    if (!advance) return;
    addTo(f, this.constants, vectors * epilogueGroupBytes(spec.epilogue));
    spec.epilogue.stores.forEach((store, i) => {
      addTo(f, this.outputs[i], vectors * (store.dtype === "f32" ? 16 : 4));
    });
    if (spec.epilogue.steps.some((step) => step.kind === "residual")) addTo(f, this.residual, vectors * 16);
  }

  /** The running pointer into the table, at its beginning. */
  private startTable(): void {
    this.f.get(this.f.params.table);
    this.f.set(temp(this.f, "entry", "i32"));
  }

  /** For every segment of the next group in the table: `body` with `a` at the segment's first input of the tile. */
  private forSegments(group: SegmentGroup, g: number, a: Local, length: Local, body: () => void): void {
    const { f } = this;
    const entry = temp(f, "entry", "i32");
    const one = (): void => {
      f.get(entry);
      f.op("i32.load");
      f.get(this.offsets[g]);
      f.op("i32.add");
      f.set(a);
      if (group.length === undefined) {
        f.get(entry);
        f.op("i32.load", { offset: 4 });
        f.set(length);
      }
      body();
      addTo(f, entry, segmentEntryBytes);
    };
    if (group.segments === 1) {
      one();
      return;
    }
    // end = the entry after the group's last
    const end = temp(f, "entryEnd", "i32");
    if (group.segments === undefined) {
      f.get(entry);
      f.op("i32.load");
      addTo(f, entry, segmentEntryBytes);
    } else f.i32(group.segments);
    f.i32(segmentEntryBytes);
    f.op("i32.mul");
    f.get(entry);
    f.op("i32.add");
    f.set(end);
    f.loop((again) => {
      one();
      f.get(entry);
      f.get(end);
      f.op("i32.ne");
      f.brIf(again);
    });
  }

  private emitGroup(
    group: SegmentGroup,
    g: number,
    pixels: number,
    vectors: number,
    acc: (p: number, v: number) => Local,
  ): void {
    const length = temp(this.f, "length", "i32");
    this.forSegments(group, g, this.input(0), length, () => {
      this.spreadInputs(pixels, group.pixelBytes);
      this.emitUnits(group.length, length, pixels, vectors * 16, (u, count) => {
        if (this.spec.dot === "pairs") this.emitChain(u, count, pixels, vectors, acc);
        else this.emitUnit(u, pixels, vectors, acc);
      });
    });
  }

  /**
   * The running input pointer of a pixel of the tile. Each pixel has its own, so that loads need few different offsets: V8
   * (13.6) keeps a register for every offset of a splatting load, and has none left for as many as pixels times units.
   */
  private input(pixel: number): Local {
    return temp(this.f, `a${pixel}`, "i32");
  }

  /** Sets the pointers of all pixels from that of the first. */
  private spreadInputs(pixels: number, pixelBytes: number): void {
    const { f } = this;
    for (let p = 1; p < pixels; p++) {
      f.get(this.input(0));
      f.i32(p * pixelBytes);
      f.op("i32.add");
      f.set(this.input(p));
    }
  }

  /**
   * Runs `unit(first, count)` over a segment in chains of up to `chain` units, moving inputs by a unit's bytes and weights by
   * `weightBytes`. A known length is unrolled by four, a short one entirely.
   */
  private emitUnits(
    count: number | undefined,
    length: Local,
    pixels: number,
    weightBytes: number,
    unit: (u: number, count: number) => void,
  ): void {
    const { f } = this;
    const { chain } = this.spec;
    const chains = (units: number): void => {
      for (let u = 0; u < units; u += chain) unit(u, Math.min(chain, units - u));
    };
    const advance = (units: number): void => {
      addTo(f, this.weights, units * weightBytes);
      for (let p = 0; p < pixels; p++) addTo(f, this.input(p), units * unitBytes);
    };
    const end = temp(f, "aEnd", "i32");
    if (count === undefined) {
      f.get(this.input(0));
      f.get(length);
      f.op("i32.add");
      f.set(end);
      // As many whole chains as there are, then single units.
      for (const units of chain > 1 ? [chain, 1] : [1]) {
        whileLoop(
          f,
          () => {
            f.get(this.input(0));
            f.i32(units * unitBytes);
            f.op("i32.add");
            f.get(end);
            f.op("i32.le_u");
          },
          () => {
            chains(units);
            advance(units);
          },
        );
      }
      return;
    }
    const looped = count > 2 * unroll ? count - (count % unroll) : 0;
    if (looped > 0) {
      f.get(this.input(0));
      f.i32(looped * unitBytes);
      f.op("i32.add");
      f.set(end);
      f.loop((again) => {
        chains(unroll);
        advance(unroll);
        f.get(this.input(0));
        f.get(end);
        f.op("i32.ne");
        f.brIf(again);
      });
    }
    let left = count - looped;
    for (; left > unroll; left -= unroll) {
      chains(unroll);
      advance(unroll);
    }
    chains(left);
    if (left > 0) addTo(f, this.weights, left * weightBytes);
  }

  /** Pushes four bytes of a pixel's input in every lane. */
  private pushSplat(pixel: number, offset: number): void {
    this.f.get(this.input(pixel));
    this.f.op("v128.load32_splat", { offset });
  }

  private loadWeights(index: number, into: Local): void {
    this.f.get(this.weights);
    this.f.op("v128.load", { offset: index * 16 });
    this.f.set(into);
  }

  /** acc[p][v] += Σ of units `first`…, `count` of them, added up in 16 bits. */
  private emitChain(
    first: number,
    count: number,
    pixels: number,
    vectors: number,
    acc: (p: number, v: number) => Local,
  ): void {
    const { f, target } = this;
    const w = (u: number, v: number): Local => temp(f, `w${u * vectors + v}`);
    for (let u = 0; u < count; u++) {
      for (let v = 0; v < vectors; v++) this.loadWeights((first + u) * vectors + v, w(u, v));
    }
    const splat = (u: number): Local => temp(f, `splat${u}`);
    for (let p = 0; p < pixels; p++) {
      for (let u = 0; u < count; u++) {
        this.pushSplat(p, (first + u) * unitBytes);
        f.set(splat(u));
      }
      for (let v = 0; v < vectors; v++) {
        for (let u = 0; u < count; u++) {
          emitPairDot(f, target, w(u, v), splat(u));
          if (u > 0) f.op("i16x8.add");
        }
        f.op("i32x4.extadd_pairwise_i16x8_s");
        f.get(acc(p, v));
        f.op("i32x4.add");
        f.set(acc(p, v));
      }
    }
  }

  /** acc[p][v] += a[p] · w[v] for one unit of k; of the i16 dot, for one pair. */
  private emitUnit(u: number, pixels: number, vectors: number, acc: (p: number, v: number) => Local): void {
    const { f, spec, target } = this;
    const w = (v: number): Local => temp(f, `w${v}`);
    const splat = temp(f, "splat");
    for (let v = 0; v < vectors; v++) this.loadWeights(u * vectors + v, w(v));
    for (let p = 0; p < pixels; p++) {
      this.pushSplat(p, u * unitBytes);
      f.set(splat);
      for (let v = 0; v < vectors; v++) {
        if (spec.dot === "relaxed") {
          emitRelaxedDot(f, target, w(v), splat, acc(p, v));
        } else if (spec.dot === "i16") {
          f.get(splat);
          f.get(w(v));
          f.op("i32x4.dot_i16x8_s");
          f.get(acc(p, v));
          f.op("i32x4.add");
        } else if (target.relaxed) {
          f.get(splat);
          f.get(w(v));
          f.get(acc(p, v));
          f.op("f32x4.relaxed_madd");
        } else {
          f.get(splat);
          f.get(w(v));
          f.op("f32x4.mul");
          f.get(acc(p, v));
          f.op("f32x4.add");
        }
        f.set(acc(p, v));
      }
    }
  }

  /** Copies the inputs of a tile to scratch as i16, segment after segment: `[pixel][k]`. */
  private emitWiden(pixels: number): void {
    const { f, spec } = this;
    const a = temp(f, "a", "i32");
    const length = temp(f, "length", "i32");
    const s = temp(f, "s", "i32");
    const end = temp(f, "aEnd", "i32");
    const pixelBytes = scratchPixelBytes(this.spec.units);
    f.get(f.params.scratch);
    f.set(s);
    this.startTable();
    spec.groups.forEach((group, g) => {
      this.forSegments(group, g, a, length, () => {
        f.get(a);
        if (group.length === undefined) f.get(length);
        else f.i32(group.length * unitBytes);
        f.op("i32.add");
        f.set(end);
        // Eight at a time; what is read and written beyond the segment is overwritten by the next, or lies in slack.
        f.loop((again) => {
          for (let p = 0; p < pixels; p++) {
            f.get(s);
            f.get(a);
            f.op(group.unsigned ? "v128.load8x8_u" : "v128.load8x8_s", { offset: p * group.pixelBytes });
            f.op("v128.store", { offset: p * pixelBytes });
          }
          addTo(f, a, 8);
          addTo(f, s, 16);
          f.get(a);
          f.get(end);
          f.op("i32.lt_s");
          f.brIf(again);
        });
        // Step back where eight was too many.
        f.get(s);
        f.get(a);
        f.get(end);
        f.op("i32.sub");
        f.i32(1);
        f.op("i32.shl");
        f.op("i32.sub");
        f.set(s);
      });
    });
  }

  private emitScratchSum(pixels: number, vectors: number, acc: (p: number, v: number) => Local): void {
    const { f } = this;
    f.get(f.params.scratch);
    f.set(this.input(0));
    this.spreadInputs(pixels, scratchPixelBytes(this.spec.units));
    // A pair is as long as a unit of bytes.
    const pairs = this.spec.units * 2;
    this.emitUnits(pairs, this.input(0), pixels, vectors * 16, (pair) =>
      this.emitUnit(pair, pixels, vectors, acc),
    );
  }
}
