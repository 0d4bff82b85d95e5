/**
 * YOLOv6's Detect modules: since 0.2.0 distances, before that YOLOX's boxes. What only training uses is left out.
 * Source: meituan/YOLOv6 0.1.0 to 0.4.1 yolov6/models/effidehead.py and heads/.
 */
import type { Head } from "../../../heads/manifest.ts";
import type { NetworkBuilder } from "../builder.ts";
import { checkStride, type Network } from "../framework.ts";
import type { TorchModule } from "../module.ts";

const maxLevels = 8;
const mostBins = 64;

/** Modules of every level, by the name of their list; those with `?` are needed by training only. */
const lists = ["stems", "cls_convs", "reg_convs", "cls_preds", "reg_preds"];
const training = ["cls_preds_ab?", "reg_preds_ab?", "reg_preds_dist?"];

/** Files of the heads, and whether their boxes may be in bins at all. */
const files: ReadonlyMap<string, boolean> = new Map([
  ["yolov6.models.effidehead", true],
  ["yolov6.models.heads.effidehead_fuseab", true],
  // Bins are for the network that learns from it.
  ["yolov6.models.heads.effidehead_distill_ns", false],
  ["yolov6.models.heads.effidehead_lite", false],
]);

export function emitDetect(b: NetworkBuilder, m: TorchModule, inputs: readonly string[]): Network {
  const mayHaveBins = files.get(m.className.replace(/\.Detect$/, ""));
  if (mayHaveBins === undefined) return m.unsupported("not a head of YOLOv6 that is known");
  const hasObjectness = m.optionalChild("obj_preds") !== undefined;
  // 0.3.0 named those without anchors so.
  const suffix = m.optionalChild("cls_preds_af") ? "_af" : "";
  const named = lists.map((list) => (list.endsWith("preds") ? list + suffix : list));
  m.expectChildren([...named, ...(hasObjectness ? ["obj_preds"] : ["proj_conv?", ...training])]);
  const levels = m.integer("nl", 1);
  const classes = m.integer("nc", 1);
  const counts = named.map((list) => m.child(list).children().length);
  if (levels > maxLevels || inputs.length !== levels || counts.some((count) => count !== levels)) {
    m.fail(`${levels} levels with ${counts.join(", ")} modules and ${inputs.length} inputs`);
  }
  if (hasObjectness && m.integer("na", 1) !== 1)
    m.unsupported(`${m.integer("na")} anchors a cell, expected 1`);
  const bins = mayHaveBins && m.flag("use_dfl") ? binsOf(m) : 1;
  const strides = m.vector("stride", levels);
  const heads = inputs.map((input, level): Head => {
    const stride = checkStride(m, strides[level]);
    const chain = (from: string, ...parts: string[]): string =>
      parts.reduce((blob, list) => b.emit(levelOf(m, list, level), blob), from);
    const [stem, classConv, boxConv, classLast, boxLast] = named;
    expectChannels(levelOf(m, classLast, level), classes, `${classes} classes`);
    expectChannels(levelOf(m, boxLast, level), 4 * bins, `4 sides of ${bins}`);
    const x = chain(input, stem);
    const scores = b.rename(chain(x, classConv, classLast), `scores${level}`);
    const features = chain(x, boxConv);
    const boxes = b.rename(chain(features, boxLast), `boxes${level}`);
    if (hasObjectness) {
      const objectness = b.rename(chain(features, "obj_preds"), `objectness${level}`);
      return { kind: "yolox", boxes, objectness, scores, stride };
    }
    return { kind: "distances", scores, boxes, stride, bins, point: 0.5 };
  });
  return { heads, classes, stride: Math.max(...strides), family: "yolov6" };
}

const levelOf = (m: TorchModule, list: string, level: number): TorchModule => m.child(list).child(`${level}`);

/** The last convolution of a part has a number for each of what it stands for, and no other. */
function expectChannels(m: TorchModule, count: number, what: string): void {
  const [channels] = m.tensor("weight", 4).shape;
  if (channels !== count) m.unsupported(`gives ${channels} channels, expected ${count}: ${what}`);
}

/** Bins of a side, whose numbers are what the fixed convolution multiplies by. */
function binsOf(m: TorchModule): number {
  const { data } = m.child("proj_conv").tensor("weight", 4);
  const bins = m.integer("reg_max") + 1;
  if (bins > mostBins) m.unsupported(`${bins} bins a side, expected at most ${mostBins}`);
  if (data.length !== bins || data.some((value, i) => value !== i)) {
    m.unsupported(`bins are weighted by ${data.length} numbers that are not 0 to ${bins - 1}`);
  }
  return bins;
}
