/** Yolo-Fastest 1.1 and Yolo-FastestV2. dog-qiuqiu, 2020 and 2021. */
import type { Graph } from "../ir/graph.ts";
import { invertedResidual, repeat } from "./_blocks.ts";
import { type Blob, Builder } from "./builder.ts";
import { shufflenetV2Stages, sliceEvenly } from "./shufflenet.ts";

const leaky = { activation: { leakyRelu: 0.1 } } as const;

/** Inverted residuals. */
const blocks: readonly (readonly [expanded: number, outputs: number, stride: number])[] = [
  [8, 4, 1],
  [8, 4, 1],
  [24, 8, 2],
  ...repeat(2, [32, 8, 1] as const),
  [32, 8, 2],
  ...repeat(2, [48, 8, 1] as const),
  [48, 16, 1],
  ...repeat(4, [96, 16, 1] as const),
  [96, 24, 2],
  ...repeat(4, [136, 24, 1] as const),
  [136, 48, 2],
  ...repeat(5, [224, 48, 1] as const),
];

/** Two 5×5 depthwise separable convolutions and the head. */
function v1Head(b: Builder, data: Blob): Blob {
  const [channels] = data.shape;
  let x = data;
  for (let i = 0; i < 2; i++) x = b.conv(b.depthwise(x, 5, leaky), channels);
  return b.conv(x, 255);
}

export function yoloFastest11(size: number): Graph {
  const b = new Builder();
  let x = b.conv(b.input(size), 8, { ...leaky, kernel: 3, stride: 2 });
  let at16 = x;
  for (const [expanded, outputs, stride] of blocks) {
    if (outputs === 48 && stride === 2) at16 = x;
    x = invertedResidual(b, x, {
      expanded,
      outputs,
      stride,
      ...leaky,
      alwaysExpand: true,
      sum: "eltwiseSum",
    }).output;
  }
  // Spatial pyramid pooling.
  const pooled = [9, 5, 3].map((kernel) => b.maxPool(x, kernel, { pad: Math.floor(kernel / 2) }));
  const deep = b.conv(b.concat([...pooled, x]), 96, leaky);
  const fine = b.concat([b.upsample(deep), at16]);
  b.layer("Yolov3DetectionOutput", [v1Head(b, deep), v1Head(b, fine)], {
    num_class: 80,
    num_box: 3,
    confidence_threshold: 0.55,
    biases: [12, 18, 37, 49, 52, 132, 115, 73, 119, 199, 242, 238],
    mask: [3, 4, 5, 0, 1, 2],
    anchors_scale: [32, 16],
  });
  return b.graph;
}

/** The ShuffleNetV2 of Yolo-FastestV2 and FastestDet: features at 1/8, 1/16 and 1/32 of the input's size. */
export function smallShufflenetV2(b: Builder, data: Blob): Blob[] {
  const stem = b.conv(data, 24, { kernel: 3, stride: 2, activation: "relu" });
  const pooled = b.maxPool(stem, 3, { stride: 2, pad: 1 });
  const spelling = { activation: "relu", split: sliceEvenly, shuffle: "before" } as const;
  return shufflenetV2Stages(b, pooled, [48, 96, 192], [4, 8, 4], spelling);
}

const anchors = 3;
const classes = 80;

/** Coordinates on one branch, objectness and classes on another; `[h, w, values]`. */
function v2Head(b: Builder, features: Blob): Blob {
  const x = b.conv(features, 72, { activation: "relu" });
  const branch = (): Blob => {
    let y = x;
    for (let i = 0; i < 2; i++) y = b.conv(b.depthwise(y, 5, { activation: "relu" }), 72);
    return y;
  };
  const [scoring, locating] = [branch(), branch()];
  const boxes = b.conv(locating, 4 * anchors, { activation: "sigmoid" });
  const objectness = b.conv(scoring, anchors, { activation: "sigmoid" });
  const scores = b.permute(b.softmax(b.permute(b.conv(scoring, classes), 5), 2), 5);
  return b.permute(b.concat([boxes, objectness, scores]), 3);
}

export function yoloFastestV2(size: number): Graph {
  const b = new Builder();
  const [, at16, at32] = smallShufflenetV2(b, b.input(size));
  const deep = v2Head(b, at32);
  const fine = v2Head(b, b.concat([b.upsample(at32), at16]));
  b.layer("Noop", [fine, deep]);
  return b.graph;
}
