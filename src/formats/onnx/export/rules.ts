/** One rule per ncnn layer type: its equivalent in ONNX opset 17. */
import type { Shape } from "../../../ir/tensor.ts";
import { activationTypes } from "../../../ops/_activation.ts";
import { type WindowParams, windowAxes } from "../../../ops/_spatial.ts";
import { binaryOpTypes, broadcast } from "../../../ops/binary-op.ts";
import { cropBox } from "../../../ops/crop.ts";
import { permutation } from "../../../ops/permute.ts";
import { poolingTypes } from "../../../ops/pooling.ts";
import { float, int, ints, type OnnxAttribute } from "../model.ts";
import type { Exporter, ExportRule } from "./context.ts";

const count = (shape: Shape): number => shape.reduce((a, b) => a * b, 1);
const input = (e: Exporter, i = 0): string => e.node.inputs[i];
const inputShape = (e: Exporter, i = 0): Shape => e.shape(input(e, i));
const outputShape = (e: Exporter): Shape => e.shape(e.node.outputs[0]);
const text = (value: string): OnnxAttribute => ({ kind: "string", value });

const simple =
  (opType: string, attributes: (e: Exporter) => Record<string, OnnxAttribute> = () => ({})): ExportRule =>
  (e) => {
    e.result(opType, [input(e)], attributes(e));
  };

// --- activations ---

/** Applies a fused activation to `value`; the result is the layer's output. */
function activate(e: Exporter, value: string): void {
  const [a = 0, b = 0] = e.list("activation_params");
  switch (e.number("activation_type")) {
    case activationTypes.none:
      e.result("Identity", [value]);
      return;
    case activationTypes.relu:
      e.result("Relu", [value]);
      return;
    case activationTypes.leakyRelu:
      e.result("LeakyRelu", [value], { alpha: float(a) });
      return;
    case activationTypes.clip:
      e.result("Clip", [value, e.scalar("min", a), e.scalar("max", b)]);
      return;
    case activationTypes.sigmoid:
      e.result("Sigmoid", [value]);
      return;
    case activationTypes.mish:
      mishOf(e, value);
      return;
    case activationTypes.hardSwish:
      hardSwishOf(e, value, a, b);
      return;
    default:
      e.unsupported(`activation ${e.number("activation_type")}`);
  }
}

/** Emits a weighted layer, then its activation where it has one. */
function withActivation(
  e: Exporter,
  opType: string,
  inputs: readonly string[],
  attributes: Record<string, OnnxAttribute>,
): void {
  if (e.number("activation_type") === activationTypes.none) e.result(opType, inputs, attributes);
  else activate(e, e.add(opType, inputs, attributes));
}

function mishOf(e: Exporter, value: string): void {
  const gate = e.add("Tanh", [e.add("Softplus", [value])]);
  e.result("Mul", [value, gate]);
}
function hardSwishOf(e: Exporter, value: string, alpha: number, beta: number): void {
  const gate = e.add("HardSigmoid", [value], { alpha: float(alpha), beta: float(beta) });
  e.result("Mul", [value, gate]);
}
const gelu: ExportRule = (e) => {
  const x = input(e);
  const inner = e.number("fast_gelu")
    ? e.add("Tanh", [
        e.add("Mul", [
          e.add("Add", [
            x,
            e.add("Mul", [e.add("Pow", [x, e.scalar("three", 3)]), e.scalar("cubic", 0.044715)]),
          ]),
          e.scalar("factor", Math.sqrt(2 / Math.PI)),
        ]),
      ])
    : e.add("Erf", [e.add("Div", [x, e.scalar("root", Math.SQRT2)])]);
  const gate = e.add("Add", [inner, e.scalar("one", 1)]);
  e.result("Mul", [e.add("Mul", [x, gate]), e.scalar("half", 0.5)]);
};
const relu: ExportRule = (e) => {
  const slope = e.number("slope");
  if (slope === 0) e.result("Relu", [input(e)]);
  else e.result("LeakyRelu", [input(e)], { alpha: float(slope) });
};
const prelu: ExportRule = (e) => {
  const n = e.number("num_slope");
  const inner = inputShape(e).length - 1;
  const dims = n === 1 ? [1] : [n, ...new Array<number>(inner).fill(1)];
  e.result("PRelu", [input(e), e.weight("slope", dims)]);
};

// --- convolutions and pooling ---

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
  const [, h, w] = shape;
  const [, outH, outW] = outputShape(e);
  const isFixed = e.number("output_height") > 0 && e.number("output_width") > 0;
  if (isFixed && e.dynamic) e.unsupported("a fixed target size");
  const type = e.number("resize_type");
  const attributes: Record<string, OnnxAttribute> = {
    mode: text(["", "nearest", "linear", "cubic"][type] ?? e.unsupported(`resize_type ${type}`)),
    coordinate_transformation_mode: text(
      type === 1 ? "asymmetric" : e.number("align_corner") ? "align_corners" : "half_pixel",
    ),
  };
  if (type === 1) attributes.nearest_mode = text("floor");
  const scales = isFixed ? [outH / h, outW / w] : [e.number("height_scale"), e.number("width_scale")];
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

// --- arithmetic ---

/** ONNX broadcasts like numpy, ncnn from the outermost axis: both operands get one rank first. */
function operands(e: Exporter): string[] {
  const [a, b] = [inputShape(e, 0), inputShape(e, 1)];
  const raised = broadcast(a, b);
  return [raiseRank(e, input(e, 0), a, raised.a), raiseRank(e, input(e, 1), b, raised.b)];
}
function raiseRank(e: Exporter, value: string, shape: Shape, raised: Shape): string {
  if (shape.length === raised.length) return value;
  const missing = raised.length - shape.length;
  // Extents of 1 are appended, but for a row, which is put in front.
  const isRow = shape.length === 1 && raised[raised.length - 1] === shape[0] && raised[0] !== shape[0];
  const first = isRow ? 1 : 1 + shape.length;
  const axes = Array.from({ length: missing }, (_, i) => first + i);
  return e.add("Unsqueeze", [value, e.ints("axes", axes)]);
}

const binaryOps: Partial<
  Record<(typeof binaryOpTypes)[number], readonly [opType: string, swapped: boolean]>
> = {
  add: ["Add", false],
  sub: ["Sub", false],
  mul: ["Mul", false],
  div: ["Div", false],
  max: ["Max", false],
  min: ["Min", false],
  pow: ["Pow", false],
  rsub: ["Sub", true],
  rdiv: ["Div", true],
  rpow: ["Pow", true],
};

const binary: ExportRule = (e) => {
  const name = binaryOpTypes[e.number("op_type")];
  const found = binaryOps[name] ?? e.unsupported(`the operation ${name}`);
  const [opType, isSwapped] = found;
  const inputs = e.number("with_scalar") ? [input(e), e.scalar("b", e.number("b"))] : operands(e);
  e.result(opType, isSwapped ? inputs.toReversed() : inputs);
};

const unaryNames =
  "Abs Neg Floor Ceil square Sqrt rsqrt Exp Log Sin Cos Tan Asin Acos Atan Reciprocal Tanh log10 Round trunc Sign expm1 Sinh Asinh Cosh Acosh Atanh log1p".split(
    " ",
  );
const unary: ExportRule = (e) => {
  const name = unaryNames[e.number("op_type")];
  if (name === "square") e.result("Mul", [input(e), input(e)]);
  else if (name === "rsqrt") e.result("Reciprocal", [e.add("Sqrt", [input(e)])]);
  else if (name === undefined || /^[a-z]/.test(name)) e.unsupported(`the operation ${name}`);
  else e.result(name, [input(e)]);
};

const eltwise: ExportRule = (e) => {
  const type = e.number("op_type");
  const coefficients = e.list("coeffs");
  const terms = e.node.inputs.map((value, i) =>
    type === 1 && coefficients.length ? e.add("Mul", [value, e.scalar(`coeff${i}`, coefficients[i])]) : value,
  );
  const opType = ["Mul", "Add", "Max"][type] ?? e.unsupported(`op_type ${type}`);
  terms.slice(1).reduce((sum, term, i) => {
    const isLast = i === terms.length - 2;
    return e.add(opType, [sum, term], {}, isLast ? e.node.outputs[0] : undefined);
  }, terms[0]);
};

/** y = x·scale + bias per outermost axis. */
function affine(e: Exporter, scale: ArrayLike<number>, bias: ArrayLike<number> | undefined): void {
  const dims = [scale.length, ...new Array<number>(inputShape(e).length - 1).fill(1)];
  const factor = e.floats("scale", dims, scale);
  if (!bias) e.result("Mul", [input(e), factor]);
  else e.result("Add", [e.add("Mul", [input(e), factor]), e.floats("bias", dims, bias)]);
}
const batchNorm: ExportRule = (e) => {
  const statistics = ["slope", "bias", "mean", "variance"].map((name) =>
    e.weight(name, [e.number("channels")]),
  );
  e.result("BatchNormalization", [input(e), ...statistics], { epsilon: float(e.number("eps")) });
};
const scale: ExportRule = (e) => {
  if (e.node.inputs.length > 1) e.unsupported("a scale from another blob");
  affine(e, e.weightValues("scale"), e.number("bias_term") ? e.weightValues("bias") : undefined);
};

// --- moving data ---

const axisAttribute = (e: Exporter): OnnxAttribute => {
  const axis = e.number("axis");
  return int(1 + (axis < 0 ? axis + inputShape(e).length : axis));
};

const slice: ExportRule = (e) => {
  const axis = axisAttribute(e);
  const at = axis.kind === "int" ? axis.value - 1 : 0;
  const sizes = e.node.outputs.map((blob) => e.shape(blob)[at]);
  e.addMany("Split", [input(e), e.ints("sizes", sizes)], { axis }, e.node.outputs);
};

const crop: ExportRule = (e) => {
  const shape = inputShape(e);
  const shapes = e.node.inputs.map((blob) => e.shape(blob));
  const box = cropBox(shapes, e.params() as unknown as Parameters<typeof cropBox>[1]);
  const axes = shape.map((_, i) => i).filter((i) => box.shape[i] !== shape[i]);
  if (axes.length === 0) {
    e.result("Identity", [input(e)]);
    return;
  }
  const ends = axes.map((i) => {
    const end = box.starts[i] + box.shape[i];
    return end === shape[i] ? 2 ** 31 - 1 : end;
  });
  const starts = axes.map((i) => box.starts[i]);
  const bounds = [e.ints("starts", starts), e.ints("ends", ends)];
  const where = e.ints(
    "axes",
    axes.map((i) => i + 1),
  );
  e.result("Slice", [input(e), ...bounds, where]);
};

const reshape: ExportRule = (e) => {
  const shape = outputShape(e);
  const names = ["w", "hw", "chw", "cdhw"][shape.length - 1];
  const from = inputShape(e);
  const given = [...names].map((name) => e.number(name));
  const wanted = shape.map((extent, i) => {
    if (given[i] !== 0) return given[i] === -1 ? -1 : extent;
    // ncnn copies the extent of the same name, ONNX the one at the same place.
    return from.length === shape.length ? 0 : extent;
  });
  e.reshape(input(e), wanted, e.node.outputs[0]);
};

const view: ExportRule = (e) => {
  if (e.dynamic && count(outputShape(e)) !== outputShape(e)[0])
    e.unsupported("a change of rank with open sizes");
  e.reshape(input(e), outputShape(e).length === 1 ? [-1] : outputShape(e), e.node.outputs[0]);
};

const permute: ExportRule = (e) => {
  const perm = permutation(e.number("order_type"), inputShape(e).length);
  e.result("Transpose", [input(e)], { perm: ints([0, ...perm.map((axis) => axis + 1)]) });
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

const memoryData: ExportRule = (e) => {
  const shape = outputShape(e);
  const value = {
    kind: "tensor",
    value: { type: "float32", dims: [1, ...shape], data: e.weightValues("data") },
  };
  e.addMany("Constant", [], { value: value as OnnxAttribute }, e.node.outputs);
};

const noop: ExportRule = (e) => {
  e.node.outputs.forEach((output, i) => {
    e.add("Identity", [input(e, i)], {}, output);
  });
};

const dropout: ExportRule = (e) => {
  const factor = e.number("scale");
  if (factor === 1) e.result("Identity", [input(e)]);
  else e.result("Mul", [input(e), e.scalar("scale", factor)]);
};

// --- axes and matrices ---

const reductionNames =
  "ReduceSum abs ReduceSumSquare ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp".split(
    " ",
  );
const reduction: ExportRule = (e) => {
  const name = reductionNames[e.number("operation")];
  if (name === undefined || name === "abs" || e.number("coeff") !== 1) e.unsupported("this reduction");
  const rank = inputShape(e).length;
  const all = Array.from({ length: rank }, (_, i) => i);
  const axes = (e.number("reduce_all") ? all : e.list("axes").map((a) => (a < 0 ? a + rank : a))).map(
    (a) => a + 1,
  );
  const keeps = e.number("keepdims") === 1;
  // Opset 17: only ReduceSum takes its axes as an input.
  const isSum = name === "ReduceSum";
  const inputs = isSum ? [input(e), e.ints("axes", axes)] : [input(e)];
  const attributes: Record<string, OnnxAttribute> = { keepdims: int(keeps ? 1 : 0) };
  if (!isSum) attributes.axes = ints(axes);
  const isScalar = axes.length === rank && !keeps;
  if (isScalar) e.reshape(e.add(name, inputs, attributes), [1], e.node.outputs[0]);
  else e.result(name, inputs, attributes);
};

const layerNorm: ExportRule = (e) => {
  const size = e.number("affine_size");
  const shape = inputShape(e);
  let axis = shape.length;
  let covered = 1;
  while (axis > 0 && covered < size) covered *= shape[--axis];
  if (covered !== size) e.unsupported(`an affine_size of ${size}`);
  const dims = shape.slice(axis);
  const isAffine = e.number("affine") === 1;
  const gamma = isAffine ? e.weight("gamma", dims) : e.floats("gamma", dims, new Float32Array(size).fill(1));
  const beta = isAffine ? [e.weight("beta", dims)] : [];
  e.result("LayerNormalization", [input(e), gamma, ...beta], {
    axis: int(axis + 1),
    epsilon: float(e.number("eps")),
  });
};

const instanceNorm: ExportRule = (e) => {
  const [c] = inputShape(e);
  const isAffine = e.number("affine") === 1;
  const gamma = isAffine ? e.weight("gamma", [c]) : e.floats("gamma", [c], new Float32Array(c).fill(1));
  const beta = isAffine ? e.weight("beta", [c]) : e.floats("beta", [c], new Float32Array(c));
  e.result("InstanceNormalization", [input(e), gamma, beta], { epsilon: float(e.number("eps")) });
};

/** Opset 17 has no group normalization: each group is an instance of its own. */
const groupNorm: ExportRule = (e) => {
  const [c] = inputShape(e);
  const groups = e.number("group");
  const ones = e.floats("ones", [groups], new Float32Array(groups).fill(1));
  const zeros = e.floats("zeros", [groups], new Float32Array(groups));
  const split = e.add("Reshape", [input(e), e.ints("groups", [1, groups, -1])]);
  const plain = e.add("InstanceNormalization", [split, ones, zeros], { epsilon: float(e.number("eps")) });
  const isAffine = e.number("affine") === 1;
  const joined = e.add(
    "Reshape",
    [plain, e.add("Shape", [input(e)])],
    {},
    isAffine ? undefined : e.node.outputs[0],
  );
  if (!isAffine) return;
  const dims = [
    c,
    ...inputShape(e)
      .slice(1)
      .map(() => 1),
  ];
  e.result("Add", [e.add("Mul", [joined, e.weight("gamma", dims)]), e.weight("beta", dims)]);
};

const tile: ExportRule = (e) => {
  const [from, to] = [inputShape(e), outputShape(e)];
  const value =
    from.length === to.length
      ? input(e)
      : e.reshape(input(e), [...to.slice(from.length).map(() => 1), ...from]);
  const padded = [...to.slice(from.length).map(() => 1), ...from];
  e.result("Tile", [value, e.ints("repeats", [1, ...to.map((extent, i) => extent / padded[i])])]);
};

const matMul: ExportRule = (e) => {
  const [a, b] = e.node.inputs;
  const rank = inputShape(e, 1).length;
  if (!e.number("transB")) {
    e.result("MatMul", [a, b]);
    return;
  }
  const perm = Array.from({ length: rank + 1 }, (_, i) => i);
  perm.splice(rank - 1, 2, rank, rank - 1);
  e.result("MatMul", [a, e.add("Transpose", [b], { perm: ints(perm) })]);
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

const slopes = (e: Exporter): Record<string, OnnxAttribute> => ({
  alpha: float(e.number("alpha")),
  beta: float(e.number("beta")),
});

export const exportRules: Record<string, ExportRule> = {
  AbsVal: simple("Abs"),
  BatchNorm: batchNorm,
  BinaryOp: binary,
  CELU: simple("Celu", (e) => ({ alpha: float(e.number("alpha")) })),
  Clip: (e) => {
    e.result("Clip", [input(e), e.scalar("min", e.number("min")), e.scalar("max", e.number("max"))]);
  },
  Concat: (e) => {
    e.result("Concat", e.node.inputs, { axis: axisAttribute(e) });
  },
  Convolution: convolution,
  ConvolutionDepthWise: convolution,
  Crop: crop,
  Deconvolution: deconvolution,
  DeconvolutionDepthWise: deconvolution,
  Dropout: dropout,
  ELU: simple("Elu", (e) => ({ alpha: float(e.number("alpha")) })),
  Eltwise: eltwise,
  Erf: simple("Erf"),
  ExpandDims: view,
  Flatten: simple("Flatten"),
  GELU: gelu,
  GroupNorm: groupNorm,
  HardSigmoid: simple("HardSigmoid", slopes),
  HardSwish: (e) => hardSwishOf(e, input(e), e.number("alpha"), e.number("beta")),
  InnerProduct: innerProduct,
  InstanceNorm: instanceNorm,
  Interp: interp,
  LRN: lrn,
  LayerNorm: layerNorm,
  MatMul: matMul,
  MemoryData: memoryData,
  Mish: (e) => mishOf(e, input(e)),
  Noop: noop,
  PReLU: prelu,
  Padding: padding,
  Permute: permute,
  PixelShuffle: pixelShuffle,
  Pooling: pooling,
  ReLU: relu,
  Reduction: reduction,
  Reorg: reorg,
  Reshape: reshape,
  SELU: simple("Selu", (e) => ({ alpha: float(e.number("alpha")), gamma: float(e.number("lambda")) })),
  Scale: scale,
  ShuffleChannel: shuffleChannel,
  Sigmoid: simple("Sigmoid"),
  Slice: slice,
  Softmax: (e) => {
    e.result("Softmax", [input(e)], { axis: inputShape(e).length === 1 ? int(1) : axisAttribute(e) });
  },
  Softplus: simple("Softplus"),
  Squeeze: view,
  Swish: (e) => {
    e.result("Mul", [input(e), e.add("Sigmoid", [input(e)])]);
  },
  TanH: simple("Tanh"),
  Tile: tile,
  UnaryOp: unary,
};
