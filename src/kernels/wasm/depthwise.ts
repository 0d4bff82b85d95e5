/**
 * Depthwise convolution, float32 and int8, vectorised over channels. The input has a border as wide as the padding, so no
 * bounds are checked. Loops from outside in: rows, tiles of pixels, blocks of channels, taps: the channels of a pixel lie side by side, and
 * weights are small.
 *
 * Weights: `f32` `[block of channels][tap][channel of the block]` float32; `i16` `[block of 8 channels][tap][8]` int16; `dots` `[block of 4
 * channels][output row][column of the kernel][4 channels][4 input rows]` int8, the taps of the second output row being one row lower.
 */
import { address, type Expression, f32x4, i8x16, i16x8, i32, set, v128 } from "../../wasm/expressions.ts";
import {
  addTo,
  type Func,
  type FuncRef,
  forRange,
  type Local,
  type Module,
  whileLoop,
} from "../../wasm/index.ts";
import { emitRelaxedDot } from "./_dot.ts";
import {
  accumulatorStart,
  type EpiloguePointers,
  type EpilogueSpec,
  emitEpilogue,
  epilogueGroupBytes,
} from "./_epilogue.ts";
import { kernelParams, vectorBytes } from "./_params.ts";
import { temp } from "./_temp.ts";
import type { Target } from "./spec.ts";

export interface DepthwiseSpec {
  readonly kind: "depthwise";
  /**
   * `i16`: taps of int8 inputs are summed in 16 bits; `dots`, for kernels of 3×3: by the dot product that convolutions use in mode
   * `relaxed`, of four rows of the input for two rows of the output, or with a stride of three for one.
   */
  readonly sum: "f32" | "i16" | "dots";
  /** `i16`: input stored as q + zeroPoint; `dots` corrects for it at the start of its sums. */
  readonly zeroPoint: number;
  readonly kernelH: number;
  readonly kernelW: number;
  readonly strideH: number;
  readonly strideW: number;
  readonly dilationH: number;
  readonly dilationW: number;
  readonly rows: number;
  readonly width: number;
  /** Channels in vectors of four. */
  readonly vectors: number;
  /** Strides of the input picture in bytes. */
  readonly pixelBytes: number;
  readonly rowBytes: number;
  /** `i16`: how many consecutive taps may be summed in 16 bits, known from the weights: Σ|w|·127 ≤ 32767. */
  readonly tapGroups: readonly number[];
  readonly tile: number;
  /** Vectors of four channels that are done at a time: `i16` two, `dots` one. */
  readonly block: number;
  readonly epilogue: EpilogueSpec;
}

/** More taps than this do not fit the registers: weights are loaded at each use. */
const maxRegisterTaps = 9;

/** Emits `(input, weights, constants, residual, out0…, begin, end)` for output rows [begin, end). */
export function emitDepthwise(m: Module, name: string, spec: DepthwiseSpec, target: Target): FuncRef {
  const params = kernelParams(["input", "weights", "constants", "residual"], spec.epilogue.stores);
  return m.func(name, { params, results: [] }, (f) => new Emitter(f, spec, target).emit());
}

class Emitter {
  private readonly f: Func;
  private readonly spec: DepthwiseSpec;
  private readonly target: Target;
  private readonly y: Local;
  private readonly a: Local;
  private readonly weights: Local;
  private readonly constants: Local;
  private readonly outputs: Local[];
  private readonly residual: Local;
  private readonly taps: number;

  constructor(f: Func, spec: DepthwiseSpec, target: Target) {
    this.f = f;
    this.spec = spec;
    this.target = target;
    this.y = f.local("i32", "y");
    this.a = f.local("i32", "a");
    this.weights = f.local("i32", "w");
    this.constants = f.local("i32", "e");
    this.outputs = spec.epilogue.stores.map((_, i) => f.local("i32", `o${i}`));
    this.residual = f.local("i32", "r");
    this.taps = spec.kernelH * spec.kernelW;
  }

  emit(): void {
    const { f, spec } = this;
    const tiles = Math.floor(spec.width / spec.tile);
    const tile = f.local("i32", "tile");
    const { begin, end } = f.params;
    const row = (rows: number): void => {
      if (tiles > 0)
        forRange(f, tile, i32.of(0), i32.of(tiles), 1, () => this.emitChannels(rows, spec.tile, tile));
      if (spec.width % spec.tile) this.emitChannels(rows, spec.width % spec.tile, i32.of(tiles));
    };
    if (spec.sum !== "dots" || spec.strideH > 1) {
      forRange(f, this.y, begin, end, 1, () => row(1));
      return;
    }
    set(f, this.y, begin);
    const isLeft = (rows: number): Expression => i32.lt_s(i32.add(this.y, rows - 1), end);
    whileLoop(
      f,
      () => isLeft(2)(f),
      () => {
        row(2);
        addTo(f, this.y, 2);
      },
    );
    isLeft(1)(f);
    f.if(() => row(1));
  }

  /** local = base + y·rowBytes + tile·tileBytes */
  private setAddress(
    local: Local,
    base: Local,
    rowBytes: number,
    tile: Local | Expression,
    tileBytes: number,
  ): void {
    set(this.f, local, i32.add(address(base, this.y, rowBytes), i32.mul(tile, tileBytes)));
  }

  /** All channels of a tile of pixels: they lie side by side. */
  private emitChannels(rows: number, pixels: number, tile: Local | Expression): void {
    const { f, spec } = this;
    const { tile: width, strideW, strideH, epilogue } = spec;
    this.setAddress(this.a, f.params.input, strideH * spec.rowBytes, tile, width * strideW * spec.pixelBytes);
    epilogue.stores.forEach((store, i) => {
      this.setAddress(this.outputs[i], f.params[`out${i}`], store.rowBytes, tile, width * store.pixelBytes);
    });
    const residual = epilogue.steps.find((step) => step.kind === "residual");
    if (residual) {
      const { rowBytes, pixelBytes } = residual;
      this.setAddress(this.residual, f.params.residual, rowBytes, tile, width * pixelBytes);
    }
    set(f, this.weights, f.params.weights);
    set(f, this.constants, f.params.constants);
    const perBlock = spec.block;
    const blocks = Math.floor(spec.vectors / perBlock);
    const weightVectors = spec.sum === "dots" ? 6 : this.taps * this.tapVectors;
    const block = (vectors: number): void => {
      if (this.taps <= maxRegisterTaps) {
        for (let i = 0; i < weightVectors; i++) {
          if (i % this.tapVectors < vectors) set(f, temp(f, `tap${i}`), v128.load(this.weights, i * 16));
        }
      }
      this.emitTile(rows, pixels, vectors);
    };
    if (blocks > 0) {
      forRange(f, temp(f, "block", "i32"), i32.of(0), i32.of(blocks), 1, () => {
        block(perBlock);
        addTo(f, this.a, perBlock * (spec.sum === "f32" ? 16 : 4));
        addTo(f, this.weights, weightVectors * 16);
        addTo(f, this.constants, perBlock * epilogueGroupBytes(epilogue));
        epilogue.stores.forEach((store, i) => addTo(f, this.outputs[i], perBlock * vectorBytes(store)));
        if (residual) addTo(f, this.residual, perBlock * 16);
      });
    }
    if (spec.vectors % perBlock) block(1);
  }

  /** Vectors that the weights of a tap have. */
  private get tapVectors(): number {
    return this.spec.sum === "f32" ? this.spec.block : 1;
  }

  /** The weights of a tap, for a vector of the block. */
  private tap(tap: number, vector = 0): Expression | Local {
    const index = tap * this.tapVectors + vector;
    if (this.taps > maxRegisterTaps) return v128.load(this.weights, index * 16);
    return temp(this.f, `tap${index}`);
  }

  private inputOffset(ky: number, column: number): number {
    return ky * this.spec.dilationH * this.spec.rowBytes + column * this.spec.pixelBytes;
  }

  private emitTile(rows: number, pixels: number, vectors: number): void {
    const { f, spec } = this;
    if (spec.sum === "dots") this.sumDots(rows, pixels);
    else if (spec.sum === "f32") this.sumFloat(pixels, vectors);
    else this.sumBytes(pixels, vectors);
    for (let row = 0; row < rows; row++) {
      const values = Array.from({ length: pixels }, (_, p) =>
        Array.from({ length: vectors }, (_, v) => temp(f, `acc${(row * pixels + p) * spec.block + v}`)),
      );
      emitEpilogue(f, this.target, spec.epilogue, this.pointers(row), values);
    }
  }

  /** Where a row of the tile goes. */
  private pointers(row: number): EpiloguePointers {
    const { f, spec, constants } = this;
    const { stores, steps } = spec.epilogue;
    const below = (local: Local, name: string, rowBytes: number): Local => {
      if (row === 0) return local;
      const shifted = temp(f, name, "i32");
      set(f, shifted, i32.add(local, row * rowBytes));
      return shifted;
    };
    const residual = steps.find((step) => step.kind === "residual");
    return {
      constants,
      outputs: this.outputs.map((output, i) => below(output, `below${i}`, stores[i].rowBytes)),
      residual: residual && below(this.residual, "belowResidual", residual.rowBytes),
    };
  }

  /**
   * Each column of four rows is brought into the order `[4 channels][4 rows]` once and used by all outputs that it reaches. The last
   * row of an odd number makes do with three.
   */
  private sumDots(rows: number, pixels: number): void {
    const { f, spec, target } = this;
    const acc = (row: number, p: number): Local => temp(f, `acc${row * pixels + p}`);
    for (let i = 0; i < rows * pixels; i++) {
      set(f, acc(0, i), i === 0 ? accumulatorStart(spec.epilogue, this.constants, 0) : acc(0, 0));
    }
    const [upper, lower, column] = ["upper", "lower", "column"].map((name) => temp(f, name));
    for (let x = 0; x < (pixels - 1) * spec.strideW + 3; x++) {
      const cell = (y: number): Expression =>
        v128.load32_zero(this.a, this.inputOffset(Math.min(y, rows + 1), x));
      set(f, upper, i8x16.interleaveLow(cell(0), cell(1)));
      set(f, lower, i8x16.interleaveLow(cell(2), cell(3)));
      set(f, column, i16x8.interleaveLow(upper, lower));
      for (let kx = 0; kx < 3; kx++) {
        const p = (x - kx) / spec.strideW;
        if (!Number.isInteger(p) || p < 0 || p >= pixels) continue;
        for (let row = 0; row < rows; row++) {
          emitRelaxedDot(f, target, temp(f, `tap${row * 3 + kx}`), column, acc(row, p));
          f.set(acc(row, p));
        }
      }
    }
  }

  /** Each input vector is loaded once and used by all outputs of the tile that it reaches. */
  private sumFloat(pixels: number, vectors: number): void {
    const { f, spec, target } = this;
    const acc = (p: number, v: number): Local => temp(f, `acc${p * spec.block + v}`);
    const column = (v: number): Local => temp(f, `column${v}`);
    const all = Array.from({ length: vectors }, (_, v) => v);
    for (let p = 0; p < pixels; p++) {
      for (const v of all) set(f, acc(p, v), accumulatorStart(spec.epilogue, this.constants, v));
    }
    for (let ky = 0; ky < spec.kernelH; ky++) {
      const uses = new Map<number, [pixel: number, tap: number][]>();
      for (let p = 0; p < pixels; p++) {
        for (let kx = 0; kx < spec.kernelW; kx++) {
          const at = p * spec.strideW + kx * spec.dilationW;
          uses.set(at, [...(uses.get(at) ?? []), [p, ky * spec.kernelW + kx]]);
        }
      }
      for (const [at, list] of [...uses].sort(([a], [b]) => a - b)) {
        for (const v of all) set(f, column(v), v128.load(this.a, this.inputOffset(ky, at) + v * 16));
        for (const [p, tap] of list) {
          for (const v of all) {
            const product = target.relaxed
              ? f32x4.relaxed_madd(column(v), this.tap(tap, v), acc(p, v))
              : f32x4.add(acc(p, v), f32x4.mul(column(v), this.tap(tap, v)));
            set(f, acc(p, v), product);
          }
        }
      }
    }
  }

  /** Taps are summed in 16 bits in groups that cannot overflow, the groups in 32 bits. */
  private sumBytes(pixels: number, vectors: number): void {
    const { f, spec } = this;
    const acc = (p: number, v: number): Local => temp(f, `acc${p * 2 + v}`);
    for (let p = 0; p < pixels; p++) {
      let tap = 0;
      spec.tapGroups.forEach((size, group) => {
        const sum = temp(f, "sum16");
        for (let i = 0; i < size; i++, tap++) {
          const [ky, kx] = [Math.floor(tap / spec.kernelW), tap % spec.kernelW];
          const offset = this.inputOffset(ky, p * spec.strideW + kx * spec.dilationW);
          const input = spec.zeroPoint
            ? i16x8.sub(v128.load8x8_u(this.a, offset), spec.zeroPoint)
            : v128.load8x8_s(this.a, offset);
          const product = i16x8.mul(input, this.tap(tap));
          set(f, sum, i > 0 ? i16x8.add(product, sum) : product);
        }
        for (let v = 0; v < vectors; v++) {
          f.get(sum);
          f.op(v === 0 ? "i32x4.extend_low_i16x8_s" : "i32x4.extend_high_i16x8_s");
          if (group > 0) {
            f.get(acc(p, v));
            f.op("i32x4.add");
          }
          f.set(acc(p, v));
        }
      });
    }
  }
}
