/** LayerNorm: along the channels of every pixel. */
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
    const scaleBySize = (v: Local): void => {
      reduceLanes(f, v, "f32x4.add");
      f.get(v);
      f.f32x4(1 / spec.channels);
      f.op("f32x4.mul");
    };
    const difference = temp(f, "difference");
    const pushDifference = (address: Local): void => {
      f.get(address);
      f.op("v128.load");
      f.get(mean);
      f.op("f32x4.sub");
    };
    const statistics = (y: Local, x: Local): void => {
      f.f32x4(0);
      f.set(mean);
      eachVector(f, spec, y, x, (a) => {
        f.get(mean);
        f.get(a);
        f.op("v128.load");
        f.op("f32x4.add");
        f.set(mean);
      });
      scaleBySize(mean);
      f.set(mean);
      f.f32x4(0);
      f.set(factor);
      eachVector(f, spec, y, x, (a) => {
        pushDifference(a);
        f.tee(difference);
        f.get(difference);
        f.op("f32x4.mul");
        f.get(factor);
        f.op("f32x4.add");
        f.set(factor);
      });
      f.f32x4(1);
      scaleBySize(factor);
      f.f32x4(spec.eps);
      f.op("f32x4.add");
      f.op("f32x4.sqrt");
      f.op("f32x4.div");
      f.set(factor);
    };
    const affine = { base: f.params.affine, pixelBytes: 0, rowBytes: 0, vectorBytes: 32 };
    normalizedWalk(f, spec, target, affine, statistics, (input, weights, value) => {
      pushDifference(input);
      f.get(factor);
      f.op("f32x4.mul");
      f.get(weights);
      f.op("v128.load");
      f.op("f32x4.mul");
      f.get(weights);
      f.op("v128.load", { offset: 16 });
      f.op("f32x4.add");
      f.set(value);
    });
  });
}
