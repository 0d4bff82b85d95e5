/**
 * YOLO on MobileNet v1 (v2 head), on MobileNetV2 (v3 head), and YOLOv4-tiny. Redmon and Farhadi, "YOLO9000", 2016, "YOLOv3", 2018;
 * Bochkovskiy et al., "YOLOv4", 2020.
 */
import type { Graph } from "../ir/graph.ts";
import { type Blob, Builder } from "./builder.ts";
import { mobilenetFeatures, mobilenetV2Features, separable } from "./mobilenet.ts";

/** Channels of a head: for every anchor four coordinates, objectness and the classes. */
const headChannels = (anchors: number, classes: number): number => anchors * (5 + classes);

export function mobilenetYolo(size: number): Graph {
  const b = new Builder();
  const { at16, at32 } = mobilenetFeatures(b, b.input(size));
  const deep = separable(b, at32, 1024);
  const narrow = b.transposed(deep, 512, 4, 2, 1);
  const fine = separable(b, b.eltwiseSum(at16, narrow), 1024);
  const heads = [deep, fine].map((x) => b.conv(x, headChannels(5, 20)));
  b.layer("YoloDetectionOutput", heads, {
    confidence_threshold: 0.4,
    biases: [1.08, 1.19, 3.42, 4.41, 6.63, 11.38, 9.42, 5.11, 16.62, 10.52],
  });
  return b.graph;
}

export function mobilenetV2YoloV3(size: number): Graph {
  const b = new Builder();
  const { at16, at32 } = mobilenetV2Features(b, b.input(size));
  const deep = separable(b, at32, 576);
  // Enlarged by dropping values between zeros and spreading them.
  const spread = b.maxPool(b.transposed(deep, 576, 1, 2), 2, { pad: 1, ceil: true });
  const fine = separable(b, b.eltwiseSum(spread, separable(b, at16, 576)), 576);
  const heads = [deep, fine].map((x) => b.conv(x, headChannels(3, 20)));
  b.layer("Yolov3DetectionOutput", heads, {
    num_box: 3,
    confidence_threshold: 0.3,
    biases: [20, 37, 49, 94, 73, 201, 143, 265, 153, 121, 280, 279],
    mask: [3, 4, 5, 0, 1, 2],
    anchors_scale: [32, 16],
  });
  return b.graph;
}

const leaky = { activation: { leakyRelu: 0.1 } } as const;

/** Cross-stage partial block: the second half of the channels goes through two more convolutions. */
function partialBlock(b: Builder, data: Blob, width: number): { output: Blob; inside: Blob } {
  const x = b.conv(data, width, { ...leaky, kernel: 3 });
  const half = width / 2;
  const [, h, w] = x.shape;
  const second = b.layer("Crop", x, { coffset: half, outw: w, outh: h, outc: half });
  const first = b.conv(second, half, { ...leaky, kernel: 3 });
  const both = b.concat([b.conv(first, half, { ...leaky, kernel: 3 }), first]);
  const inside = b.conv(both, width, leaky);
  const joined = b.concat([x, inside]);
  const output = b.layer("Pooling", joined, {
    kernel_w: 2,
    stride_w: 2,
    pad_right: 1,
    pad_bottom: 1,
    pad_mode: 1,
  });
  return { output, inside };
}

export function yolov4Tiny(size: number): Graph {
  const b = new Builder();
  let x = b.conv(b.input(size), 32, { ...leaky, kernel: 3, stride: 2 });
  x = b.conv(x, 64, { ...leaky, kernel: 3, stride: 2 });
  let at16 = x;
  for (const width of [64, 128, 256]) ({ output: x, inside: at16 } = partialBlock(b, x, width));
  const deep = b.conv(b.conv(x, 512, { ...leaky, kernel: 3 }), 256, leaky);
  const enlarged = b.upsample(b.conv(deep, 128, leaky));
  const fine = b.conv(b.concat([enlarged, at16]), 256, { ...leaky, kernel: 3 });
  const heads = [b.conv(deep, 512, { ...leaky, kernel: 3 }), fine].map((y) => b.conv(y, headChannels(3, 80)));
  b.layer("Yolov3DetectionOutput", heads, {
    num_class: 80,
    num_box: 3,
    confidence_threshold: 0.3,
    biases: [10, 14, 23, 27, 37, 58, 81, 82, 135, 169, 344, 319],
    mask: [3, 4, 5, 1, 2, 3],
    anchors_scale: [33.6, 16.8],
  });
  return b.graph;
}
