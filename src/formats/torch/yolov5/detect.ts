/**
 * The Detect module: per level a 1×1 convolution, whose channels are split into anchors; and Segment, which has masks too.
 * Source: ultralytics/yolov5 v5.0 and v7.0 models/yolo.py (`Detect`, `Segment`).
 */
import { FormatError } from "../../../base/errors.ts";
import type { Yolov5Head } from "../../../heads/manifest.ts";
import type { NetworkBuilder } from "../builder.ts";
import { checkStride, type Network } from "../framework.ts";
import { emitConvolution } from "../layers.ts";
import type { TorchModule } from "../module.ts";
import type { PyValue } from "../values.ts";

const maxLevels = 8;

/** What a head has beside Detect's. */
export interface DetectParts {
  /** Its sub-modules; default the convolutions `m` alone. */
  readonly children?: readonly string[];
  /** Mask coefficients of a box. */
  readonly masks?: number;
  /** Appends the convolution of a level. */
  readonly emitLevel?: (b: NetworkBuilder, convolution: TorchModule, x: string, level: number) => string;
}

/** Appends the head of every level and returns what decoding needs. `yamlAnchors` is the model's `yaml["anchors"]`. */
export function emitDetect(
  b: NetworkBuilder,
  m: TorchModule,
  inputs: readonly string[],
  yamlAnchors: PyValue | undefined,
  { children = ["m"], masks = 0, emitLevel }: DetectParts = {},
): Omit<Network, "heads"> & { heads: Yolov5Head[] } {
  m.expectChildren(children);
  const levels = m.integer("nl", 1);
  const anchorCount = m.integer("na", 1);
  const values = m.integer("no", 6);
  const classes = m.integer("nc", 1);
  const expected = 5 + classes + masks;
  if (values !== expected)
    m.unsupported(`${values} values per anchor for ${classes} classes, expected ${expected}`);
  const convolutions = m.child("m").children();
  if (levels > maxLevels || convolutions.length !== levels || inputs.length !== levels) {
    m.fail(`${levels} levels with ${convolutions.length} convolutions and ${inputs.length} inputs`);
  }
  const strides = m.vector("stride", levels);
  const anchors = readAnchors(m, levels, anchorCount, strides, yamlAnchors);
  const heads = convolutions.map(([, convolution], i): Yolov5Head => {
    const raw = emitLevel?.(b, convolution, inputs[i], i) ?? emitConvolution(b, convolution, inputs[i]);
    const split = { w: -1, h: values, c: anchorCount };
    const cells = b.layer(m, "Reshape", m.at(`reshape${i}`), [raw], split);
    // Order 1 of ncnn's Permute: (w, h, c) of the result are (h, w, c) of the source.
    const blob = b.layer(m, "Permute", `output${i}`, [cells], { order_type: 1 });
    return { kind: "yolov5", blob, stride: checkStride(m, strides[i]), anchors: anchors[i] };
  });
  return { heads, classes, stride: Math.max(...strides), family: "yolov5" };
}

/** Boxes with coefficients of their masks, and the prototypes, which are made from the finest level. */
export function emitSegment(
  b: NetworkBuilder,
  m: TorchModule,
  inputs: readonly string[],
  yamlAnchors: PyValue | undefined,
): Network {
  const count = m.integer("nm", 1);
  const network = emitDetect(b, m, inputs, yamlAnchors, { children: ["m", "proto"], masks: count });
  const prototypes = b.rename(b.emit(m.child("proto"), inputs[0]), "prototypes");
  return { ...network, heads: network.heads.map((head) => ({ ...head, mask: { prototypes, count } })) };
}

/** binary16 keeps 11 bits; anchors went through it once or, divided by the stride, twice. */
const roundingError = 2 ** -10;

/**
 * Anchors in pixels. What the network decodes with is the buffer `anchor_grid` (pixels, up to 5.0) or `anchors` times
 * the stride (6.0 and later; auto-anchor changes these and not the yaml). Both may have been rounded to binary16, so
 * where the yaml file's anchors agree to that, those are taken, which are exact.
 */
function readAnchors(
  m: TorchModule,
  levels: number,
  anchorCount: number,
  strides: Float32Array,
  yamlAnchors: PyValue | undefined,
): number[][] {
  const perLevel = anchorCount * 2;
  const anchors = m.tensor("anchors").data;
  const grid = isTensor(m, "anchor_grid") ? m.tensor("anchor_grid").data : undefined;
  if (anchors.length !== levels * perLevel || (grid && grid.length !== anchors.length)) {
    m.fail(`${anchors.length} anchor values, expected ${levels} levels of ${anchorCount} pairs`);
  }
  return Array.from({ length: levels }, (_, level) => {
    const range = [level * perLevel, (level + 1) * perLevel];
    const used = grid
      ? [...grid.subarray(...range)]
      : [...anchors.subarray(...range)].map((value) => value * strides[level]);
    if (used.some((value) => !(value > 0 && value < 65536))) {
      throw new FormatError(`module "${m.path}": anchors of level ${level} are ${used.join(", ")}`);
    }
    const fromYaml = Array.isArray(yamlAnchors) ? yamlAnchors[level] : undefined;
    const agrees =
      Array.isArray(fromYaml) &&
      fromYaml.length === used.length &&
      fromYaml.every((v, i) => typeof v === "number" && Math.abs(v - used[i]) <= used[i] * roundingError);
    return agrees ? (fromYaml as number[]).slice() : used;
  });
}

/** In 6.0 and later `anchor_grid` is a list of placeholders, not a tensor. */
function isTensor(m: TorchModule, name: string): boolean {
  return !Array.isArray(m.attribute(name)) && m.optionalTensor(name) !== undefined;
}
