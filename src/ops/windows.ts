/** Windows that slide over a picture: parameters, padding and output extents shared by convolution layers. */
import { GraphError } from "../base/errors.ts";
import { float, int, type ParamValues, type WindowAxis } from "../ir/op.ts";
import { formatShape, type Shape } from "../ir/tensor.ts";

export type { WindowAxis } from "../ir/op.ts";

/** Special pad values that ask for TensorFlow's SAME padding. */
export const padSameUpper = -233;
export const padSameLower = -234;

/** Parameters of Convolution and its relatives; ids as in ncnn src/layer/convolution.cpp. */
export const windowParams = {
  num_output: int(0),
  kernel_w: int(1),
  kernel_h: int(11, "kernel_w"),
  dilation_w: int(2, 1),
  dilation_h: int(12, "dilation_w"),
  stride_w: int(3, 1),
  stride_h: int(13, "stride_w"),
  pad_left: int(4),
  pad_right: int(15, "pad_left"),
  pad_top: int(14, "pad_left"),
  pad_bottom: int(16, "pad_top"),
  pad_value: float(18),
  bias_term: int(5),
  weight_data_size: int(6),
};
export type WindowParams = Omit<
  ParamValues<typeof windowParams>,
  "num_output" | "bias_term" | "weight_data_size" | "pad_value"
>;

/** Both axes of a sliding window over `[c, h, w]`, explicit or SAME padding resolved. Throws GraphError. */
export function windowAxes(shape: Shape, p: WindowParams): { y: WindowAxis; x: WindowAxis } {
  if (shape.length !== 3) {
    throw new GraphError(
      `expected a rank 3 input (w, h, c), found rank ${shape.length}: ${formatShape(shape)}`,
    );
  }
  for (const name of ["kernel_w", "kernel_h", "stride_w", "stride_h", "dilation_w", "dilation_h"] as const) {
    if (p[name] < 1) throw new GraphError(`${name} is ${p[name]}, expected at least 1`);
  }
  requireOneKindOfPads(p);
  const same = samePadding(p);
  const axis = (
    input: number,
    kernel: number,
    stride: number,
    dilation: number,
    before: number,
    after: number,
  ): WindowAxis => {
    const extent = dilation * (kernel - 1) + 1;
    let padBefore = Math.max(before, 0);
    let padAfter = Math.max(after, 0);
    if (same) {
      const total = Math.max(extent + Math.floor((input - 1) / stride) * stride - input, 0);
      padBefore = same === padSameUpper ? Math.floor(total / 2) : Math.ceil(total / 2);
      padAfter = total - padBefore;
    }
    const output = Math.floor((input + padBefore + padAfter - extent) / stride) + 1;
    return { kernel, stride, dilation, padBefore, padAfter, input, output };
  };
  return {
    y: axis(shape[1], p.kernel_h, p.stride_h, p.dilation_h, p.pad_top, p.pad_bottom),
    x: axis(shape[2], p.kernel_w, p.stride_w, p.dilation_w, p.pad_left, p.pad_right),
  };
}

/** Native ncnn takes a special value beside a pad for a number of cells, and fails. */
export function requireOneKindOfPads({
  pad_left,
  pad_right,
  pad_top,
  pad_bottom,
}: Pick<WindowParams, "pad_left" | "pad_right" | "pad_top" | "pad_bottom">): void {
  const pads = [pad_left, pad_right, pad_top, pad_bottom];
  if (!pads.some((pad) => pad > 0) || pads.every((pad) => pad >= 0)) return;
  throw new GraphError(
    `pads are ${pads.join(", ")}; expected numbers of cells, or one value for all four sides`,
  );
}

function samePadding(p: WindowParams): number | undefined {
  const pads = [p.pad_left, p.pad_right, p.pad_top, p.pad_bottom];
  return [padSameUpper, padSameLower].find((special) => pads.every((pad) => pad === special));
}

/** A copy of `[c, h, w]` data with a border, so that kernels need no bounds checks. */
export function padPlanes<T extends Float32Array | Int8Array>(
  data: T,
  channels: number,
  y: WindowAxis,
  x: WindowAxis,
  value: number,
): T {
  if (!(y.padBefore || y.padAfter || x.padBefore || x.padAfter)) return data;
  const height = y.input + y.padBefore + y.padAfter;
  const width = x.input + x.padBefore + x.padAfter;
  const length = channels * height * width;
  const out = (data instanceof Int8Array ? new Int8Array(length) : new Float32Array(length)) as T;
  if (value !== 0) out.fill(value);
  for (let c = 0; c < channels; c++) {
    for (let row = 0; row < y.input; row++) {
      const from = (c * y.input + row) * x.input;
      out.set(data.subarray(from, from + x.input), (c * height + row + y.padBefore) * width + x.padBefore);
    }
  }
  return out;
}
