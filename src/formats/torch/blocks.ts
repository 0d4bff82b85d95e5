/**
 * The blocks of YOLOv5 (`models/common.py`, releases 3.0 to 7.0) and YOLOv5-Lite (variants e, s, c, g) as ncnn layers.
 * Sources for attribute names and what `forward` computes: ultralytics/yolov5 v5.0 and v7.0 models/common.py;
 * ppogg/YOLOv5-Lite models/common.py at 9d649a6.
 */

import { binaryOpTypes } from "../../ops/binary-op.ts";
import { share } from "../../ops/slice.ts";
import type { Emitter, NetworkBuilder } from "./builder.ts";
import { emitAdaptivePool, emitConvolution } from "./layers.ts";
import type { TorchModule } from "./module.ts";

const concat = (b: NetworkBuilder, m: TorchModule, inputs: readonly string[], part = "cat"): string =>
  b.layer(m, "Concat", m.at(part), inputs);

const binary = (
  b: NetworkBuilder,
  m: TorchModule,
  op: (typeof binaryOpTypes)[number],
  part: string,
  inputs: readonly string[],
): string => b.layer(m, "BinaryOp", m.at(part), inputs, { op_type: binaryOpTypes.indexOf(op) });

const add = (b: NetworkBuilder, m: TorchModule, x: string, y: string): string =>
  binary(b, m, "add", "add", [x, y]);

const shuffle = (b: NetworkBuilder, m: TorchModule, x: string): string =>
  b.layer(m, "ShuffleChannel", m.at("shuffle"), [x], { group: 2 });

const halves = (b: NetworkBuilder, m: TorchModule, x: string): string[] =>
  b.layers(m, "Slice", m.at("chunk"), [x], 2, { slices: [share, share] });

/** A class that applies its parts one after the other. `?` marks parts that fused or plain checkpoints lack. */
const chained =
  (...parts: string[]): Emitter =>
  (b, m, [x]) => {
    m.expectChildren(parts);
    return b.chain(m, parts, x);
  };

const conv = chained("conv", "bn?", "act?");

const bottleneck: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2"]);
  const y = b.chain(m, ["cv1", "cv2"], x);
  return m.flag("add") ? add(b, m, x, y) : y;
};

const bottleneckCsp: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "cv4", "bn", "act", "m"]);
  const y1 = b.chain(m, ["cv1", "m", "cv3"], x);
  const y2 = b.chain(m, ["cv2"], x);
  return b.chain(m, ["bn", "act", "cv4"], concat(b, m, [y1, y2]));
};

const c3: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "m"]);
  const y1 = b.chain(m, ["cv1", "m"], x);
  const y2 = b.chain(m, ["cv2"], x);
  return b.chain(m, ["cv3"], concat(b, m, [y1, y2]));
};

/** C3 with an addition where C3 concatenates. */
const lightC3: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "m"]);
  const y1 = b.chain(m, ["cv1", "m"], x);
  const y2 = b.chain(m, ["cv2"], x);
  return b.chain(m, ["cv3"], add(b, m, y1, y2));
};

const spp: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "m"]);
  const y = b.chain(m, ["cv1"], x);
  const pooled = m
    .child("m")
    .children()
    .map(([, pool]) => b.emit(pool, y));
  return b.chain(m, ["cv2"], concat(b, m, [y, ...pooled]));
};

const sppf: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "m"]);
  const parts = [b.chain(m, ["cv1"], x)];
  for (let i = 0; i < 3; i++) parts.push(b.chain(m, ["m"], parts[i]));
  return b.chain(m, ["cv2"], concat(b, m, parts));
};

const concatenation: Emitter = (b, m, inputs) => {
  if (m.integer("d") !== 1)
    m.unsupported(`concatenation along axis ${m.integer("d")}, expected 1 (channels)`);
  return b.layer(m, "Concat", m.path, inputs);
};

const weightedSum: Emitter = (b, m, inputs) => {
  if (inputs.length !== 2) m.unsupported(`addition of ${inputs.length} blobs, expected 2`);
  const alpha = m.number("a");
  if (alpha === 1) return binary(b, m, "add", "add", inputs);
  return b.layer(m, "Eltwise", m.at("add"), inputs, { op_type: 1, coeffs: [1, alpha] });
};

/** Reorg of ncnn in mode 1 puts pixel (dy, dx) of input channel q into channel (2·dy + dx)·c + q. */
const reorg = (b: NetworkBuilder, m: TorchModule, x: string, stride: number): string =>
  b.layer(m, "Reorg", m.at("reorg"), [x], { stride, mode: 1 });

/**
 * Space to depth, then a convolution. YOLOv5 stacks the pixels in the order (0,0) (1,0) (0,1) (1,1) of (dy, dx), Reorg in
 * the order (0,0) (0,1) (1,0) (1,1): the convolution's two middle blocks of input channels change places instead, so
 * the pair computes exactly the same.
 */
const focus: Emitter = (b, m, [x]) => {
  m.expectChildren(["conv"]);
  const block = m.child("conv");
  block.expectChildren(["conv", "bn?", "act?"]);
  const inner = block.child("conv");
  if (inner.integer("groups", 1) !== 1) inner.unsupported("a grouped convolution in Focus");
  const y = emitConvolution(b, inner, reorg(b, m, x, 2), swapMiddleQuarters(inner));
  return b.chain(block, ["bn?", "act?"], y);
};

/** The weights `[out, 4·c, kh, kw]` of a convolution with the second and third quarter of input channels exchanged. */
function swapMiddleQuarters(m: TorchModule): Float32Array {
  const { shape, data } = m.tensor("weight", 4);
  if (shape[1] % 4) m.fail(`${shape[1]} input channels after Focus, expected a multiple of 4`);
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

const contract: Emitter = (b, m, [x]) => reorg(b, m, x, m.integer("gain", 1));

const expand: Emitter = (b, m, [x]) =>
  b.layer(m, "PixelShuffle", m.at("expand"), [x], { upscale_factor: m.integer("gain", 1), mode: 1 });

const ghostConv: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2"]);
  const y = b.chain(m, ["cv1"], x);
  return concat(b, m, [y, b.chain(m, ["cv2"], y)]);
};

const ghostBottleneck: Emitter = (b, m, [x]) => {
  m.expectChildren(["conv", "shortcut"]);
  return add(b, m, b.chain(m, ["conv"], x), b.chain(m, ["shortcut"], x));
};

/** ShuffleNetV2 unit: stride 1 transforms half of the channels, stride 2 both copies. */
const shuffleBlock: Emitter = (b, m, [x]) => {
  m.expectChildren(["branch1?", "branch2"]);
  const isUnit = m.integer("stride", 1) === 1;
  const [left, right] = isUnit ? halves(b, m, x) : [b.chain(m, ["branch1"], x), x];
  return shuffle(b, m, concat(b, m, [left, b.chain(m, ["branch2"], right)]));
};

/** Enhanced ShuffleNet unit (PicoDet). */
const esBottleneck: Emitter = (b, m, [x]) => {
  m.expectChildren(["branch1?", "branch2", "branch3", "branch4"]);
  const stride = m.integer("stride", 1);
  if (stride === 1) {
    const [left, right] = halves(b, m, x);
    return shuffle(b, m, concat(b, m, [left, b.chain(m, ["branch3"], right)]));
  }
  if (stride !== 2) m.unsupported(`stride ${stride}, expected 1 or 2`);
  const both = concat(b, m, [b.chain(m, ["branch1"], x), b.chain(m, ["branch2"], x)]);
  return b.chain(m, ["branch4"], both);
};

/** Depthwise and pointwise convolution, each with BatchNorm and a ReLU that is not a module. */
const dwConvBlock: Emitter = (b, m, [x]) => {
  m.expectChildren(["conv1", "bn1", "conv2", "bn2"]);
  const y = b.layer(m, "ReLU", m.at("relu1"), [b.chain(m, ["conv1", "bn1"], x)]);
  return b.layer(m, "ReLU", m.at("relu2"), [b.chain(m, ["conv2", "bn2"], y)]);
};

const mbConvBlock: Emitter = (b, m, [x]) => {
  m.expectChildren(["_depthwise_conv", "_bn1", "_project_conv", "_bn2", "_relu"]);
  const y = b.chain(m, ["_depthwise_conv", "_bn1", "_relu", "_project_conv", "_bn2"], x);
  const isResidual =
    m.flag("id_skip") &&
    m.integer("stride", 1) === 1 &&
    m.integer("input_filters") === m.integer("output_filters");
  return isResidual ? add(b, m, y, x) : y;
};

/** Squeeze and excite: scales each channel by a gate computed from the channel means. */
const squeezeExcite: Emitter = (b, m, [x]) => {
  m.expectChildren(["avg_pool", "conv1", "relu", "conv2", "SiLU?", "hardsigmoid?"]);
  const gate = b.chain(m, ["avg_pool", "conv1", "relu", "conv2", "SiLU?", "hardsigmoid?"], x);
  return binary(b, m, "mul", "scale", [x, gate]);
};

/** RepVGG's squeeze and excite, whose pooling, ReLU and sigmoid are not modules; pooling is over the whole (square) picture. */
const seBlock: Emitter = (b, m, [x]) => {
  m.expectChildren(["down", "up"]);
  const squeezed = b.chain(m, ["down"], emitAdaptivePool(b, m, m.at("pool"), x));
  const excited = b.chain(m, ["up"], b.layer(m, "ReLU", m.at("relu"), [squeezed]));
  return binary(b, m, "mul", "scale", [x, b.layer(m, "Sigmoid", m.at("sigmoid"), [excited])]);
};

/** Three branches that are added, or the single convolution that they were merged into (`deploy`, or `Model.fuse()`). */
const repVgg: Emitter = (b, m, [x]) => {
  m.expectChildren(["nonlinearity", "se", "rbr_identity?", "rbr_dense?", "rbr_1x1?", "rbr_reparam?"]);
  if (m.optionalChild("rbr_reparam")) return b.chain(m, ["rbr_reparam", "se", "nonlinearity"], x);
  const dense = b.chain(m, ["rbr_dense"], x);
  if (!m.optionalChild("rbr_1x1")) {
    // After fuse() rbr_dense holds everything; a leftover rbr_identity is not used, and neither is se.
    if (!m.flag("deploy")) m.fail("sub-module rbr_1x1 is missing, but deploy is not set");
    if (!m.child("se").className.endsWith(".Identity")) m.unsupported("fused with squeeze-excite");
    return b.chain(m, ["nonlinearity"], dense);
  }
  let sum = add(b, m, dense, b.chain(m, ["rbr_1x1"], x));
  if (m.optionalChild("rbr_identity")) sum = add(b, m, sum, b.chain(m, ["rbr_identity"], x));
  return b.chain(m, ["se", "nonlinearity"], sum);
};

const lcBlock: Emitter = (b, m, [x]) => {
  m.expectChildren(["dw_conv", "se?", "pw_conv"]);
  return b.chain(m, ["dw_conv", m.flag("use_se") ? "se" : "se?", "pw_conv"], x);
};

const commonEmitters: Record<string, Emitter> = {
  ADD: weightedSum,
  Bottleneck: bottleneck,
  BottleneckCSP: bottleneckCsp,
  C3: c3,
  C3Ghost: c3,
  C3SPP: c3,
  CBH: chained("conv", "bn?", "hardswish"),
  Concat: concatenation,
  Contract: contract,
  Conv: conv,
  DWConv: conv,
  DWConvblock: dwConvBlock,
  Dense: chained("dense_conv", "hardswish", "dropout"),
  ES_Bottleneck: esBottleneck,
  ES_SEModule: squeezeExcite,
  Expand: expand,
  Focus: focus,
  GhostBottleneck: ghostBottleneck,
  GhostConv: ghostConv,
  LC3: lightC3,
  LC_Block: lcBlock,
  LC_SEModule: squeezeExcite,
  Light_C3: lightC3,
  MBConvBlock: mbConvBlock,
  RepVGGBlock: repVgg,
  SEBlock: seBlock,
  SPP: spp,
  SPPF: sppf,
  Shuffle_Block: shuffleBlock,
  conv_bn_relu_maxpool: chained("conv", "maxpool"),
  stem: chained("conv"),
};

/** Activations that YOLOv5 4.0 and older had in its own file, before PyTorch had them. */
const oldActivations: Record<string, string> = {
  "utils.activations.SiLU": "Swish",
  "utils.activations.Hardswish": "HardSwish",
  "utils.activations.Mish": "Mish",
};

/** Emitters by full class name. Experimental classes that moved to common.py are found under both. */
export const blockEmitters: ReadonlyMap<string, Emitter> = new Map<string, Emitter>([
  ...Object.entries(commonEmitters).flatMap(([name, emitter]): [string, Emitter][] => [
    [`models.common.${name}`, emitter],
    [`models.experimental.${name}`, emitter],
  ]),
  ...Object.entries(oldActivations).map(([name, type]): [string, Emitter] => [
    name,
    (b, m, [x]) => b.layer(m, type, m.path, [x], type === "HardSwish" ? { alpha: 1 / 6, beta: 0.5 } : {}),
  ]),
]);
