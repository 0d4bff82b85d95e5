/** Layers that see pictures: convolutions, pooling, resizing, padding, blocks of pixels. */
import type { Shape } from "../../../ir/tensor.ts";
import { isSized } from "../../../ops/interp.ts";
import { hasDoublePads, poolingTypes } from "../../../ops/pooling.ts";
import { type WindowParams, windowAxes } from "../../../ops/windows.ts";
import { float, int, ints, type OnnxAttribute } from "../model.ts";
import { withActivation } from "./activation.ts";
import { type Exporter, type ExportRule, input, inputShape, outputShape, text } from "./context.ts";

function windowAttributes(e: Exporter): Record<string, OnnxAttribute> {
  const p = e.params() as unknown as WindowParams;
  const { y, x } = windowAxes(inputShape(e), p);
  return {
    kernel_shape: ints([y.kernel, x.kernel]),
    strides: ints([y.stride, x.stride]),
    dilations: ints([y.dilation, x.dilation]),
    pads: ints([y.padBefore, x.padBefore, y.padAfter, x.padAfter]),
  };
}

const convolution: ExportRule = (e) => {
  if (e.number("int8_scale_term")) e.unsupported("an int8 layer; export the float model, it");
  if (e.number("pad_value")) e.unsupported("padding by another value than 0");
  const shape = inputShape(e);
  if (shape.length === 1) return innerProduct(e);
  const group = e.node.type === "ConvolutionDepthWise" ? e.number("group") : 1;
  const outputs = e.number("num_output");
  const dims = [outputs, shape[0] / group, e.number("kernel_h"), e.number("kernel_w")];
  const bias = e.number("bias_term") ? [e.weight("bias", [outputs])] : [];
  const attributes = { ...windowAttributes(e), group: int(group) };
  withActivation(e, "Conv", [input(e), e.weight("weight", dims), ...bias], attributes);
};

const deconvolution: ExportRule = (e) => {
  const [inputs] = inputShape(e);
  const group = e.node.type === "DeconvolutionDepthWise" ? e.number("group") : 1;
  const outputs = e.number("num_output");
  const pads = ["pad_top", "pad_left", "pad_bottom", "pad_right"].map((name) => e.number(name));
  if (pads.some((pad) => pad < 0)) e.unsupported("padding that depends on the size");
  const [kh, kw] = [e.number("kernel_h"), e.number("kernel_w")];
  const [inGroup, outGroup] = [inputs / group, outputs / group];
  const values = e.weightValues("weight");
  const area = kh * kw;
  const swapped = new Float32Array(values.length);
  for (let g = 0; g < group; g++) {
    for (let o = 0; o < outGroup; o++) {
      for (let i = 0; i < inGroup; i++) {
        const from = ((g * outGroup + o) * inGroup + i) * area;
        swapped.set(values.subarray(from, from + area), ((g * inGroup + i) * outGroup + o) * area);
      }
    }
  }
  const bias = e.number("bias_term") ? [e.weight("bias", [outputs])] : [];
  withActivation(
    e,
    "ConvTranspose",
    [input(e), e.floats("weight", [inputs, outGroup, kh, kw], swapped), ...bias],
    {
      kernel_shape: ints([kh, kw]),
      strides: ints([e.number("stride_h"), e.number("stride_w")]),
      dilations: ints([e.number("dilation_h"), e.number("dilation_w")]),
      pads: ints(pads),
      output_padding: ints([e.number("output_pad_bottom"), e.number("output_pad_right")]),
      group: int(group),
    },
  );
};

const innerProduct: ExportRule = (e) => {
  if (e.number("int8_scale_term")) e.unsupported("an int8 layer; export the float model, it");
  const outputs = e.number("num_output");
  const size = e.number("weight_data_size") / outputs;
  const shape = inputShape(e);
  const weight = e.weight("weight", [outputs, size]);
  const bias = e.number("bias_term") ? [e.weight("bias", [outputs])] : [];
  if (outputShape(e).length === 1) {
    const flat = shape.length === 1 ? input(e) : e.add("Flatten", [input(e)]);
    withActivation(e, "Gemm", [flat, weight, ...bias], { transB: int(1) });
    return;
  }
  const turned = e.add("Transpose", [weight], { perm: ints([1, 0]) });
  if (bias.length > 0) withActivation(e, "Add", [e.add("MatMul", [input(e), turned]), bias[0]], {});
  else withActivation(e, "MatMul", [input(e), turned], {});
};

const pooling: ExportRule = (e) => {
  const isMax = e.number("pooling_type") === poolingTypes.max;
  const [c, h, w] = inputShape(e);
  if (e.number("global_pooling")) {
    const pooled = e.add(isMax ? "GlobalMaxPool" : "GlobalAveragePool", [input(e)]);
    e.result("Flatten", [pooled]);
    return;
  }
  const [, outH, outW] = outputShape(e);
  if (e.number("adaptive_pooling")) {
    const isDivisible = h % outH === 0 && w % outW === 0 && !e.dynamic;
    if (!isDivisible) e.unsupported(`adaptive pooling of ${w}x${h} to ${outW}x${outH}`);
    const cell = ints([h / outH, w / outW]);
    e.result(isMax ? "MaxPool" : "AveragePool", [input(e)], { kernel_shape: cell, strides: cell });
    return;
  }
  const mode = e.number("pad_mode");
  if (hasDoublePads(e.params() as unknown as Parameters<typeof hasDoublePads>[0]))
    e.unsupported("pads beside SAME");
  const p = e.params() as unknown as WindowParams;
  const same = mode === 2 || mode === 3 ? -231 - mode : undefined;
  const pads = same === undefined ? {} : { pad_left: same, pad_right: same, pad_top: same, pad_bottom: same };
  const { y, x } = windowAxes([c, h, w], { ...p, ...pads, dilation_w: 1, dilation_h: 1 });
  // "full" (ceil): the tail is made of explicit padding, unless nothing hangs over.
  const tail = (axis: typeof y, out: number): number =>
    Math.max((out - 1) * axis.stride + axis.kernel - axis.input - axis.padBefore, axis.padAfter);
  const [bottom, right] = mode === 0 ? [tail(y, outH), tail(x, outW)] : [y.padAfter, x.padAfter];
  const hangsOver = bottom !== y.padAfter || right !== x.padAfter;
  if (mode !== 1 && e.dynamic && (hangsOver || mode >= 2)) e.unsupported("padding that depends on the size");
  const attributes: Record<string, OnnxAttribute> = {
    kernel_shape: ints([y.kernel, x.kernel]),
    strides: ints([y.stride, x.stride]),
    pads: ints([y.padBefore, x.padBefore, bottom, right]),
  };
  if (!isMax && (e.number("avgpool_count_include_pad") || mode >= 2)) attributes.count_include_pad = int(1);
  e.result(isMax ? "MaxPool" : "AveragePool", [input(e)], attributes);
};

const interp: ExportRule = (e) => {
  const shape = inputShape(e);
  if (shape.length !== 3 || e.number("dynamic_target_size"))
    e.unsupported("resizing to a size from another blob");
  const [c, outH, outW] = outputShape(e);
  const isFixed = isSized(e.params() as unknown as Parameters<typeof isSized>[0]);
  if (isFixed && e.dynamic) e.unsupported("a fixed target size");
  const type = e.number("resize_type");
  const attributes: Record<string, OnnxAttribute> = {
    mode: text(["", "nearest", "linear", "cubic"][type] ?? e.unsupported(`resize_type ${type}`)),
    coordinate_transformation_mode: text(
      type === 1 ? "asymmetric" : e.number("align_corner") ? "align_corners" : "half_pixel",
    ),
  };
  if (type === 1) attributes.nearest_mode = text("floor");
  if (isFixed) {
    e.result("Resize", [input(e), "", "", e.ints("sizes", [1, c, outH, outW])], attributes);
    return;
  }
  const scales = [e.number("height_scale"), e.number("width_scale")];
  e.result("Resize", [input(e), "", e.floats("scales", [4], [1, 1, ...scales])], attributes);
};

const padding: ExportRule = (e) => {
  const rank = inputShape(e).length;
  if (rank > 3 || e.number("per_channel_pad_data_size")) e.unsupported("padding per channel, or of rank 4,");
  const sides: [string, string][] = [
    ["front", "behind"],
    ["top", "bottom"],
    ["left", "right"],
  ];
  const used = sides.slice(3 - rank);
  const pads = [0, ...used.map(([name]) => e.number(name)), 0, ...used.map(([, name]) => e.number(name))];
  const mode = ["constant", "edge", "reflect"][e.number("type")];
  e.result("Pad", [input(e), e.ints("pads", pads), e.scalar("value", e.number("value"))], {
    mode: text(mode),
  });
};

/** Blocks of channels and pixels: a view with the axes apart, a transpose, and a view of the result. */
function blocks(e: Exporter, apart: Shape, perm: readonly number[]): void {
  if (e.dynamic) e.unsupported("this layer with open sizes");
  const split = e.reshape(input(e), apart);
  const turned = e.add("Transpose", [split], { perm: ints([0, ...perm.map((axis) => axis + 1)]) });
  e.reshape(turned, outputShape(e), e.node.outputs[0]);
}

const shuffleChannel: ExportRule = (e) => {
  const [c, h, w] = inputShape(e);
  const group = e.number("reverse") ? c / e.number("group") : e.number("group");
  // Height and width may stay open: 0 copies, -1 is what is left.
  const split = e.add("Reshape", [input(e), e.ints("shape", [1, group, c / group, -1])]);
  const turned = e.add("Transpose", [split], { perm: ints([0, 2, 1, 3]) });
  if (!e.dynamic) {
    e.reshape(turned, [c, h, w], e.node.outputs[0]);
    return;
  }
  e.result("Reshape", [turned, e.add("Shape", [input(e)])]);
};

const pixelShuffle: ExportRule = (e) => {
  const mode = e.number("mode") ? "DCR" : "CRD";
  e.result("DepthToSpace", [input(e)], { blocksize: int(e.number("upscale_factor")), mode: text(mode) });
};

const reorg: ExportRule = (e) => {
  const s = e.number("stride");
  const [c, h, w] = inputShape(e);
  if (e.number("mode") === 1) e.result("SpaceToDepth", [input(e)], { blocksize: int(s) });
  else blocks(e, [c, h / s, s, w / s, s], [0, 2, 4, 1, 3]);
};

const lrn: ExportRule = (e) => {
  if (e.number("region_type")) e.unsupported("LRN within channels");
  e.result("LRN", [input(e)], {
    size: int(e.number("local_size")),
    alpha: float(e.number("alpha")),
    beta: float(e.number("beta")),
    bias: float(e.number("bias")),
  });
};

export const pictures: Record<string, ExportRule> = {
  Convolution: convolution,
  ConvolutionDepthWise: convolution,
  Deconvolution: deconvolution,
  DeconvolutionDepthWise: deconvolution,
  InnerProduct: innerProduct,
  Interp: interp,
  LRN: lrn,
  Padding: padding,
  PixelShuffle: pixelShuffle,
  Pooling: pooling,
  Reorg: reorg,
  ShuffleChannel: shuffleChannel,
};
