/** Interp: nearest, bilinear and bicubic resizing of pictures. Source: ncnn src/layer/interp.cpp. */
import { GraphError } from "../base/errors.ts";
import { defineOp, float, int, type ParamValues, string } from "../ir/op.ts";
import type { Shape, Tensor } from "../ir/tensor.ts";
import { evaluateSizes } from "./_expression.ts";
import { emptyLike, namedExtents, requireFloat, requireRank } from "./shapes.ts";

export const resizeTypes = { nearest: 1, bilinear: 2, bicubic: 3 } as const;

const interpParams = {
  resize_type: int(0),
  height_scale: float(1, 1),
  width_scale: float(2, 1),
  output_height: int(3),
  output_width: int(4),
  /** The second input's extents are the output's. */
  dynamic_target_size: int(5),
  align_corner: int(6),
  size_expr: string(9),
};
type P = ParamValues<typeof interpParams>;
const fround = Math.fround;

export const interp = defineOp({
  type: "Interp",
  typeIndex: 50,
  int8Inputs: true,
  homogeneous: true,
  affine: () => "any",
  params: interpParams,
  inputs: [1, 10],
  shape: (inputs, p) => {
    const [input] = inputs;
    requireRank(input, [1, 2, 3]);
    if (![1, 2, 3].includes(p.resize_type)) {
      throw new GraphError(
        `resize_type is ${p.resize_type}, expected 1 (nearest), 2 (bilinear) or 3 (bicubic)`,
      );
    }
    const { h, w } = targetSize(inputs, p);
    return [input.length === 2 ? [input[0], w] : [input[0], h, w]];
  },
  reference: (inputs, p, _, [shape]) => [resize(inputs[0], p, shape)],
});

function targetSize(inputs: readonly Shape[], p: P): { h: number; w: number } {
  const [input, target] = inputs;
  // Rank 1 holds one pixel for every channel.
  const { h, w } = input.length === 1 ? { h: 1, w: 1 } : namedExtents(input);
  if (p.size_expr) {
    const sizes = evaluateSizes(p.size_expr, inputs);
    if (sizes.length > 2) {
      throw new GraphError(`size expression "${p.size_expr}" has ${sizes.length} extents, expected w and h`);
    }
    return { w: sizes[0], h: sizes[1] ?? h };
  }
  if (p.dynamic_target_size) {
    if (!target) throw new GraphError("dynamic_target_size (5=1) calls for a second input");
    return namedExtents(target);
  }
  if (p.output_height && p.output_width) return { h: p.output_height, w: p.output_width };
  return { h: Math.trunc(fround(h * p.height_scale)), w: Math.trunc(fround(w * p.width_scale)) };
}

/** Whether the output's size is given, not a scale: the steps between samples follow from it. */
export const isSized = (
  p: Pick<P, "size_expr" | "dynamic_target_size" | "output_height" | "output_width">,
): boolean => p.size_expr !== "" || (!p.dynamic_target_size && p.output_height > 0 && p.output_width > 0);

/** For every output position of an axis up to four input positions, and their weights. */
export interface Taps {
  readonly count: number;
  readonly index: Int32Array;
  readonly weight: Float32Array;
}

function makeTaps(outputs: number, count: number, at: (o: number) => readonly [number[], number[]]): Taps {
  const taps = { count, index: new Int32Array(outputs * count), weight: new Float32Array(outputs * count) };
  for (let o = 0; o < outputs; o++) {
    const [index, weight] = at(o);
    taps.index.set(index, o * count);
    taps.weight.set(weight, o * count);
  }
  return taps;
}

/**
 * Taps of rows and columns of a picture `[h, w]` resized to `[outH, outW]`. A picture that keeps its size is copied, at any factor;
 * the native bilinear code does so for each axis.
 */
export function interpTaps(p: P, [h, w]: readonly number[], [outH, outW]: readonly number[]): [Taps, Taps] {
  const fromSize = isSized(p);
  const isCopy = h === outH && w === outW;
  const axis = (n: number, out: number, scale: number): Taps =>
    isCopy || (n === out && p.resize_type === resizeTypes.bilinear)
      ? copyTaps(n, p)
      : axisTaps(n, out, p, scale, fromSize);
  return [axis(h, outH, p.height_scale), axis(w, outW, p.width_scale)];
}

/** As many taps as the other axis has: the second of two has no weight. */
function copyTaps(n: number, { resize_type }: P): Taps {
  const isLinear = resize_type === resizeTypes.bilinear;
  return makeTaps(n, isLinear ? 2 : 1, (o) =>
    isLinear
      ? [
          [o, o],
          [1, 0],
        ]
      : [[o], [1]],
  );
}

/**
 * Source positions of `out` samples of an axis of `n`. Steps are those of the scale, not of the sizes, unless the
 * output size is given (`fromSize`): 7 columns scaled by 1.3 become 9 that are 1/1.3 apart, not 7/9.
 */
function axisTaps(n: number, out: number, p: P, scale: number, fromSize: boolean): Taps {
  if (p.resize_type === resizeTypes.nearest) {
    const ratio = fromSize ? fround(n / out) : fround(1 / scale);
    return makeTaps(out, 1, (o) => [[Math.min(Math.trunc(fround(o * ratio)), n - 1)], [1]]);
  }
  const ratio = p.align_corner
    ? (n - 1) / (out - 1)
    : fromSize || p.dynamic_target_size
      ? n / out
      : 1 / scale;
  const position = (o: number): number =>
    fround(p.align_corner ? (out > 1 ? o * ratio : 0) : (o + 0.5) * ratio - 0.5);
  const isLinear = p.resize_type === resizeTypes.bilinear;
  return makeTaps(out, isLinear ? 2 : 4, (o) => {
    const floor = Math.floor(position(o));
    const t = fround(position(o) - floor);
    return isLinear ? linearTaps(floor, t, n) : cubicTaps(floor, t, n);
  });
}

function linearTaps(floor: number, t: number, n: number): [number[], number[]] {
  if (floor < 0 || n === 1)
    return [
      [0, Math.min(1, n - 1)],
      [1, 0],
    ];
  if (floor >= n - 1)
    return [
      [n - 2, n - 1],
      [0, 1],
    ];
  return [
    [floor, floor + 1],
    [1 - t, t],
  ];
}

/** Four taps around `floor`; those outside the picture fall on its edge. */
function cubicTaps(floor: number, t: number, n: number): [number[], number[]] {
  const a = -0.75;
  const near = (x: number): number => (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1;
  const far = (x: number): number => a * x ** 3 - 5 * a * x ** 2 + 8 * a * x - 4 * a;
  const weight = [far(t + 1), near(t), near(1 - t), 0];
  weight[3] = 1 - weight[0] - weight[1] - weight[2];
  return [[-1, 0, 1, 2].map((k) => Math.min(Math.max(floor + k, 0), n - 1)), weight];
}

function resize(input: Tensor, p: P, shape: Shape): Tensor {
  const isPicture = input.shape.length === 3;
  const [h, w] = isPicture ? input.shape.slice(1) : input.shape.length === 2 ? [1, input.shape[1]] : [1, 1];
  const [outH, outW] = shape.length === 3 ? shape.slice(1) : [1, shape[1]];
  if (isPicture && h === outH && w === outW) return input;
  if (p.resize_type !== resizeTypes.nearest) requireFloat("interpolation", input);
  const [y, x] = interpTaps(p, [h, w], [outH, outW]);
  const data =
    p.resize_type === resizeTypes.nearest
      ? emptyLike(input.data, shape[0] * outH * outW)
      : new Float32Array(shape[0] * outH * outW);
  const rows = new Float32Array(h * outW);
  for (let c = 0; c < shape[0]; c++) {
    // Along w first, then along h, each rounded to float32.
    for (let row = 0; row < h; row++) {
      applyTaps(input.data, (c * h + row) * w, 1, x, rows, row * outW, 1);
    }
    for (let column = 0; column < outW; column++) {
      applyTaps(rows, column, outW, y, data, c * outH * outW + column, outW);
    }
  }
  return { shape, data };
}

/** One line of samples, read and written with a start and a step. */
function applyTaps(
  from: Tensor["data"],
  fromStart: number,
  fromStep: number,
  { count, index, weight }: Taps,
  to: Tensor["data"],
  toStart: number,
  toStep: number,
): void {
  for (let o = 0, tap = 0; tap < index.length; o++) {
    let sum = 0;
    for (let k = 0; k < count; k++, tap++) sum += weight[tap] * from[fromStart + index[tap] * fromStep];
    to[toStart + o * toStep] = sum;
  }
}
