/**
 * The blocks of YOLOv6 (`yolov6/layers/common.py`, releases 0.1.0 to 0.4.1).
 * Source for attribute names and what `forward` computes: meituan/YOLOv6 0.1.0, 0.2.0, 0.3.0 and 0.4.1 yolov6/layers/common.py.
 */
import { share } from "../../../ops/slice.ts";
import { add, binary, chained, commonBlocks, concat, halves, shuffle, sumOf } from "../blocks.ts";
import type { Emitter, NetworkBuilder } from "../builder.ts";
import type { TorchModule } from "../module.ts";

/** Of later releases: a module around the one that was there before. */
const around =
  (part: string, before: Emitter): Emitter =>
  (b, m, inputs) =>
    m.optionalChild(part) ? chained(part)(b, m, inputs) : before(b, m, inputs);

/** Convolution, BatchNorm and activation, whichever of them there are. */
const conv = commonBlocks.Conv;

const cspSppf: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "cv4", "cv5", "cv6", "cv7", "m"]);
  const parts = [b.chain(m, ["cv1", "cv3", "cv4"], x)];
  for (let i = 0; i < 3; i++) parts.push(b.chain(m, ["m"], parts[i]));
  const pooled = b.chain(m, ["cv5", "cv6"], concat(b, m, parts, "pools"));
  return b.chain(m, ["cv7"], concat(b, m, [b.chain(m, ["cv2"], x), pooled]));
};

const branches = ["rbr_dense", "rbr_1x1"];
const branchParts = [
  "nonlinearity",
  "se",
  "rbr_identity?",
  ...branches.map((part) => `${part}?`),
  "rbr_reparam?",
];

/** RepVGG: three branches that are added, or the convolution that they were merged into. */
const repVgg: Emitter = (b, m, [x]) => {
  m.expectChildren(branchParts);
  return b.chain(m, ["se", "nonlinearity"], merged(b, m, x));
};

function merged(b: NetworkBuilder, m: TorchModule, x: string): string {
  if (m.optionalChild("rbr_reparam")) return b.chain(m, ["rbr_reparam"], x);
  for (const part of branches) m.child(part);
  return sumOf(b, m, [...branches, "rbr_identity"], x);
}

/** The same with a BatchNorm behind the sum and, in the second version, an average over the neighbourhood as a branch. */
const qaRepVgg: Emitter = (b, m, [x]) => {
  m.expectChildren([...branchParts, "bn", "rbr_avg?"]);
  const average = m.optionalChild("rbr_reparam") ? undefined : m.optionalChild("rbr_avg");
  const sum = merged(b, m, x);
  const all = average
    ? add(b, m, sum, averageAsConvolution(b, average, x, m.integer("in_channels", 1)))
    : sum;
  return b.chain(m, ["se", "bn", "nonlinearity"], all);
};

const mostTaps = 49;

/** AvgPool2d that counts its border, as a convolution, which can be merged with those beside it. */
function averageAsConvolution(b: NetworkBuilder, m: TorchModule, x: string, channels: number): string {
  const [[kernelH, kernelW], [strideH, strideW]] = [m.pair("kernel_size", 1), m.pair("stride", 1)];
  const [padY, padX] = m.pair("padding");
  const taps = kernelH * kernelW;
  const isPlain =
    m.flag("count_include_pad") && !m.flag("ceil_mode") && (m.attribute("divisor_override") ?? null) === null;
  if (!isPlain || taps > mostTaps || kernelH !== kernelW || strideH !== strideW || padY !== padX) {
    m.unsupported(`an average over ${kernelH}x${kernelW} that is not one over a square with its border`);
  }
  const weight = new Float32Array(m.pay(channels * channels * taps));
  for (let c = 0; c < channels; c++)
    weight.fill(1 / taps, c * (channels + 1) * taps, (c * (channels + 1) + 1) * taps);
  const params = {
    ...{ num_output: channels, kernel_w: kernelW, stride_w: strideW, pad_left: padX },
    weight_data_size: weight.length,
  };
  return b.layer(m, "Convolution", m.path, [x], params, { weight });
}

const linearAdd: Emitter = (b, m, [x]) => {
  m.expectChildren(["relu", "conv", "scale_conv", "conv_1x1", "scale_1x1", "scale_identity?", "bn", "se"]);
  const sum = add(b, m, b.chain(m, ["conv", "scale_conv"], x), b.chain(m, ["conv_1x1", "scale_1x1"], x));
  const all = m.optionalChild("scale_identity") ? add(b, m, sum, b.chain(m, ["scale_identity"], x)) : sum;
  return b.chain(m, ["bn", "se", "relu"], all);
};

const scaleLayer: Emitter = (b, m, [x]) => {
  const channels = m.integer("num_features", 1);
  const bias = m.optionalTensor("bias") && m.vector("bias", channels);
  const weights = { scale: m.vector("weight", channels), ...(bias ? { bias } : {}) };
  const params = { scale_data_size: channels, ...(bias ? { bias_term: 1 } : {}) };
  return b.layer(m, "Scale", m.path, [x], params, weights);
};

const repBlock: Emitter = (b, m, [x]) => {
  m.expectChildren(["conv1", "block?"]);
  return b.chain(m, ["conv1", "block?"], x);
};

/** Convolutions with a way around them, which is weighted by `alpha`. */
const bottleRep =
  (...parts: string[]): Emitter =>
  (b, m, [x]) => {
    m.expectChildren(parts);
    const y = b.chain(m, parts, x);
    if (!m.flag("shortcut")) return y;
    const alpha = typeof m.attribute("alpha") === "number" ? m.number("alpha") : m.vector("alpha", 1)[0];
    if (alpha === 1) return add(b, m, y, x);
    return b.layer(m, "Eltwise", m.at("add"), [y, x], { op_type: 1, coeffs: [1, alpha] });
  };

const bepC3: Emitter = (b, m, [x]) => {
  // `concat` was an option until 0.3.0.
  if (!m.has("concat") || m.flag("concat")) return commonBlocks.C3(b, m, [x]);
  m.expectChildren(["cv1", "cv2", "cv3", "m"]);
  return b.chain(m, ["cv1", "m", "cv3"], x);
};

/** Branches of a growing number of blocks, every step of which the end sees. */
const mbla: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "m"]);
  const stacks = m.child("m").children();
  if (stacks.length === 0) m.fail("m has no sub-modules");
  const slices = Array.from({ length: stacks.length + 1 }, () => share);
  const parts = b.layers(m, "Slice", m.at("split"), [b.chain(m, ["cv1"], x)], slices.length, { slices });
  const all = [parts[0]];
  for (const [i, [, stack]] of stacks.entries()) {
    all.push(parts[i + 1]);
    for (const [, step] of stack.children()) all.push(b.emit(step, all[all.length - 1]));
  }
  return b.chain(m, ["cv2"], concat(b, m, all));
};

/** Of a coarser, a like and a finer level. */
const biFusion: Emitter = (b, m, [coarse, like, fine]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "upsample", "downsample"]);
  const parts = [
    b.chain(m, ["upsample"], coarse),
    b.chain(m, ["cv1"], like),
    b.chain(m, ["cv2", "downsample"], fine),
  ];
  return b.chain(m, ["cv3"], concat(b, m, parts));
};

const squeezeExcite: Emitter = (b, m, [x]) => {
  const parts = ["avg_pool", "conv1", "relu", "conv2", "hardsigmoid"];
  m.expectChildren(parts);
  return binary(b, m, "mul", "scale", [x, b.chain(m, parts, x)]);
};

const lite1: Emitter = (b, m, [x]) => {
  const parts = ["conv_pw_1", "conv_dw_1", "se", "conv_1"];
  m.expectChildren(parts);
  const [left, right] = halves(b, m, x);
  return shuffle(b, m, concat(b, m, [left, b.chain(m, parts, right)]));
};

const lite2: Emitter = (b, m, [x]) => {
  const [left, right] = [
    ["conv_dw_1", "conv_1"],
    ["conv_pw_2", "conv_dw_2", "se", "conv_2"],
  ];
  const after = ["conv_dw_3", "conv_pw_3"];
  m.expectChildren([...left, ...right, ...after]);
  return b.chain(m, after, concat(b, m, [b.chain(m, left, x), b.chain(m, right, x)]));
};

const cspBlock: Emitter = (b, m, [x]) => {
  m.expectChildren(["conv_1", "conv_2", "conv_3", "blocks"]);
  const both = [b.chain(m, ["conv_1", "blocks"], x), b.chain(m, ["conv_2"], x)];
  return b.chain(m, ["conv_3"], concat(b, m, both));
};

const layers: Readonly<Record<string, Emitter>> = {
  BepC3: bepC3,
  BiFusion: biFusion,
  BottleRep: bottleRep("conv1", "conv2"),
  BottleRep3: bottleRep("conv1", "conv2", "conv3"),
  CSPBlock: cspBlock,
  CSPSPPF: around("cspsppf", cspSppf),
  CSPSPPFModule: cspSppf,
  Conv: conv,
  ConvBN: chained("block"),
  ConvBNHS: chained("block"),
  ConvBNReLU: chained("block"),
  ConvBNSiLU: chained("block"),
  ConvModule: conv,
  ConvWrapper: chained("block"),
  Conv_C3: conv,
  DPBlock: chained("conv_dw_1", "bn_1?", "act_1", "conv_pw_1", "bn_2?", "act_2"),
  DarknetBlock: chained("conv_1", "conv_2"),
  LinearAddBlock: linearAdd,
  Lite_EffiBlockS1: lite1,
  Lite_EffiBlockS2: lite2,
  MBLABlock: mbla,
  QARepVGGBlock: qaRepVgg,
  QARepVGGBlockV2: qaRepVgg,
  RealVGGBlock: chained("conv", "bn", "se", "relu"),
  RepBlock: repBlock,
  RepVGGBlock: repVgg,
  SEBlock: squeezeExcite,
  SPPF: around("sppf", commonBlocks.SPPF),
  SPPFModule: commonBlocks.SPPF,
  ScaleLayer: scaleLayer,
  SimCSPSPPF: around("cspsppf", cspSppf),
  SimConv: conv,
  SimConvWrapper: chained("block"),
  SimSPPF: around("sppf", commonBlocks.SPPF),
  Transpose: chained("upsample_transpose"),
};

/** Emitters by full class name. */
export const blockEmitters: ReadonlyMap<string, Emitter> = new Map(
  Object.entries(layers).map(([name, emit]) => [`yolov6.layers.common.${name}`, emit]),
);
