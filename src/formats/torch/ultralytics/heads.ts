/**
 * The last module of ultralytics' detectors: per level, branches that end in plain convolutions. Their outputs are the heads, before
 * anything is decoded.
 * Source: ultralytics 8.4 nn/modules/head.py.
 */
import type { DistancesHead } from "../../../heads/manifest.ts";
import type { NetworkBuilder } from "../builder.ts";
import { checkStride, type Network } from "../framework.ts";
import type { TorchModule } from "../module.ts";

/** The branches of a head: those that give many boxes an object, of which the overlapping are dropped, or one. */
type Assignment = "" | "one2one_";

/** Appends a branch of a level, which gives so many channels; the name of its blob. */
type Branch = (name: string, channels: number, blob: string) => string;

/** What a task has beside scores and boxes. */
interface Task {
  /** Sub-modules that only the task has; those of branches also with `one2one_` before them. */
  readonly children: readonly string[];
  /** What it has once for all levels. */
  shared?(b: NetworkBuilder, m: TorchModule, inputs: readonly string[]): string;
  /** Fields of the record of one level. */
  level(m: TorchModule, branch: Branch, i: number, shared: string | undefined): Partial<DistancesHead>;
}

const detect: Task = { children: [], level: () => ({}) };

/** The prototypes of YOLO26 see all levels, the others the finest. */
const segment = (seesAll: boolean): Task => ({
  children: ["proto", "cv4?"],
  shared: (b, m, inputs) => {
    const blob = b.emit(m.child("proto"), ...(seesAll ? inputs : inputs.slice(0, 1)));
    return b.rename(blob, "prototypes");
  },
  level(m, branch, i, prototypes) {
    const count = m.integer("nm", 1);
    return { mask: { blob: branch("cv4", count, `mask${i}`), count, prototypes: prototypes! } };
  },
});

const obb = (radians: boolean): Task => ({
  children: ["cv4?"],
  level(m, branch, i) {
    if (m.integer("ne", 1) !== 1)
      m.unsupported(`${m.integer("ne", 1)} numbers beside a box (ne), expected an angle`);
    return { angle: { blob: branch("cv4", 1, `angle${i}`), ...(radians && { radians }) } };
  },
});

/** `place` is how a point's numbers are meant. */
const pose = (
  branchName: string,
  children: readonly string[],
  place: { scale?: number; point?: number },
): Task => ({
  children,
  level(m, branch, i) {
    const shape = m.integers("kpt_shape", 1);
    const [count, numbers] = shape;
    if (shape.length !== 2 || (numbers !== 2 && numbers !== 3)) {
      m.unsupported(`points of shape ${shape.join(" x ")} (kpt_shape), expected two or three numbers each`);
    }
    const blob = branch(branchName, count * numbers, `points${i}`);
    return { points: { blob, count, ...(numbers === 3 && { visibility: true }), ...place } };
  },
});

const pose26Children = ["cv4?", "cv4_kpts?", "cv4_sigma?", "flow_model?"];

/** By class name. */
export const detectTasks: Readonly<Record<string, Task>> = {
  Detect: detect,
  v10Detect: detect,
  Segment: segment(false),
  Segment26: segment(true),
  OBB: obb(false),
  OBB26: obb(true),
  Pose: pose("cv4", ["cv4?"], { scale: 2, point: 0 }),
  Pose26: pose("cv4_kpts", pose26Children, {}),
};

/** Where the branches of a level are in two parts: the second reads the first. */
const firstParts: Readonly<Record<string, string>> = { cv4_kpts: "cv4" };

const convolution = "torch.nn.modules.conv.Conv2d";
const maxLevels = 8;
const maxBins = 64;

/** Appends the branches of every level. */
export function emitDetect(
  b: NetworkBuilder,
  m: TorchModule,
  inputs: readonly string[],
  wantsEndToEnd: boolean,
): Network {
  const task = detectTasks[m.shortName];
  m.expectChildren([
    "cv2?",
    "cv3?",
    "dfl?",
    ...task.children,
    ...oneToOne(["cv2?", "cv3?", ...task.children]),
  ]);
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
  const shared = task.shared?.(b, m, inputs);
  const heads = inputs.map((input, i): DistancesHead => {
    const branch: Branch = (name, channels, blob) =>
      b.rename(emitBranch(b, m, assignment, name, i, input, channels), blob);
    return {
      kind: "distances",
      scores: branch("cv3", classes, `scores${i}`),
      boxes: branch("cv2", 4 * bins, `boxes${i}`),
      stride: checkStride(m, strides[i]),
      bins,
      point: 0.5,
      ...(assignment && { oneToOne: true }),
      ...task.level(m, branch, i, shared),
    };
  });
  return { heads, classes, stride: Math.max(...strides), family: "ultralytics" };
}

const oneToOne = (names: readonly string[]): string[] =>
  names.filter((name) => name.startsWith("cv")).map((name) => `one2one_${name}`);

/** The branch `name` of one level, which ends in a convolution of so many channels. */
function emitBranch(
  b: NetworkBuilder,
  m: TorchModule,
  assignment: Assignment,
  name: string,
  level: number,
  input: string,
  channels: number,
): string {
  const branchOf = (part: string): TorchModule => {
    const branches = m.list(`${assignment}${part}`);
    return (
      branches[level] ?? m.fail(`${branches.length} branches in ${assignment}${part}, expected one a level`)
    );
  };
  const source = Object.hasOwn(firstParts, name) ? b.emit(branchOf(firstParts[name]), input) : input;
  const branch = branchOf(name);
  const last = branch.className === convolution ? branch : branch.children().at(-1)?.[1];
  if (last?.className !== convolution) {
    return branch.unsupported("a branch of the head that does not end in a convolution");
  }
  const made = last.tensor("weight", 4).shape[0];
  if (made !== channels) last.fail(`${made} channels, expected ${channels}`);
  return b.emit(branch, source);
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
