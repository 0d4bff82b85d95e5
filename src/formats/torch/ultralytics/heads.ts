/**
 * The last module of ultralytics' models: per level, branches that end in plain convolutions. Their outputs are the heads, before
 * anything is decoded.
 * Source: ultralytics 8.4 nn/modules/head.py.
 */
import type { DistancesHead } from "../../../heads/manifest.ts";
import type { NetworkBuilder } from "../builder.ts";
import { checkStride, type Network } from "../framework.ts";
import type { TorchModule } from "../module.ts";

/** Branches of a head module: those that give many boxes an object, of which the overlapping are dropped, or one. */
type Assignment = "" | "one2one_";

const maxLevels = 8;
const maxBins = 64;

/** Appends the branches of every level. */
export function emitDetect(
  b: NetworkBuilder,
  m: TorchModule,
  inputs: readonly string[],
  wantsEndToEnd: boolean,
): Network {
  const levels = m.integer("nl", 1);
  const classes = m.integer("nc", 1);
  const bins = m.integer("reg_max", 1);
  if (bins > maxBins) m.unsupported(`${bins} bins a side (reg_max), expected at most ${maxBins}`);
  if (levels > maxLevels || inputs.length !== levels) {
    m.fail(`${levels} levels and ${inputs.length} inputs, expected as many, at most ${maxLevels}`);
  }
  checkBins(m, bins);
  const strides = m.vector("stride", levels);
  const assignment = chooseAssignment(m, wantsEndToEnd);
  const heads = inputs.map((input, i): DistancesHead => {
    const level = (name: string, channels: number): string =>
      emitLevel(b, m, `${assignment}${name}`, i, input, channels);
    return {
      kind: "distances",
      scores: b.rename(level("cv3", classes), `scores${i}`),
      boxes: b.rename(level("cv2", 4 * bins), `boxes${i}`),
      stride: checkStride(m, strides[i]),
      bins,
      point: 0.5,
      ...(assignment && { oneToOne: true }),
    };
  });
  return { heads, classes, stride: Math.max(...strides), family: "ultralytics" };
}

/** The branch `name` of one level, which ends in a convolution of so many channels. */
function emitLevel(
  b: NetworkBuilder,
  m: TorchModule,
  name: string,
  level: number,
  input: string,
  channels: number,
): string {
  const branch = m.child(name).child(`${level}`);
  const [, last] = branch.children().at(-1) ?? branch.fail("has no layers, expected convolutions");
  if (last.className !== "torch.nn.modules.conv.Conv2d") {
    last.unsupported("a branch of the head that does not end in a convolution");
  }
  const made = last.tensor("weight", 4).shape[0];
  if (made !== channels) last.fail(`${made} channels, expected ${channels}`);
  return b.emit(branch, input);
}

/** Where a model has both, as YOLOv10 and 26, the package itself predicts with the first unless it is told otherwise. */
function chooseAssignment(m: TorchModule, wantsEndToEnd: boolean): Assignment {
  const hasOne = m.optionalChild("one2one_cv2") !== undefined;
  const hasMany = m.optionalChild("cv2") !== undefined;
  return hasOne && (wantsEndToEnd || !hasMany) ? "one2one_" : "";
}

/** Distances are the mean of the bins' numbers, 0 to reg_max − 1: that is in the module as fixed weights, and decoded outside. */
function checkBins(m: TorchModule, bins: number): void {
  const module = m.optionalChild("dfl");
  if (bins === 1 || !module) return;
  const { data } = module.child("conv").tensor("weight", 4);
  if (data.length !== bins || data.some((value, i) => value !== i)) {
    module.unsupported(`weights other than the numbers 0 to ${bins - 1}`);
  }
}
