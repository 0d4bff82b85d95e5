/**
 * YoloDetectionOutput: decoding and suppression of YOLOv2 heads. Result [rows, 6]: label + 1, score, x0, y0, x1, y1
 * relative to the image. Where nothing is found the result has 0 rows; native ncnn returns its input there.
 * Source: ncnn src/layer/yolodetectionoutput.cpp.
 */
import { GraphError } from "../base/errors.ts";
import { defineOp, float, floats, int, type ParamValues } from "../ir/op.ts";
import type { Tensor } from "../ir/tensor.ts";
import { type Box, boxesToTensor, byScore, mostYoloRows, suppress, yoloBox, yoloCells } from "./_boxes.ts";
import { sigmoid } from "./activations.ts";
import { requireRank } from "./shapes.ts";

export const yoloParams = {
  num_class: int(0, 20),
  num_box: int(1, 5),
  confidence_threshold: float(2, 0.01),
  nms_threshold: float(3, 0.45),
  /** Width and height of every anchor; in cells here, in pixels for Yolov3DetectionOutput. */
  biases: floats(4),
};
type P = ParamValues<typeof yoloParams>;

/** Throws GraphError when a head does not have num_box blocks of 5 + num_class channels. */
export function requireYoloHead(shape: readonly number[], p: P): void {
  requireRank(shape, [3]);
  const expected = p.num_box * (5 + p.num_class);
  if (p.num_box < 1 || shape[0] !== expected) {
    throw new GraphError(
      `${shape[0]} channels, but ${p.num_box} boxes of ${p.num_class} classes take ${expected}`,
    );
  }
}

export const yoloDetectionOutput = defineOp({
  type: "YoloDetectionOutput",
  typeIndex: 56,
  params: yoloParams,
  inputs: [1, Number.POSITIVE_INFINITY],
  dynamicRows: true,
  detections: (_, p) => ({ classes: p.num_class, confidence: p.confidence_threshold }),
  shape: (inputs, p) => {
    for (const input of inputs) requireYoloHead(input, p);
    if (p.biases.length < 2 * p.num_box) {
      throw new GraphError(`${p.biases.length} biases for ${p.num_box} boxes, expected ${2 * p.num_box}`);
    }
    return [[mostYoloRows(inputs, p.num_box), 6]];
  },
  reference: (inputs, p) => {
    const boxes = inputs.flatMap((input) => decode(input, p)).sort(byScore);
    return [boxesToTensor(suppress(boxes, p.nms_threshold))];
  },
});

function decode(input: Tensor, p: P): Box[] {
  const boxes: Box[] = [];
  for (const cell of yoloCells(input, p.num_box)) {
    let best = 0;
    for (let k = 1; k < p.num_class; k++) if (cell.channel(5 + k) > cell.channel(5 + best)) best = k;
    let sum = 0;
    for (let k = 0; k < p.num_class; k++) sum += Math.exp(cell.channel(5 + k) - cell.channel(5 + best));
    const score = sigmoid(cell.channel(4)) / sum;
    if (score >= p.confidence_threshold) {
      const [w, h] = p.biases.slice(cell.anchor * 2);
      boxes.push(yoloBox(cell, w / cell.w, h / cell.h, best + 1, score));
    }
  }
  return boxes;
}
