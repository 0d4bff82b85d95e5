/** LayerNorm: along the channels of every pixel. */
import { type Expression, f32x4, set, tee, v128 } from "../../wasm/expressions.ts";
import type { FuncRef, Local, Module } from "../../wasm/index.ts";
import { reduceLanes } from "./_math.ts";
import { eachVector, type NormSpec, normalizedWalk } from "./_normalize.ts";
import { kernelParams } from "./_params.ts";
import { temp } from "./_temp.ts";
import type { Target } from "./spec.ts";

/** (x − mean)/√(variance + eps)·gamma + beta. */
export interface LayerNormSpec extends NormSpec {
  readonly kind: "layerNorm";
  readonly eps: number;
}

/** Emits `(input, affine, constants, out0…, begin, end)` for rows [begin, end). Affine: `[vector][gamma, beta][4]`. */
export function emitLayerNorm(m: Module, name: string, spec: LayerNormSpec, target: Target): FuncRef {
  const params = kernelParams(["input", "affine", "constants"], spec.epilogue.stores);
  return m.func(name, { params, results: [] }, (f) => {
    const [mean, factor] = [f.local("v128", "mean"), f.local("v128", "factor")];
    const difference = temp(f, "difference");
    const fromMean = (at: Local): Expression => f32x4.sub(v128.load(at), mean);
    /** The sum of the lanes over the number of channels. */
    const average = (v: Local): Expression => {
      reduceLanes(f, v, "f32x4.add");
      return f32x4.mul(v, 1 / spec.channels);
    };
    const statistics = (y: Local, x: Local): void => {
      set(f, mean, f32x4.of(0));
      eachVector(f, spec, y, x, (a) => set(f, mean, f32x4.add(mean, v128.load(a))));
      set(f, mean, average(mean));
      set(f, factor, f32x4.of(0));
      eachVector(f, spec, y, x, (a) => {
        const square = f32x4.mul(tee(difference, fromMean(a)), difference);
        set(f, factor, f32x4.add(square, factor));
      });
      f.f32x4(1);
      const variance = average(factor);
      f32x4.sqrt(f32x4.add(variance, spec.eps))(f);
      f.op("f32x4.div");
      f.set(factor);
    };
    const affine = { base: f.params.affine, pixelBytes: 0, rowBytes: 0, vectorBytes: 32 };
    normalizedWalk(f, spec, target, affine, statistics, (input, weights, value) => {
      const scaled = f32x4.mul(f32x4.mul(fromMean(input), factor), v128.load(weights));
      set(f, value, f32x4.add(scaled, v128.load(weights, 16)));
    });
  });
}
