/**
 * Pooling: max or average over windows, the whole picture (`global_pooling`, result rank 1) or a grid of cells
 * (`adaptive_pooling`). Source: ncnn src/layer/pooling.cpp.
 */
import { GraphError } from "../base/errors.ts";
import { defineOp, int, type ParamValues } from "../ir/op.ts";
import type { Shape, Tensor } from "../ir/tensor.ts";
import { emptyLike, requireFloat, requireRank } from "./shapes.ts";
import { padSameLower, padSameUpper, windowAxes } from "./windows.ts";

export const poolingTypes = { max: 0, average: 1 } as const;
/** Rounding up with padding at the end, rounding down, and TensorFlow's SAME. */
export const padModes = { full: 0, valid: 1, sameUpper: 2, sameLower: 3 } as const;
/** As `out_w` or `out_h` of adaptive pooling: the input's extent. */
export const keep = -233;

export const poolingParams = {
  pooling_type: int(0),
  kernel_w: int(1),
  kernel_h: int(11, "kernel_w"),
  stride_w: int(2, 1),
  stride_h: int(12, "stride_w"),
  pad_left: int(3),
  pad_right: int(14, "pad_left"),
  pad_top: int(13, "pad_left"),
  pad_bottom: int(15, "pad_top"),
  global_pooling: int(4),
  pad_mode: int(5),
  avgpool_count_include_pad: int(6),
  adaptive_pooling: int(7),
  out_w: int(8),
  out_h: int(18, "out_w"),
};
type P = ParamValues<typeof poolingParams>;

export const pooling = defineOp({
  type: "Pooling",
  typeIndex: 21,
  int8Inputs: true,
  homogeneous: true,
  affine: (p) => {
    if (p.pooling_type === poolingTypes.max) return "increasing";
    const hasPads = [p.pad_left, p.pad_right, p.pad_top, p.pad_bottom].some((pad) => pad !== 0);
    const isWhole = p.global_pooling !== 0 || p.adaptive_pooling !== 0;
    return isWhole || (!hasPads && p.pad_mode === padModes.valid) ? "any" : undefined;
  },
  params: poolingParams,
  shape: ([input], p) => [poolingShape(input, p)],
  reference: ([input], p, _, [shape]) => [pool(input, p, shape)],
});

export function poolingShape(input: Shape, p: P): Shape {
  requireRank(input, [3]);
  if (p.pooling_type !== poolingTypes.max && p.pooling_type !== poolingTypes.average) {
    throw new GraphError(`pooling_type is ${p.pooling_type}, expected 0 (max) or 1 (average)`);
  }
  if (p.global_pooling) return [input[0]];
  const { y, x } = poolingAxes(input, p);
  return [input[0], y.output, x.output];
}

/** One axis of cells: cell i covers [begin(i), end(i)) of the input; `counted` cells are what an average divides by. */
interface CellAxis {
  readonly output: number;
  cell(i: number): { begin: number; end: number; counted: number };
}

/** The cells along y and x. Throws GraphError. */
function poolingAxes(shape: Shape, p: P): { y: CellAxis; x: CellAxis } {
  const [, h, w] = shape;
  const isMax = p.pooling_type === poolingTypes.max;
  if (p.global_pooling) return { y: adaptiveAxis(h, 1), x: adaptiveAxis(w, 1) };
  if (p.adaptive_pooling) return { y: adaptiveAxis(h, p.out_h), x: adaptiveAxis(w, p.out_w) };
  const same = { [padModes.sameUpper]: padSameUpper, [padModes.sameLower]: padSameLower }[p.pad_mode];
  const pads = same === undefined ? {} : { pad_left: same, pad_right: same, pad_top: same, pad_bottom: same };
  const axes = windowAxes(shape, { ...p, ...pads, dilation_w: 1, dilation_h: 1 });
  const axis = (a: (typeof axes)["y"], padBefore: number, padAfter: number): CellAxis => {
    const padded = a.input + a.padBefore + a.padAfter;
    // What is left over calls for a last window that hangs over. With C's remainder: a kernel that is larger than the
    // padded input gets one too, or more.
    const rest = p.pad_mode === padModes.full ? (padded - a.kernel) % a.stride : 0;
    const tail = rest === 0 ? 0 : a.stride - rest;
    // Where explicit pads are cells that an average leaves out, counted from the border: those of SAME are none of them, so
    // explicit pads beside SAME leave out that many cells of the padded input.
    const first = p.avgpool_count_include_pad || isMax ? 0 : Math.max(padBefore, 0);
    const last =
      p.avgpool_count_include_pad || isMax ? Number.POSITIVE_INFINITY : padded - Math.max(padAfter, 0);
    return {
      output: Math.floor((padded + tail - a.kernel) / a.stride) + 1,
      cell: (i) => {
        const begin = Math.max(i * a.stride, first);
        const end = Math.min(i * a.stride + a.kernel, last);
        return {
          begin: Math.max(begin - a.padBefore, 0),
          end: Math.min(end - a.padBefore, a.input),
          counted: Math.max(end - begin, 0),
        };
      },
    };
  };
  return { y: axis(axes.y, p.pad_top, p.pad_bottom), x: axis(axes.x, p.pad_left, p.pad_right) };
}

/** Whether an average leaves out explicit pads of an input that SAME has padded: nobody means that, and kernels do not know it. */
export const hasDoublePads = (p: P): boolean =>
  p.pooling_type !== poolingTypes.max &&
  !p.avgpool_count_include_pad &&
  (p.pad_mode === padModes.sameUpper || p.pad_mode === padModes.sameLower) &&
  [p.pad_left, p.pad_right, p.pad_top, p.pad_bottom].some((pad) => pad > 0);

function adaptiveAxis(input: number, asked: number): CellAxis {
  const output = asked === keep ? input : asked;
  if (output < 1) throw new GraphError(`adaptive pooling to an extent of ${asked}, expected at least 1`);
  return {
    output,
    cell: (i) => {
      const begin = Math.floor((i * input) / output);
      const end = Math.ceil(((i + 1) * input) / output);
      return { begin, end, counted: end - begin };
    },
  };
}

/** `shape` is what the result is called; its values lie as [c, y, x]. */
export function pool(input: Tensor, p: P, shape: Shape): Tensor {
  const [channels, h, w] = input.shape;
  const isMax = p.pooling_type === poolingTypes.max;
  if (!isMax) requireFloat("average", input);
  const { y, x } = poolingAxes(input.shape, p);
  const rows = Array.from({ length: y.output }, (_, i) => y.cell(i));
  const columns = Array.from({ length: x.output }, (_, i) => x.cell(i));
  const data = isMax
    ? emptyLike(input.data, channels * y.output * x.output)
    : new Float32Array(channels * y.output * x.output);
  const lowest = input.data instanceof Int8Array ? -128 : -3.4028234663852886e38;
  let o = 0;
  for (let c = 0; c < channels; c++) {
    for (const row of rows) {
      for (const column of columns) {
        let max = lowest;
        let sum = 0;
        for (let iy = row.begin; iy < row.end; iy++) {
          const line = (c * h + iy) * w;
          for (let ix = column.begin; ix < column.end; ix++) {
            const v = input.data[line + ix];
            sum += v;
            if (v > max) max = v;
          }
        }
        data[o++] = isMax ? max : sum / (row.counted * column.counted);
      }
    }
  }
  return { shape, data };
}
