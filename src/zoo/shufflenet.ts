/**
 * ShuffleNet v1 (3 groups) and v2. Zhang et al., "ShuffleNet", 2017; Ma et al., "ShuffleNet V2: Practical guidelines for
 * efficient CNN architecture design", 2018.
 */

import type { Graph } from "../ir/graph.ts";
import { share } from "../ops/slice.ts";
import { classify } from "./_blocks.ts";
import { type Blob, Builder, type Fused } from "./builder.ts";

const groups = 3;
const stemWidth = 24;

/** Grouped 1×1, shuffle, depthwise, grouped 1×1; added to the input, or at stride 2 appended to its average. */
function v1Unit(b: Builder, x: Blob, outputs: number, stride: number): Blob {
  const [channels] = x.shape;
  const added = stride === 1 ? outputs : outputs - channels;
  const inside = added / 4;
  // The stem has too few channels for groups.
  const mixed =
    channels === stemWidth
      ? b.conv(x, inside, { activation: "relu" })
      : b.shuffle(b.conv(x, inside, { group: groups, activation: "relu" }), groups);
  const y = b.conv(b.depthwise(mixed, 3, { stride }), added, { group: groups });
  if (stride === 1) return b.relu(b.eltwiseSum(x, y));
  return b.relu(b.concat([b.averagePool(x, 3, { stride: 2, ceil: true }), y]));
}

export function shufflenet(size: number): Graph {
  const b = new Builder();
  let x = b.conv(b.input(size), stemWidth, { kernel: 3, stride: 2, activation: "relu" });
  x = b.maxPool(x, 3, { stride: 2, ceil: true });
  for (const [outputs, units] of [
    [240, 4],
    [480, 8],
    [960, 4],
  ]) {
    for (let i = 0; i < units; i++) x = v1Unit(b, x, outputs, i === 0 ? 2 : 1);
  }
  classify(b, x);
  return b.graph;
}

/** How a v2 unit takes its input apart and puts it together: converters spell it in several ways. */
export interface V2Spelling {
  readonly activation: Fused;
  /** The two halves of the channels. */
  split(b: Builder, x: Blob): Blob[];
  /** Channels are shuffled after each unit, or (undone) before each split. */
  readonly shuffle: "after" | "before";
}

export const sliceWithFirstSize = (b: Builder, x: Blob): Blob[] =>
  b.layers("Slice", x, { slices: [x.shape[0] / 2, share] }, 2);
export const sliceEvenly = (b: Builder, x: Blob): Blob[] =>
  b.layers("Slice", x, { slices: [share, share] }, 2);
export const cropTwice = (b: Builder, x: Blob): Blob[] => {
  const half = x.shape[0] / 2;
  return [b.crop(x, 0, half), b.crop(x, half, 2 * half)];
};

/** Stride 2: two branches read all channels. */
function v2Reduction(b: Builder, x: Blob, outputs: number, { activation }: V2Spelling): Blob {
  const half = outputs / 2;
  const left = b.conv(b.depthwise(x, 3, { stride: 2 }), half, { activation });
  const right = b.depthwise(b.conv(x, half, { activation }), 3, { stride: 2 });
  return b.concat([left, b.conv(right, half, { activation })]);
}

/** Stride 1: one half of the channels passes by. */
function v2Unit(b: Builder, x: Blob, spelling: V2Spelling): Blob {
  const { activation } = spelling;
  const [left, right] = spelling.split(b, x);
  const [channels] = right.shape;
  const y = b.depthwise(b.conv(right, channels, { activation }), 3);
  return b.concat([left, b.conv(y, channels, { activation })]);
}

/**
 * The stages' outputs. `widths[i]` are the channels of stage i, which has `units[i]` units.
 */
export function shufflenetV2Stages(
  b: Builder,
  x: Blob,
  widths: readonly number[],
  units: readonly number[],
  spelling: V2Spelling,
): Blob[] {
  return widths.map((width, stage) => {
    for (let i = 0; i < units[stage]; i++) {
      if (i > 0 && spelling.shuffle === "before") x = b.shuffle(x, 2, true);
      x = i === 0 ? v2Reduction(b, x, width, spelling) : v2Unit(b, x, spelling);
      if (spelling.shuffle === "after") x = b.shuffle(x, 2);
    }
    return x;
  });
}

export function shufflenetV2(size: number): Graph {
  const b = new Builder();
  const spelling: V2Spelling = { activation: "relu", split: sliceWithFirstSize, shuffle: "after" };
  const stem = b.conv(b.input(size), stemWidth, { kernel: 3, stride: 2, activation: "relu" });
  const pooled = b.maxPool(stem, 3, { stride: 2, ceil: true });
  const stages = shufflenetV2Stages(b, pooled, [116, 232, 464], [4, 8, 4], spelling);
  classify(b, b.conv(stages[2], 1024, { activation: "relu" }));
  return b.graph;
}
