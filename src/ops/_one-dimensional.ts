/** 1-D layers as 2-D ones of height 1: [channels, w] becomes [channels, 1, w]. */
import { int, type ParamValues, type WeightSpec } from "../ir/op.ts";
import type { Shape, Tensor } from "../ir/tensor.ts";
import type { Weights } from "../ir/weight.ts";
import { type convolutionParams, convolutionShape, convolutionWeights, convolve } from "./_convolve.ts";
import { activationParams } from "./activations.ts";
import { requireRank } from "./shapes.ts";
import { windowParams } from "./windows.ts";

const { kernel_h: _k, dilation_h: _d, stride_h: _s, pad_top: _t, pad_bottom: _b, ...window } = windowParams;
export const convolution1DParams = { ...window, ...activationParams, dynamic_weight: int(19) };
type P = ParamValues<typeof convolution1DParams>;

/** SAME padding (negative pads) has to be asked for on all sides; it comes to nothing on the axis of extent 1. */
export const flatAxis = (pad: number) =>
  ({
    kernel_h: 1,
    dilation_h: 1,
    stride_h: 1,
    pad_top: Math.min(pad, 0),
    pad_bottom: Math.min(pad, 0),
  }) as const;

function as2D(p: P): ParamValues<typeof convolutionParams> {
  return { ...p, ...flatAxis(p.pad_left), int8_scale_term: 0 };
}

export function withHeight(shape: Shape): Shape {
  requireRank(shape, [2]);
  return [shape[0], 1, shape[1]];
}

export function convolution1DWeights(p: P): WeightSpec[] {
  return convolutionWeights(as2D(p), 0);
}

export function convolution1DShape([input]: readonly Shape[], p: P, group: number): Shape[] {
  const [[channels, , w]] = convolutionShape([withHeight(input)], as2D(p), group);
  return [[channels, w]];
}

export function convolve1D(input: Tensor, p: P, weights: Weights, group: number): Tensor {
  const { shape, data } = convolve(
    { ...input, shape: withHeight(input.shape) },
    as2D(p),
    weights,
    group,
    (k) => k,
  );
  return { shape: [shape[0], shape[2]], data };
}

export function convolution1DMacs([output]: readonly Shape[], p: P): number {
  return p.weight_data_size * output[1];
}
