/**
 * `torch.nn` modules as ncnn layers, each raw: nothing is folded or fused here, passes do that.
 * Source: PyTorch torch/nn/modules/*.py (attribute names, defaults, evaluation-mode semantics).
 */

import type { Params } from "../../ir/op.ts";
import { keep, padModes, poolingTypes } from "../../ops/pooling.ts";
import type { Emitter, NetworkBuilder } from "./builder.ts";
import type { TorchModule } from "./module.ts";
import { describe } from "./values.ts";

/** Parameters of a sliding window, ncnn defaults left out. */
function windowParams(
  [kernelH, kernelW]: readonly [number, number],
  [strideH, strideW]: readonly [number, number],
  pads: { top: number; bottom: number; left: number; right: number },
  [dilationH, dilationW]: readonly [number, number] = [1, 1],
): Params {
  const params: Params = { kernel_w: kernelW };
  if (kernelH !== kernelW) params.kernel_h = kernelH;
  if (dilationW !== 1) params.dilation_w = dilationW;
  if (dilationH !== dilationW) params.dilation_h = dilationH;
  if (strideW !== 1) params.stride_w = strideW;
  if (strideH !== strideW) params.stride_h = strideH;
  if (pads.left) params.pad_left = pads.left;
  if (pads.right !== pads.left) params.pad_right = pads.right;
  if (pads.top !== pads.left) params.pad_top = pads.top;
  if (pads.bottom !== pads.top) params.pad_bottom = pads.bottom;
  return params;
}

function convolutionPads(
  m: TorchModule,
  kernel: readonly [number, number],
  dilation: readonly [number, number],
) {
  const padding = m.attribute("padding");
  if (padding === "valid") return { top: 0, bottom: 0, left: 0, right: 0 };
  if (padding === "same") {
    // Stride 1 only (PyTorch refuses others); the odd cell goes behind.
    const [y, x] = kernel.map((k, axis) => dilation[axis] * (k - 1));
    return { top: y >> 1, bottom: y - (y >> 1), left: x >> 1, right: x - (x >> 1) };
  }
  const [y, x] = m.pair("padding");
  return { top: y, bottom: y, left: x, right: x };
}

/** Conv2d. `replaced` stands for the module's own weights (same shapes), for callers that fold something into them. */
export function emitConvolution(
  b: NetworkBuilder,
  m: TorchModule,
  x: string,
  replaced: { weight?: Float32Array; bias?: Float32Array } = {},
): string {
  const own = m.tensor("weight", 4);
  const [numOutput, , kernelH, kernelW] = own.shape;
  const groups = m.integer("groups", 1);
  const mode = m.attribute("padding_mode") ?? "zeros";
  if (mode !== "zeros") m.unsupported(`padding_mode ${describe(mode)}, expected 'zeros'`);
  const dilation = m.pair("dilation", 1);
  const kernel = [kernelH, kernelW] as const;
  const bias = replaced.bias ?? (m.optionalTensor("bias") && m.vector("bias", numOutput));
  const params: Params = {
    num_output: numOutput,
    ...windowParams(kernel, m.pair("stride", 1), convolutionPads(m, kernel, dilation), dilation),
    ...(bias ? { bias_term: 1 } : {}),
    weight_data_size: own.data.length,
    ...(groups > 1 ? { group: groups } : {}),
  };
  const weight = replaced.weight ?? own.data;
  if (groups > 1) {
    return b.layer(m, "ConvolutionDepthWise", m.path, [x], params, { weight, ...(bias ? { bias } : {}) });
  }
  const swapped = b.swappedSource(x);
  const weights = {
    weight: swapped ? swapQuarters(m, own.shape, weight) : weight,
    ...(bias ? { bias } : {}),
  };
  return b.layer(m, "Convolution", m.path, [swapped ?? x], params, weights);
}

/** Weights `[out, 4·c, kh, kw]` with the second and third quarter of input channels exchanged. */
function swapQuarters(m: TorchModule, shape: readonly number[], data: Float32Array): Float32Array {
  if (shape[1] % 4) m.fail(`${shape[1]} input channels after space to depth, expected a multiple of 4`);
  const quarter = (shape[1] / 4) * shape[2] * shape[3];
  const out = new Float32Array(m.pay(data.length));
  for (let start = 0; start < data.length; start += 4 * quarter) {
    [0, 2, 1, 3].forEach((from, to) => {
      const at = start + from * quarter;
      out.set(data.subarray(at, at + quarter), start + to * quarter);
    });
  }
  return out;
}

/** ConvTranspose2d: PyTorch has the weights as `[in, out/groups, kh, kw]`, ncnn as `[out, in/groups, kh, kw]`. */
export const transposedConvolution: Emitter = (b, m, [x]) => {
  const { shape, data } = m.tensor("weight", 4);
  const [numInput, outPerGroup, kernelH, kernelW] = shape;
  const groups = m.integer("groups", 1);
  if (numInput % groups) m.fail(`${numInput} channels cannot be split into ${groups} groups`);
  const numOutput = outPerGroup * groups;
  const bias = m.optionalTensor("bias") && m.vector("bias", numOutput);
  const [padY, padX] = m.pair("padding");
  const [outputPadY, outputPadX] = m.pair("output_padding");
  const pads = { top: padY, bottom: padY, left: padX, right: padX };
  const params: Params = {
    num_output: numOutput,
    ...windowParams([kernelH, kernelW], m.pair("stride", 1), pads, m.pair("dilation", 1)),
    ...(bias ? { bias_term: 1 } : {}),
    weight_data_size: data.length,
    ...(groups > 1 ? { group: groups } : {}),
    ...(outputPadX ? { output_pad_right: outputPadX } : {}),
    ...(outputPadY !== outputPadX ? { output_pad_bottom: outputPadY } : {}),
  };
  const weight = new Float32Array(m.pay(data.length));
  const inPerGroup = numInput / groups;
  const size = kernelH * kernelW;
  for (let input = 0; input < numInput; input++) {
    for (let j = 0; j < outPerGroup; j++) {
      const output = Math.floor(input / inPerGroup) * outPerGroup + j;
      const from = (input * outPerGroup + j) * size;
      weight.set(data.subarray(from, from + size), (output * inPerGroup + (input % inPerGroup)) * size);
    }
  }
  const type = groups > 1 ? "DeconvolutionDepthWise" : "Deconvolution";
  return b.layer(m, type, m.path, [x], params, { weight, ...(bias ? { bias } : {}) });
};

const batchNorm: Emitter = (b, m, [x]) => {
  const channels = m.integer("num_features", 1);
  if (!m.optionalTensor("running_mean")) {
    m.unsupported("without running statistics (track_running_stats=False) the result depends on the batch");
  }
  const affine = m.flag("affine");
  const filled = (value: number) => new Float32Array(m.pay(channels)).fill(value);
  return b.layer(
    m,
    "BatchNorm",
    m.path,
    [x],
    { channels, eps: m.number("eps") },
    {
      slope: affine ? m.vector("weight", channels) : filled(1),
      mean: m.vector("running_mean", channels),
      variance: m.vector("running_var", channels),
      bias: affine ? m.vector("bias", channels) : filled(0),
    },
  );
};

const linear: Emitter = (b, m, [x]) => {
  const weight = m.tensor("weight", 2);
  const numOutput = weight.shape[0];
  const bias = m.optionalTensor("bias") && m.vector("bias", numOutput);
  return b.layer(
    m,
    "InnerProduct",
    m.path,
    [x],
    { num_output: numOutput, ...(bias ? { bias_term: 1 } : {}), weight_data_size: weight.data.length },
    { weight: weight.data, ...(bias ? { bias } : {}) },
  );
};

const maxPool: Emitter = (b, m, [x]) => {
  const kernel = m.pair("kernel_size", 1);
  const stride = m.attribute("stride") === null ? kernel : m.pair("stride", 1);
  const [padY, padX] = m.pair("padding");
  if (m.pair("dilation", 1).some((d) => d !== 1)) m.unsupported("dilation other than 1");
  if (m.flag("return_indices")) m.unsupported("return_indices");
  const ceil = m.flag("ceil_mode");
  if (ceil && (stride[0] > kernel[0] - padY || stride[1] > kernel[1] - padX)) {
    // PyTorch drops a last window that begins in the padding, ncnn does not.
    m.unsupported("ceil_mode with a stride greater than kernel_size − padding");
  }
  return b.layer(m, "Pooling", m.path, [x], {
    ...windowParams(kernel, stride, { top: padY, bottom: padY, left: padX, right: padX }),
    pad_mode: ceil ? padModes.full : padModes.valid,
  });
};

const averagePool: Emitter = (b, m, [x]) => {
  const kernel = m.pair("kernel_size", 1);
  const stride = m.attribute("stride") === null ? kernel : m.pair("stride", 1);
  const [padY, padX] = m.pair("padding");
  if (m.flag("ceil_mode")) m.unsupported("ceil_mode");
  if ((m.attribute("divisor_override") ?? null) !== null) m.unsupported("divisor_override");
  return b.layer(m, "Pooling", m.path, [x], {
    pooling_type: poolingTypes.average,
    ...windowParams(kernel, stride, { top: padY, bottom: padY, left: padX, right: padX }),
    pad_mode: padModes.valid,
    ...(m.flag("count_include_pad") ? { avgpool_count_include_pad: 1 } : {}),
  });
};

/** Adaptive, not global, pooling also for output 1: the result keeps rank 3, `[c, 1, 1]`, as in PyTorch. */
const adaptivePool =
  (type: number): Emitter =>
  (b, m, [x]) => {
    const asked = m.attribute("output_size");
    const [h, w] = (Array.isArray(asked) ? asked : [asked, asked]).map((extent) => {
      if (extent === null) return keep;
      return typeof extent === "number" && Number.isInteger(extent) && extent > 0
        ? extent
        : m.fail(`output_size is ${describe(asked)}`);
    });
    return emitAdaptivePool(b, m, m.path, x, type, h, w);
  };

export function emitAdaptivePool(
  b: NetworkBuilder,
  m: TorchModule,
  name: string,
  x: string,
  type: number = poolingTypes.average,
  h = 1,
  w = 1,
): string {
  return b.layer(m, "Pooling", name, [x], {
    ...(type ? { pooling_type: type } : {}),
    adaptive_pooling: 1,
    out_w: w,
    ...(h === w ? {} : { out_h: h }),
  });
}

const resizeTypes: Record<string, number> = { nearest: 1, bilinear: 2 };

const upsample: Emitter = (b, m, [x]) => {
  const mode = m.attribute("mode");
  const type = typeof mode === "string" && Object.hasOwn(resizeTypes, mode) ? resizeTypes[mode] : undefined;
  if (type === undefined)
    return m.unsupported(`mode ${describe(mode)}, expected ${Object.keys(resizeTypes).join(" or ")}`);
  const params: Params = { resize_type: type };
  if ((m.attribute("size") ?? null) !== null) {
    const [h, w] = m.pair("size", 1);
    Object.assign(params, { output_height: h, output_width: w });
  } else {
    const factor = m.attribute("scale_factor");
    const [h, w] = Array.isArray(factor) ? factor : [factor, factor];
    if (!isScale(h) || !isScale(w)) {
      return m.unsupported(`scale_factor ${describe(factor)}, expected whole numbers from 1 to 64`);
    }
    Object.assign(params, { height_scale: h, width_scale: w });
  }
  if (m.flag("align_corners")) params.align_corner = 1;
  return b.layer(m, "Interp", m.path, [x], params);
};

function isScale(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 64;
}

const zeroPad: Emitter = (b, m, [x]) => {
  const padding = m.attribute("padding");
  const sides = Array.isArray(padding) ? padding : [padding, padding, padding, padding];
  const [left, right, top, bottom] = sides.map((side) =>
    typeof side === "number" && Number.isInteger(side) && side >= 0 && side < 65536
      ? side
      : m.unsupported(`padding ${describe(padding)}`),
  );
  return b.layer(m, "Padding", m.path, [x], { top, bottom, left, right });
};

const flatten: Emitter = (b, m, [x]) => {
  if (m.integer("start_dim") !== 1 || m.attribute("end_dim") !== -1) {
    m.unsupported("start_dim other than 1 or end_dim other than -1");
  }
  return b.layer(m, "Flatten", m.path, [x]);
};

const prelu: Emitter = (b, m, [x]) => {
  const slope = m.tensor("weight", 1).data;
  return b.layer(m, "PReLU", m.path, [x], { num_slope: slope.length }, { slope });
};

const identity: Emitter = (_, __, [x]) => x;

const sequential: Emitter = (b, m, [x]) => m.children().reduce((blob, [, child]) => b.emit(child, blob), x);

const activation =
  (type: string, params: (m: TorchModule) => Params = () => ({})): Emitter =>
  (b, m, [x]) =>
    b.layer(m, type, m.path, [x], params(m));

/** relu6(x + 3) / 6 */
const hardGate = () => ({ alpha: 1 / 6, beta: 0.5 });

const gelu = (m: TorchModule): Params =>
  (m.attribute("approximate") ?? "none") === "none" ? {} : { fast_gelu: 1 };

/** Short name: `conv.Conv2d` for `torch.nn.modules.conv.Conv2d`. */
const torchEmitters: Record<string, Emitter> = {
  "activation.ELU": activation("ELU", (m) => ({ alpha: m.number("alpha") })),
  "activation.GELU": activation("GELU", gelu),
  "activation.Hardsigmoid": activation("HardSigmoid", hardGate),
  "activation.Hardswish": activation("HardSwish", hardGate),
  "activation.Hardtanh": activation("Clip", (m) => ({ min: m.number("min_val"), max: m.number("max_val") })),
  "activation.LeakyReLU": activation("ReLU", (m) => ({ slope: m.number("negative_slope") })),
  "activation.Mish": activation("Mish"),
  "activation.PReLU": prelu,
  "activation.ReLU": activation("ReLU"),
  "activation.ReLU6": activation("Clip", () => ({ min: 0, max: 6 })),
  "activation.SiLU": activation("Swish"),
  "activation.Sigmoid": activation("Sigmoid"),
  "activation.Tanh": activation("TanH"),
  "batchnorm.BatchNorm2d": batchNorm,
  // Of models trained on several devices; it computes the same from its running statistics.
  "batchnorm.SyncBatchNorm": batchNorm,
  "container.Sequential": sequential,
  "conv.Conv2d": (b, m, [x]) => emitConvolution(b, m, x),
  "conv.ConvTranspose2d": transposedConvolution,
  "dropout.Dropout": identity,
  "dropout.Dropout2d": identity,
  "flatten.Flatten": flatten,
  "linear.Identity": identity,
  "linear.Linear": linear,
  "padding.ZeroPad2d": zeroPad,
  "pooling.AdaptiveAvgPool2d": adaptivePool(poolingTypes.average),
  "pooling.AdaptiveMaxPool2d": adaptivePool(poolingTypes.max),
  "pooling.AvgPool2d": averagePool,
  "pooling.MaxPool2d": maxPool,
  "upsampling.Upsample": upsample,
  "upsampling.UpsamplingNearest2d": upsample,
};

/** Emitters by full class name. */
export const layerEmitters: ReadonlyMap<string, Emitter> = new Map(
  Object.entries(torchEmitters).map(([name, emitter]) => [`torch.nn.modules.${name}`, emitter]),
);
