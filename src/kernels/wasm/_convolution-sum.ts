/** The sum of a dense convolution, for one tile: over groups of segments, or over the inputs widened to scratch memory. */
import { type Expression, f32x4, i32, i32x4, set, store, v128 } from "../../wasm/expressions.ts";
import { addTo, type Func, type Local, whileLoop } from "../../wasm/index.ts";
import {
  type ConvolutionSpec,
  type SegmentGroup,
  scratchPixelBytes,
  segmentEntryBytes,
  unitBytes,
} from "./_convolution-spec.ts";
import { emitPairDot, emitRelaxedDot } from "./_dot.ts";
import type { Numbers } from "./_numbers.ts";
import { temp } from "./_temp.ts";
import type { Target } from "./spec.ts";

/** Units of k in a turn of the loop over a segment. */
const unroll = 4;

/** Accumulators by pixel and vector of the tile. */
export type Accumulators = (pixel: number, vector: number) => Local;

export class SegmentSum {
  private readonly f: Func;
  private readonly spec: ConvolutionSpec;
  private readonly target: Target;
  /** Offset of the tile from output pixel 0, per segment group. */
  private readonly offsets: readonly Local[];
  /** The running pointer to the weights. */
  private readonly weights: Local;
  private readonly numbers: Numbers;

  constructor(
    f: Func,
    spec: ConvolutionSpec,
    target: Target,
    offsets: readonly Local[],
    weights: Local,
    numbers: Numbers,
  ) {
    this.numbers = numbers;
    this.f = f;
    this.spec = spec;
    this.target = target;
    this.offsets = offsets;
    this.weights = weights;
  }

  /** Adds the products of all inputs to the accumulators; moves `weights` on. */
  add(pixels: number, vectors: number, acc: Accumulators): void {
    if (this.spec.dot === "i16") {
      this.emitScratchSum(pixels, vectors, acc);
      return;
    }
    this.startTable();
    this.spec.groups.forEach((group, g) => this.emitGroup(group, g, pixels, vectors, acc));
  }

  /** The running pointer into the table, at its beginning. */
  private startTable(): void {
    set(this.f, temp(this.f, "entry", "i32"), this.f.params.table);
  }

  /** For every segment of the next group in the table: `body` with `a` at the segment's first input of the tile. */
  private forSegments(group: SegmentGroup, g: number, a: Local, length: Local, body: () => void): void {
    const { f } = this;
    const entry = temp(f, "entry", "i32");
    const one = (): void => {
      set(f, a, i32.add(i32.load(entry), this.offsets[g]));
      if (group.length === undefined) set(f, length, i32.load(entry, 4));
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
    acc: Accumulators,
  ): void {
    const length = temp(this.f, "length", "i32");
    this.forSegments(group, g, this.input(0), length, () => {
      this.spreadInputs(pixels, this.numbers.of(`group${g}.pixelBytes`));
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
  private spreadInputs(pixels: number, pixelBytes: number | Local): void {
    const { f } = this;
    for (let p = 1; p < pixels; p++) {
      if (typeof pixelBytes === "number") set(f, this.input(p), i32.add(this.input(0), p * pixelBytes));
      else set(f, this.input(p), i32.add(this.input(p - 1), pixelBytes));
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
      set(f, end, i32.add(this.input(0), length));
      // As many whole chains as there are, of what layers share several at a time; then single units.
      const steps = [...(this.spec.shared ? [unroll] : []), chain, 1];
      for (const units of new Set(steps)) {
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
      set(f, end, i32.add(this.input(0), looped * unitBytes));
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

  /** Four bytes of a pixel's input in every lane. */
  private splat(pixel: number, offset: number): Expression {
    return v128.load32_splat(this.input(pixel), offset);
  }

  /** Vector `index` of the weights. */
  private weight(index: number): Expression {
    return v128.load(this.weights, index * 16);
  }

  /** acc[p][v] += Σ of units `first`…, `count` of them, added up in 16 bits. */
  private emitChain(first: number, count: number, pixels: number, vectors: number, acc: Accumulators): void {
    const { f, target } = this;
    const w = (u: number, v: number): Local => temp(f, `w${u * vectors + v}`);
    for (let u = 0; u < count; u++) {
      for (let v = 0; v < vectors; v++) set(f, w(u, v), this.weight((first + u) * vectors + v));
    }
    const splat = (u: number): Local => temp(f, `splat${u}`);
    for (let p = 0; p < pixels; p++) {
      for (let u = 0; u < count; u++) {
        set(f, splat(u), this.splat(p, (first + u) * unitBytes));
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
  private emitUnit(u: number, pixels: number, vectors: number, acc: Accumulators): void {
    const { f, spec, target } = this;
    const w = (v: number): Local => temp(f, `w${v}`);
    const splat = temp(f, "splat");
    for (let v = 0; v < vectors; v++) set(f, w(v), this.weight(u * vectors + v));
    for (let p = 0; p < pixels; p++) {
      set(f, splat, this.splat(p, u * unitBytes));
      for (let v = 0; v < vectors; v++) set(f, acc(p, v), product(spec.dot, target, acc(p, v), splat, w(v)));
    }
  }

  /** Copies the inputs of a tile to scratch as i16, segment after segment: `[pixel][k]`; before `add` where that reads them. */
  widen(pixels: number): void {
    const { f, spec } = this;
    const a = temp(f, "a", "i32");
    const length = temp(f, "length", "i32");
    const s = temp(f, "s", "i32");
    const end = temp(f, "aEnd", "i32");
    const pixelBytes = this.scratchStride();
    set(f, s, f.params.scratch);
    this.startTable();
    spec.groups.forEach((group, g) => {
      this.forSegments(group, g, a, length, () => {
        set(f, end, i32.add(a, group.length === undefined ? length : group.length * unitBytes));
        // Eight at a time; what is read and written beyond the segment is overwritten by the next, or lies in slack.
        f.loop((again) => {
          const load = group.unsigned ? v128.load8x8_u : v128.load8x8_s;
          const stride = this.numbers.of(`group${g}.pixelBytes`);
          if (typeof stride === "number" && typeof pixelBytes === "number") {
            for (let p = 0; p < pixels; p++) store(f, s, load(a, p * stride), p * pixelBytes);
          } else {
            const [from, to] = [temp(f, "from", "i32"), temp(f, "to", "i32")];
            set(f, from, a);
            set(f, to, s);
            for (let p = 0; p < pixels; p++) {
              if (p) set(f, from, i32.add(from, stride));
              if (p) set(f, to, i32.add(to, pixelBytes));
              store(f, to, load(from), 0);
            }
          }
          addTo(f, a, 8);
          addTo(f, s, 16);
          f.get(a);
          f.get(end);
          f.op("i32.lt_s");
          f.brIf(again);
        });
        // Step back where eight was too many.
        set(f, s, i32.sub(s, i32.shl(i32.sub(a, end), 1)));
      });
    });
  }

  /** Bytes of a pixel's widened inputs. */
  private scratchStride(): number | Local {
    const units = this.numbers.of("units");
    if (typeof units === "number") return scratchPixelBytes(units);
    const stride = temp(this.f, "scratchStride", "i32");
    set(
      this.f,
      stride,
      i32.add(i32.mul(units, scratchPixelBytes(1) - scratchPixelBytes(0)), scratchPixelBytes(0)),
    );
    return stride;
  }

  private emitScratchSum(pixels: number, vectors: number, acc: Accumulators): void {
    const { f } = this;
    set(f, this.input(0), f.params.scratch);
    this.spreadInputs(pixels, this.scratchStride());
    // A pair is as long as a unit of bytes.
    const pairs = this.spec.shared ? undefined : this.spec.units * 2;
    const length = temp(f, "length", "i32");
    if (pairs === undefined) set(f, length, i32.mul(this.numbers.of("units"), 2 * unitBytes));
    this.emitUnits(pairs, length, pixels, vectors * 16, (pair) => this.emitUnit(pair, pixels, vectors, acc));
  }
}

/** acc + a·w of one unit. */
function product(dot: ConvolutionSpec["dot"], target: Target, acc: Local, a: Local, w: Local): Expression {
  if (dot === "relaxed") return (f) => emitRelaxedDot(f, target, w, a, acc);
  if (dot === "i16" || dot === "wide") return i32x4.add(i32x4.dot_i16x8_s(a, w), acc);
  return target.relaxed ? f32x4.relaxed_madd(a, w, acc) : f32x4.add(f32x4.mul(a, w), acc);
}
