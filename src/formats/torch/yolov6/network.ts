/**
 * The trunk of YOLOv6: a backbone with an output a level, and a neck that passes them down and up again.
 * Source: meituan/YOLOv6 0.1.0 to 0.4.1 yolov6/models/efficientrep.py and reppan.py.
 */
import { add, concat } from "../blocks.ts";
import type { NetworkBuilder } from "../builder.ts";
import type { TorchModule } from "../module.ts";

/** Blobs of the levels, finest first. */
type Trunk = (b: NetworkBuilder, m: TorchModule, inputs: readonly string[]) => string[];

/** Stages one after the other; the outputs from the third on, or from the second where the neck fuses that too. */
const staged =
  (stages: number, fromSecond: (m: TorchModule) => boolean): Trunk =>
  (b, m, [x]) => {
    const parts = Array.from({ length: stages }, (_, i) => `ERBlock_${i + 2}`);
    m.expectChildren(["stem", ...parts]);
    let y = b.chain(m, ["stem"], x);
    const outputs = parts.map((part) => {
      y = b.chain(m, [part], y);
      return y;
    });
    return outputs.slice(fromSecond(m) ? 0 : 1);
  };

const fusesSecond = (m: TorchModule): boolean => m.flag("fuse_P2");

const liteBackbone: Trunk = (b, m, [x]) => {
  const parts = [1, 2, 3, 4].map((i) => `lite_effiblock_${i}`);
  m.expectChildren(["conv_0", ...parts]);
  let y = b.chain(m, ["conv_0"], x);
  const outputs = parts.map((part) => {
    y = b.chain(m, [part], y);
    return y;
  });
  return outputs.slice(1);
};

/** Names of the parts of a neck, in the order in which they work. */
interface NeckNames {
  /** Blocks on the way down to finer levels, and up again. */
  readonly down: readonly string[];
  readonly up: readonly string[];
  readonly reduce: readonly string[];
  /** Convolutions that halve the grid, on the way up. */
  readonly halve: readonly string[];
}

const numbered = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${name}${i}`);
const three: NeckNames = {
  down: ["Rep_p4", "Rep_p3"],
  up: ["Rep_n3", "Rep_n4"],
  reduce: numbered("reduce_layer", 2),
  halve: ["downsample2", "downsample1"],
};
const four: NeckNames = {
  down: ["Rep_p5", "Rep_p4", "Rep_p3"],
  up: ["Rep_n4", "Rep_n5", "Rep_n6"],
  reduce: numbered("reduce_layer", 3),
  halve: ["downsample2", "downsample1", "downsample0"],
};

/** Joins a reduced level with those finer than it. */
interface Fusion {
  readonly parts: (count: number) => string[];
  /** How many levels finer than the reduced one it reads. */
  readonly reads: number;
  emit(b: NetworkBuilder, m: TorchModule, step: number, inputs: readonly string[]): string;
}

const byConcat: Fusion = {
  parts: (count) => numbered("upsample", count),
  reads: 1,
  emit: (b, m, step, [coarse, fine]) =>
    concat(b, m, [b.chain(m, [`upsample${step}`], coarse), fine], `down${step}`),
};
const byBiFusion: Fusion = {
  parts: (count) => numbered("Bifusion", count),
  reads: 2,
  emit: (b, m, step, inputs) => b.emit(m.child(`Bifusion${step}`), ...inputs),
};

const neck =
  ({ down, up, reduce, halve }: NeckNames, fusion: Fusion): Trunk =>
  (b, m, inputs) => {
    m.expectChildren([...reduce, ...fusion.parts(down.length), ...down, ...halve, ...up]);
    if (m.flag("_QUANT")) m.unsupported("a model prepared for quantization while training");
    const expected = down.length + fusion.reads;
    if (inputs.length !== expected)
      m.fail(`reads ${inputs.length} levels of the backbone, expected ${expected}`);
    // Coarsest first.
    const levels = inputs.toReversed();
    let y = levels[0];
    const reduced = down.map((block, step) => {
      const x = b.chain(m, [reduce[step]], y);
      const finer = levels.slice(step + 1, step + 1 + fusion.reads);
      y = b.chain(m, [block], fusion.emit(b, m, step, [x, ...finer]));
      return x;
    });
    const outputs = [y];
    for (const [step, block] of up.entries()) {
      const halved = b.chain(m, [halve[step]], outputs[step]);
      const joined = concat(b, m, [halved, reduced[down.length - 1 - step]], `up${step}`);
      outputs.push(b.chain(m, [block], joined));
    }
    return outputs;
  };

const liteNeck: Trunk = (b, m, inputs) => {
  const blocks = [
    "Csp_p4",
    "Csp_p3",
    "Csp_n3",
    "Csp_n4",
    "downsample2",
    "downsample1",
    "p6_conv_1",
    "p6_conv_2",
  ];
  const reduce = numbered("reduce_layer", 3);
  m.expectChildren([...reduce, ...numbered("upsample", 2), ...blocks]);
  if (inputs.length !== 3) m.fail(`reads ${inputs.length} levels of the backbone, expected 3`);
  const join = (part: string, x: string, y: string, name: string): string =>
    concat(b, m, [b.chain(m, [part], x), y], name);
  const [coarse, middle, fine] = inputs.toReversed().map((x, i) => b.chain(m, [reduce[i]], x));
  const down = b.chain(m, ["Csp_p4"], join("upsample0", coarse, middle, "down0"));
  const third = b.chain(m, ["Csp_p3"], join("upsample1", down, fine, "down1"));
  const fourth = b.chain(m, ["Csp_n3"], join("downsample2", third, down, "up0"));
  const fifth = b.chain(m, ["Csp_n4"], join("downsample1", fourth, coarse, "up1"));
  const sixth = add(b, m, b.chain(m, ["p6_conv_1"], coarse), b.chain(m, ["p6_conv_2"], fifth));
  return [third, fourth, fifth, sixth];
};

export const backbones: ReadonlyMap<string, Trunk> = new Map(
  Object.entries({
    CSPBepBackbone: staged(4, fusesSecond),
    CSPBepBackbone_P6: staged(5, () => true),
    EfficientRep: staged(4, fusesSecond),
    EfficientRep6: staged(5, fusesSecond),
    Lite_EffiBackbone: liteBackbone,
  }).map(([name, trunk]) => [`yolov6.models.efficientrep.${name}`, trunk]),
);

export const necks: ReadonlyMap<string, Trunk> = new Map(
  Object.entries({
    CSPRepBiFPANNeck: neck(three, byBiFusion),
    CSPRepBiFPANNeck_P6: neck(four, byBiFusion),
    CSPRepPANNeck: neck(three, byConcat),
    CSPRepPANNeck_P6: neck(four, byConcat),
    Lite_EffiNeck: liteNeck,
    RepBiFPANNeck: neck(three, byBiFusion),
    RepBiFPANNeck6: neck(four, byBiFusion),
    RepPANNeck: neck(three, byConcat),
    RepPANNeck6: neck(four, byConcat),
  }).map(([name, trunk]) => [`yolov6.models.reppan.${name}`, trunk]),
);
