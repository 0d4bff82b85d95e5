/**
 * Yolov3DetectionOutput: decoding and suppression of YOLOv3/v4 heads, one input each. Result [rows, 6]: label + 1,
 * score, x0, y0, x1, y1 relative to the image; possibly 0 rows. Source: ncnn src/layer/yolov3detectionoutput.cpp.
 */
import { GraphError } from "../base/errors.ts";
import { bitsToF32 } from "../base/fp16.ts";
import { defineOp, floats, type ParamValues } from "../ir/op.ts";
import type { Tensor } from "../ir/tensor.ts";
import {
  type Box,
  boxesToTensor,
  byScore,
  mostYoloRows,
  suppress,
  type YoloCell,
  yoloBox,
  yoloCells,
} from "./_boxes.ts";
import { requireYoloHead, yoloParams } from "./yolo-detection-output.ts";

const yolov3Params = {
  ...yoloParams,
  /** Indices into the anchors, num_box for every input. Real files spell them as the integers with a float's bits. */
  mask: floats(5),
  /** Pixels per cell of every input. */
  anchors_scale: floats(6),
};
type P = ParamValues<typeof yolov3Params>;

/** No mask is this large, so the number is the bit pattern of a float. */
const leastFloatBits = 0x1000000;
const maskIndex = (value: number): number => Math.trunc(value >= leastFloatBits ? bitsToF32(value) : value);

export const yolov3DetectionOutput = defineOp({
  type: "Yolov3DetectionOutput",
  typeIndex: 59,
  params: yolov3Params,
  inputs: [1, Number.POSITIVE_INFINITY],
  dynamicRows: true,
  detections: (_, p) => ({ classes: p.num_class, confidence: p.confidence_threshold }),
  shape: (inputs, p) => {
    for (const input of inputs) requireYoloHead(input, p);
    const needed = inputs.length * p.num_box;
    if (p.mask.length < needed || p.anchors_scale.length < inputs.length) {
      throw new GraphError(
        `${p.mask.length} masks and ${p.anchors_scale.length} scales for ${inputs.length} inputs, expected ${needed} and ${inputs.length}`,
      );
    }
    const anchors = Math.floor(p.biases.length / 2);
    const beyond = p.mask
      .slice(0, needed)
      .map(maskIndex)
      .find((index) => !(index >= 0 && index < anchors));
    if (beyond !== undefined) throw new GraphError(`mask ${beyond}, but there are ${anchors} anchors`);
    return [[mostYoloRows(inputs, p.num_box), 6]];
  },
  reference: (inputs, p) => {
    const boxes = inputs.flatMap((input, i) => decode(input, i, p)).sort(byScore);
    return [boxesToTensor(suppress(boxes, p.nms_threshold))];
  },
});

function decode(input: Tensor, index: number, p: P): Box[] {
  const [, h, w] = input.shape;
  const netW = Math.trunc(p.anchors_scale[index] * w);
  const netH = Math.trunc(p.anchors_scale[index] * h);
  const boxes: Box[] = [];
  const best = bestClasses(input, p);
  for (const cell of yoloCells(input, p.num_box)) {
    const { label, logit } = best(cell);
    // Not the product of the two sigmoids, which would have e^-class as one more summand.
    const score = 1 / (1 + Math.exp(-cell.channel(4)) * (1 + Math.exp(-logit)));
    if (score < p.confidence_threshold) continue;
    const anchor = 2 * maskIndex(p.mask[index * p.num_box + cell.anchor]);
    boxes.push(yoloBox(cell, p.biases[anchor] / netW, p.biases[anchor + 1] / netH, label + 1, score));
  }
  return boxes;
}

/** The best class of a cell. Worked out for all cells of an anchor class after class, as they lie in memory. */
function bestClasses(
  { shape: [channels, h, w], data }: Tensor,
  p: P,
): (cell: YoloCell) => { label: number; logit: number } {
  const cells = h * w;
  const anchors = Array.from({ length: p.num_box }, (_, anchor) => {
    const first = (anchor * (channels / p.num_box) + 5) * cells;
    const logits = data.slice(first, first + cells);
    const labels = new Int32Array(cells);
    for (let k = 1, at = first + cells; k < p.num_class; k++) {
      for (let i = 0; i < cells; i++, at++) {
        if (data[at] > logits[i]) {
          logits[i] = data[at];
          labels[i] = k;
        }
      }
    }
    return { labels, logits };
  });
  return ({ anchor, x, y }) => {
    const { labels, logits } = anchors[anchor];
    return { label: labels[y * w + x], logit: logits[y * w + x] };
  };
}
