/**
 * The blocks of the ultralytics package as ncnn layers: YOLOv3 to v6 of its own, v8, 9, 10, 11, 12 and 26.
 * Source: ultralytics 8.4 nn/modules/block.py and conv.py.
 */
import { eltwiseTypes } from "../../../ops/eltwise.ts";
import { resizeTypes } from "../../../ops/interp.ts";
import { poolingTypes } from "../../../ops/pooling.ts";
import { add, chained, commonBlocks, concat, halves, sumOf } from "../blocks.ts";
import type { Emitter, NetworkBuilder } from "../builder.ts";
import { transposedConvolution } from "../layers.ts";
import type { TorchModule } from "../module.ts";
import { a2c2f, aBlock, areaAttention, attention, c2psa, psa, psaBlock } from "./attention.ts";

/** Blocks one after the other, of which the next and the end see all: those of `m`, and the halves of `cv1`. */
const c2f: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "m"]);
  const parts = halves(b, m, b.chain(m, ["cv1"], x));
  for (const block of m.list("m")) parts.push(b.emit(block, parts.at(-1)!));
  return b.chain(m, ["cv2"], concat(b, m, parts));
};

/** The first half of the channels goes through a chain. */
const c2: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "m"]);
  const [left, right] = halves(b, m, b.chain(m, ["cv1"], x));
  return b.chain(m, ["cv2"], concat(b, m, [b.chain(m, ["m"], left), right]));
};

const c3f: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "m"]);
  const parts = [b.chain(m, ["cv2"], x), b.chain(m, ["cv1"], x)];
  for (const block of m.list("m")) parts.push(b.emit(block, parts.at(-1)!));
  return b.chain(m, ["cv3"], concat(b, m, parts));
};

const c1: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "m"]);
  const y = b.chain(m, ["cv1"], x);
  return add(b, m, b.chain(m, ["m"], y), y);
};

/** A 3×3 and a 1×1 convolution and perhaps a BatchNorm, added; or the one that they were merged into. */
const repConv: Emitter = (b, m, [x]) => {
  if (m.optionalChild("conv")) {
    m.expectChildren(["conv", "act"]);
    return b.chain(m, ["conv", "act"], x);
  }
  m.expectChildren(["conv1", "conv2", "bn?", "act"]);
  return b.chain(m, ["act"], sumOf(b, m, ["conv1", "conv2", "bn"], x));
};

/** The same of two convolutions whose sum is normalised. */
const conv2: Emitter = (b, m, [x]) => {
  m.expectChildren(["conv", "cv2?", "bn?", "act"]);
  return b.chain(m, ["bn?", "act"], sumOf(b, m, ["conv", "cv2"], x));
};

/** YOLOv10: the same with depthwise 7×7 and 3×3. */
const repVggDw: Emitter = (b, m, [x]) => {
  m.expectChildren(["conv", "conv1?", "act"]);
  return b.chain(m, ["act"], sumOf(b, m, ["conv", "conv1"], x));
};

const cib: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1"]);
  const y = b.chain(m, ["cv1"], x);
  return m.flag("add") ? add(b, m, x, y) : y;
};

/** YOLOv9. */
const elan: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "cv4"]);
  const parts = halves(b, m, b.chain(m, ["cv1"], x));
  for (const part of ["cv2", "cv3"]) parts.push(b.chain(m, [part], parts.at(-1)!));
  return b.chain(m, ["cv4"], concat(b, m, parts));
};

const sppElan: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "cv4", "cv5"]);
  const parts = [b.chain(m, ["cv1"], x)];
  for (const part of ["cv2", "cv3", "cv4"]) parts.push(b.chain(m, [part], parts.at(-1)!));
  return b.chain(m, ["cv5"], concat(b, m, parts));
};

/** The mean of 2×2 pixels at every step of one. */
const smoothed = (b: NetworkBuilder, m: TorchModule, x: string): string =>
  b.layer(m, "Pooling", m.at("mean"), [x], { pooling_type: poolingTypes.average, kernel_w: 2, pad_mode: 1 });

const aConv: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1"]);
  return b.chain(m, ["cv1"], smoothed(b, m, x));
};

const aDown: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2"]);
  const [left, right] = halves(b, m, smoothed(b, m, x));
  const pool = { kernel_w: 3, stride_w: 2, pad_left: 1, pad_mode: 1 };
  const most = b.layer(m, "Pooling", m.at("max"), [right], pool);
  return concat(b, m, [b.chain(m, ["cv1"], left), b.chain(m, ["cv2"], most)]);
};

/** Several outputs, which only CBFuse reads: the blob of the convolution stands for them. */
const cbLinear: Emitter = (b, m, [x]) => {
  m.expectChildren(["conv"]);
  const counts = m.integers("c2s", 1);
  const whole = b.chain(m, ["conv"], x);
  const made = m.child("conv").tensor("weight", 4).shape[0];
  if (counts.reduce((total, count) => total + count, 0) !== made) {
    m.fail(`${made} channels cannot be split into ${counts.join(", ")}`);
  }
  if (counts.length > 1) {
    b.parts.set(whole, b.layers(m, "Slice", m.at("split"), [whole], counts.length, { slices: counts }));
  }
  return whole;
};

/** The sum of the last input and of one part of each other, enlarged to its size. */
const cbFuse: Emitter = (b, m, inputs) => {
  m.expectChildren([]);
  const target = inputs.at(-1)!;
  const chosen = m.integers("idx", 0);
  if (chosen.length !== inputs.length - 1) {
    m.fail(`attribute idx has ${chosen.length} numbers for ${inputs.length - 1} inputs before the last`);
  }
  const resized = chosen.map((part, i) => {
    const parts = b.parts.get(inputs[i]) ?? [inputs[i]];
    const blob = parts[part] ?? m.fail(`part ${part} of an input that has ${parts.length}`);
    // An expression: with dynamic_target_size native ncnn takes the steps between pixels from a scale.
    const params = { resize_type: resizeTypes.nearest, size_expr: "1w,1h" };
    return b.layer(m, "Interp", m.at(`resize${i}`), [blob, target], params);
  });
  const all = [...resized, target];
  return all.length === 1 ? target : b.layer(m, "Eltwise", m.at("sum"), all, { op_type: eltwiseTypes.sum });
};

const resNetBlock: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "shortcut"]);
  const y = b.chain(m, ["cv1", "cv2", "cv3"], x);
  return b.layer(m, "ReLU", m.at("relu"), [add(b, m, y, b.chain(m, ["shortcut"], x))]);
};

/** The prototypes of masks, YOLO26: all levels are brought to the finest and added first. What serves training only is left out. */
const proto26: Emitter = (b, m, inputs) => {
  m.expectChildren(["cv1", "upsample", "cv2", "cv3", "feat_refine", "feat_fuse", "semseg?"]);
  const levels = m.list("feat_refine");
  if (levels.length !== inputs.length - 1) {
    m.fail(`feat_refine has ${levels.length} convolutions for ${inputs.length} levels, expected one less`);
  }
  const features = levels.reduce((sum, refine, i) => {
    const scale = 2 ** (i + 1);
    const params = { resize_type: resizeTypes.nearest, height_scale: scale, width_scale: scale };
    const larger = b.layer(m, "Interp", m.at(`resize${i}`), [b.emit(refine, inputs[i + 1])], params);
    return add(b, m, sum, larger);
  }, inputs[0]);
  return b.chain(m, ["feat_fuse", "cv1", "upsample", "cv2", "cv3"], features);
};

const emitters: Record<string, Emitter> = {
  ...commonBlocks,
  A2C2f: a2c2f,
  AAttn: areaAttention,
  ABlock: aBlock,
  AConv: aConv,
  ADown: aDown,
  Attention: attention,
  C1: c1,
  C2: c2,
  C2PSA: c2psa,
  C2f: c2f,
  C2fCIB: c2f,
  C2fPSA: c2f,
  C3f: c3f,
  C3k: commonBlocks.C3,
  C3k2: c2f,
  C3x: commonBlocks.C3,
  CBFuse: cbFuse,
  CBLinear: cbLinear,
  CIB: cib,
  Conv2: conv2,
  ConvTranspose: chained("conv_transpose", "bn?", "act"),
  DWConvTranspose2d: transposedConvolution,
  ELAN1: elan,
  PSA: psa,
  PSABlock: psaBlock,
  Proto: chained("cv1", "upsample", "cv2", "cv3"),
  Proto26: proto26,
  RepBottleneck: commonBlocks.Bottleneck,
  RepCSP: commonBlocks.C3,
  RepConv: repConv,
  RepNCSPELAN4: elan,
  RepVGGDW: repVggDw,
  ResNetBlock: resNetBlock,
  ResNetLayer: chained("layer"),
  SCDown: chained("cv1", "cv2"),
  SPPELAN: sppElan,
  Silence: (_, __, [x]) => x,
};

/** Files of the package that have had the classes: since 8.0.90, and before. */
export const modulePaths = ["block.", "conv.", "head.", "transformer.", ""].map(
  (file) => `ultralytics.nn.modules.${file}`,
);

/** Emitters by full class name. */
export const blockEmitters: ReadonlyMap<string, Emitter> = new Map(
  Object.entries(emitters).flatMap(([name, emitter]) =>
    modulePaths.map((path): [string, Emitter] => [`${path}${name}`, emitter]),
  ),
);
