/**
 * The blocks of YOLOv5 (`models/common.py`, releases 3.0 to 7.0) and YOLOv5-Lite (variants e, s, c, g) as ncnn layers.
 * Sources for attribute names and what `forward` computes: ultralytics/yolov5 v5.0 and v7.0 models/common.py;
 * ppogg/YOLOv5-Lite models/common.py at 9d649a6.
 */

import { add, binary, chained, commonBlocks, concat, halves, reorg, shuffle, sumOf } from "../blocks.ts";
import type { Emitter } from "../builder.ts";
import { emitAdaptivePool } from "../layers.ts";

/** C3 with an addition where C3 concatenates. */
const lightC3: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "m"]);
  const y1 = b.chain(m, ["cv1", "m"], x);
  const y2 = b.chain(m, ["cv2"], x);
  return b.chain(m, ["cv3"], add(b, m, y1, y2));
};

const weightedSum: Emitter = (b, m, inputs) => {
  if (inputs.length !== 2) m.unsupported(`addition of ${inputs.length} blobs, expected 2`);
  const alpha = m.number("a");
  if (alpha === 1) return binary(b, m, "add", "add", inputs);
  return b.layer(m, "Eltwise", m.at("add"), inputs, { op_type: 1, coeffs: [1, alpha] });
};

const contract: Emitter = (b, m, [x]) => reorg(b, m, x, m.integer("gain", 1));

const expand: Emitter = (b, m, [x]) =>
  b.layer(m, "PixelShuffle", m.at("expand"), [x], { upscale_factor: m.integer("gain", 1), mode: 1 });

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
  if (!m.optionalChild("rbr_1x1")) {
    // After fuse() rbr_dense holds everything; a leftover rbr_identity is not used, and neither is se.
    if (!m.flag("deploy")) m.fail("sub-module rbr_1x1 is missing, but deploy is not set");
    if (!m.child("se").className.endsWith(".Identity")) m.unsupported("fused with squeeze-excite");
    return b.chain(m, ["rbr_dense", "nonlinearity"], x);
  }
  m.child("rbr_dense");
  return b.chain(m, ["se", "nonlinearity"], sumOf(b, m, ["rbr_dense", "rbr_1x1", "rbr_identity"], x));
};

const lcBlock: Emitter = (b, m, [x]) => {
  m.expectChildren(["dw_conv", "se?", "pw_conv"]);
  return b.chain(m, ["dw_conv", m.flag("use_se") ? "se" : "se?", "pw_conv"], x);
};

const common: Record<string, Emitter> = {
  ...commonBlocks,
  ADD: weightedSum,
  C3SPP: commonBlocks.C3,
  CBH: chained("conv", "bn?", "hardswish"),
  Contract: contract,
  DWConvblock: dwConvBlock,
  Dense: chained("dense_conv", "hardswish", "dropout"),
  ES_Bottleneck: esBottleneck,
  ES_SEModule: squeezeExcite,
  Expand: expand,
  LC3: lightC3,
  LC_Block: lcBlock,
  LC_SEModule: squeezeExcite,
  Light_C3: lightC3,
  MBConvBlock: mbConvBlock,
  Proto: chained("cv1", "upsample", "cv2", "cv3"),
  RepVGGBlock: repVgg,
  SEBlock: seBlock,
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
  ...Object.entries(common).flatMap(([name, emitter]): [string, Emitter][] => [
    [`models.common.${name}`, emitter],
    [`models.experimental.${name}`, emitter],
  ]),
  ...Object.entries(oldActivations).map(([name, type]): [string, Emitter] => [
    name,
    (b, m, [x]) => b.layer(m, type, m.path, [x], type === "HardSwish" ? { alpha: 1 / 6, beta: 0.5 } : {}),
  ]),
]);
