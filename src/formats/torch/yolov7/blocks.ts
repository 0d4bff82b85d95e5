/**
 * The blocks that YOLOv7 has beside those of YOLOv5.
 * Source for attribute names and what `forward` computes: WongKinYiu/yolov7 models/common.py at a207844.
 */
import { add, chained, commonBlocks, concat, halves, spaceToDepth, sumOf } from "../blocks.ts";
import type { Emitter, NetworkBuilder } from "../builder.ts";
import type { TorchModule } from "../module.ts";
import { blockEmitters as yolov5Emitters } from "../yolov5/blocks.ts";

/** Along the channels, the only axis but the batch's that these classes are built with. */
function expectChannels(m: TorchModule): void {
  if (m.integer("d") !== 1) m.unsupported(`works along axis ${m.integer("d")}, expected 1 (channels)`);
}

/** The first halves of all inputs, then the second ones. */
const chuncat: Emitter = (b, m, inputs) => {
  expectChannels(m);
  const pairs = inputs.map((x) => halves(b, m, x));
  return concat(b, m, [...pairs.map(([first]) => first), ...pairs.map(([, second]) => second)]);
};

const foldcut: Emitter = (b, m, [x]) => {
  expectChannels(m);
  const [first, second] = halves(b, m, x);
  return add(b, m, first, second);
};

const shortcut: Emitter = (b, m, inputs) => {
  if (inputs.length !== 2) m.unsupported(`addition of ${inputs.length} blobs, expected 2`);
  return add(b, m, inputs[0], inputs[1]);
};

/** Multiplies each channel by its `gamma`, where there is one. */
function scaled(b: NetworkBuilder, m: TorchModule, x: string): string {
  if (!m.optionalTensor("gamma")) return x;
  const { data } = m.tensor("gamma", 1);
  return b.layer(m, "Scale", m.at("scale"), [x], { scale_data_size: data.length }, { scale: data });
}

const robust =
  (...parts: string[]): Emitter =>
  (b, m, inputs) =>
    scaled(b, m, chained(...parts)(b, m, inputs));

const stem: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "cv4", "pool"]);
  const y = b.chain(m, ["cv1"], x);
  return b.chain(m, ["cv4"], concat(b, m, [b.chain(m, ["cv2", "cv3"], y), b.chain(m, ["pool"], y)]));
};

const downC: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "mp"]);
  return concat(b, m, [b.chain(m, ["cv1", "cv2"], x), b.chain(m, ["mp", "cv3"], x)]);
};

const res: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3"]);
  const y = b.chain(m, ["cv1", "cv2", "cv3"], x);
  return m.flag("add") ? add(b, m, x, y) : y;
};

const sppCspC: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "cv4", "cv5", "cv6", "cv7", "m"]);
  const y = b.chain(m, ["cv1", "cv3", "cv4"], x);
  const pooled = m
    .child("m")
    .children()
    .map(([, pool]) => b.emit(pool, y));
  const left = b.chain(m, ["cv5", "cv6"], concat(b, m, [y, ...pooled], "pools"));
  return b.chain(m, ["cv7"], concat(b, m, [left, b.chain(m, ["cv2"], x)]));
};

/** Both branches read what the first convolution makes. */
const cspB: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "m"]);
  const y = b.chain(m, ["cv1"], x);
  return b.chain(m, ["cv3"], concat(b, m, [b.chain(m, ["m"], y), b.chain(m, ["cv2"], y)]));
};

const cspC: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "cv4", "m"]);
  return b.chain(m, ["cv4"], concat(b, m, [b.chain(m, ["cv1", "m", "cv3"], x), b.chain(m, ["cv2"], x)]));
};

/** Three branches that are added, or the convolution that fuse() made of them. */
const repConv: Emitter = (b, m, [x]) => {
  m.expectChildren(["act", "rbr_identity?", "rbr_dense?", "rbr_1x1?", "rbr_reparam?"]);
  if (m.optionalChild("rbr_reparam")) return b.chain(m, ["rbr_reparam", "act"], x);
  for (const part of ["rbr_dense", "rbr_1x1"]) m.child(part);
  return b.chain(m, ["act"], sumOf(b, m, ["rbr_dense", "rbr_1x1", "rbr_identity"], x));
};

const stacked = ["Bottleneck", "RepBottleneck", "Res", "ResX", "RepRes", "RepResX", "Ghost"];
const own: Readonly<Record<string, Emitter>> = {
  Chuncat: chuncat,
  DownC: downC,
  Foldcut: foldcut,
  Ghost: commonBlocks.GhostBottleneck,
  GhostSPPCSPC: sppCspC,
  GhostStem: stem,
  MP: chained("m"),
  ReOrg: spaceToDepth,
  RepBottleneck: commonBlocks.Bottleneck,
  RepConv: repConv,
  RepRes: res,
  RepResX: res,
  Res: res,
  ResX: res,
  RobustConv: robust("conv_dw", "conv1x1"),
  RobustConv2: robust("conv_strided", "conv_deconv"),
  SP: chained("m"),
  SPPCSPC: sppCspC,
  Shortcut: shortcut,
  Stem: stem,
  ...Object.fromEntries(
    stacked.flatMap((name) => [
      [`${name}CSPA`, commonBlocks.C3],
      [`${name}CSPB`, cspB],
      [`${name}CSPC`, cspC],
    ]),
  ),
};

const ownEmitters = Object.entries(own).map(([name, emit]): [string, Emitter] => [
  `models.common.${name}`,
  emit,
]);

/** Classes that only YOLOv7 has. */
export const ownClasses: ReadonlySet<string> = new Set(ownEmitters.map(([name]) => name));

/** Emitters by full class name, those of YOLOv5 among them. */
export const blockEmitters: ReadonlyMap<string, Emitter> = new Map([...yolov5Emitters, ...ownEmitters]);
