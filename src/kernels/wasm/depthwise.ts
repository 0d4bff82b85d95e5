/**
 * Depthwise convolution, float32 and int8, vectorised over channels. The input has a border as wide as the padding, so no
 * bounds are checked. Loops from outside in: rows, blocks of channels (their weights stay in registers up to 3×3), tiles
 * of pixels, taps.
 *
 * Weights: f32 `[block of 4 channels][tap][4]` float32; i8 `[block of 8 channels][tap][8]` int16.
 */
import { address, type Expression, f32x4, i16x8, i32, set, v128 } from "../../wasm/expressions.ts";
import { addTo, type Func, type FuncRef, forRange, type Local, type Module } from "../../wasm/index.ts";
import { accumulatorStart, type EpilogueSpec, emitEpilogue, epilogueGroupBytes } from "./_epilogue.ts";
import { kernelParams } from "./_params.ts";
import { temp } from "./_temp.ts";
import type { Target } from "./spec.ts";

export interface DepthwiseSpec {
  readonly kind: "depthwise";
  readonly input: "f32" | "i8";
  /** i8 input stored as q + zeroPoint. */
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
  /** i8: how many consecutive taps may be summed in 16 bits, known from the weights: Σ|w|·127 ≤ 32767. */
  readonly tapGroups: readonly number[];
  readonly tile: number;
  readonly epilogue: EpilogueSpec;
}

/** Channels handled at a time. */
export function depthwiseBlock(spec: Pick<DepthwiseSpec, "input">): number {
  return spec.input === "f32" ? 4 : 8;
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
    const block = f.local("i32", "block");
    const perBlock = depthwiseBlock(spec) / 4;
    const blocks = Math.floor(spec.vectors / perBlock);
    forRange(f, this.y, f.params.begin, f.params.end, 1, () => {
      f.get(f.params.weights);
      f.set(this.weights);
      f.get(f.params.constants);
      f.set(this.constants);
      if (blocks > 0) {
        forRange(f, block, i32.of(0), i32.of(blocks), 1, () => {
          this.emitBlock(block, 0, perBlock);
          addTo(f, this.weights, this.taps * 16);
          addTo(f, this.constants, perBlock * epilogueGroupBytes(spec.epilogue));
        });
      }
      if (spec.vectors % perBlock) this.emitBlock(undefined, blocks, 1);
    });
  }

  /** local = base + row·rowBytes + block·blockBytes, the block being a local, or the constant `fixed`. */
  private setAddress(
    local: Local,
    base: Local,
    rowBytes: number,
    block: Local | undefined,
    fixed: number,
    blockBytes: number,
  ): void {
    const { f } = this;
    const row = address(base, this.y, rowBytes);
    set(f, local, i32.add(row, block ? i32.mul(block, blockBytes) : fixed * blockBytes));
  }

  /** One row of one block of channels; `vectors` of its vectors are real. */
  private emitBlock(block: Local | undefined, fixed: number, vectors: number): void {
    const { f, spec } = this;
    const channels = depthwiseBlock(spec);
    const size = spec.input === "f32" ? 4 : 1;
    this.setAddress(this.a, f.params.input, spec.strideH * spec.rowBytes, block, fixed, channels * size);
    spec.epilogue.stores.forEach((store, i) => {
      const bytes = channels * (store.dtype === "f32" ? 4 : 1);
      this.setAddress(this.outputs[i], f.params[`out${i}`], store.rowBytes, block, fixed, bytes);
    });
    const residual = spec.epilogue.steps.find((step) => step.kind === "residual");
    if (residual) {
      this.setAddress(this.residual, f.params.residual, residual.rowBytes, block, fixed, channels * 4);
    }
    if (this.taps <= maxRegisterTaps) {
      for (let tap = 0; tap < this.taps; tap++) {
        set(f, temp(f, `tap${tap}`), v128.load(this.weights, tap * 16));
      }
    }
    const tiles = Math.floor(spec.width / spec.tile);
    const step = (pixels: number): void => {
      this.emitTile(pixels, vectors);
      addTo(f, this.a, pixels * spec.strideW * spec.pixelBytes);
      spec.epilogue.stores.forEach((store, i) => addTo(f, this.outputs[i], pixels * store.pixelBytes));
      if (residual) addTo(f, this.residual, pixels * residual.pixelBytes);
    };
    if (tiles > 0) {
      const counter = temp(f, "tile", "i32");
      forRange(f, counter, i32.of(0), i32.of(tiles), 1, () => step(spec.tile));
    }
    if (spec.width % spec.tile) step(spec.width % spec.tile);
  }

  /** The weights of a tap. */
  private tap(tap: number): Expression | Local {
    if (this.taps > maxRegisterTaps) return v128.load(this.weights, tap * 16);
    return temp(this.f, `tap${tap}`);
  }

  private inputOffset(ky: number, column: number): number {
    return ky * this.spec.dilationH * this.spec.rowBytes + column * this.spec.pixelBytes;
  }

  private emitTile(pixels: number, vectors: number): void {
    if (this.spec.input === "f32") this.sumFloat(pixels);
    else this.sumBytes(pixels, vectors);
    const { f, spec } = this;
    const at = { constants: this.constants, outputs: this.outputs, residual: this.residual };
    const perPixel = spec.input === "f32" ? 1 : 2;
    const values = Array.from({ length: pixels }, (_, p) =>
      Array.from({ length: vectors }, (_, v) => temp(f, `acc${p * perPixel + v}`)),
    );
    emitEpilogue(f, this.target, spec.epilogue, at, values);
  }

  /** Each input vector is loaded once and used by all outputs of the tile that it reaches. */
  private sumFloat(pixels: number): void {
    const { f, spec, target } = this;
    const acc = (p: number): Local => temp(f, `acc${p}`);
    for (let p = 0; p < pixels; p++) {
      set(f, acc(p), accumulatorStart(spec.epilogue, this.constants, 0));
    }
    const column = temp(f, "column");
    for (let ky = 0; ky < spec.kernelH; ky++) {
      const uses = new Map<number, [pixel: number, tap: number][]>();
      for (let p = 0; p < pixels; p++) {
        for (let kx = 0; kx < spec.kernelW; kx++) {
          const at = p * spec.strideW + kx * spec.dilationW;
          uses.set(at, [...(uses.get(at) ?? []), [p, ky * spec.kernelW + kx]]);
        }
      }
      for (const [at, list] of [...uses].sort(([a], [b]) => a - b)) {
        set(f, column, v128.load(this.a, this.inputOffset(ky, at)));
        for (const [p, tap] of list) {
          const product = target.relaxed
            ? f32x4.relaxed_madd(column, this.tap(tap), acc(p))
            : f32x4.add(acc(p), f32x4.mul(column, this.tap(tap)));
          set(f, acc(p), product);
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
