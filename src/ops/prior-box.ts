/**
 * PriorBox: SSD's default boxes for every cell of a feature map (first input), relative to the image (second input).
 * Result [2, 4·w·h·boxes]: corners in row 0, variances in row 1. Without an image size and max sizes it is MXNet's
 * variant: rank 1, corners only. Source: ncnn src/layer/priorbox.cpp.
 */
import { GraphError } from "../base/errors.ts";
import { defineOp, float, floats, int, type ParamValues } from "../ir/op.ts";
import { elementCount, type Shape } from "../ir/tensor.ts";
import { namedExtents, requireRank } from "./shapes.ts";

/** The image size or step is found from the inputs. */
export const derived = -233;

const priorParams = {
  min_sizes: floats(0),
  max_sizes: floats(1),
  aspect_ratios: floats(2),
  variance_0: float(3, 0.1),
  variance_1: float(4, 0.1),
  variance_2: float(5, 0.2),
  variance_3: float(6, 0.2),
  flip: int(7, 1),
  clip: int(8),
  image_width: int(9),
  image_height: int(10),
  step_width: float(11, derived),
  step_height: float(12, derived),
  offset: float(13),
  step_mmdetection: int(14),
  center_mmdetection: int(15),
};
type P = ParamValues<typeof priorParams>;

const isMxnet = (inputs: number, p: P): boolean =>
  inputs === 1 && p.image_width === derived && p.image_height === derived && p.max_sizes.length === 0;

function boxesPerCell(inputs: number, p: P): number {
  const [sizes, ratios] = [p.min_sizes.length, p.aspect_ratios.length];
  if (isMxnet(inputs, p)) return sizes - 1 + ratios;
  return sizes * (1 + ratios * (p.flip ? 2 : 1)) + p.max_sizes.length;
}

export const priorBox = defineOp({
  type: "PriorBox",
  typeIndex: 48,
  params: priorParams,
  inputs: [1, 2],
  shape: (inputs, p) => {
    requireRank(inputs[0], [3]);
    if (p.min_sizes.length === 0) throw new GraphError("there are no min_sizes (0)");
    if (p.max_sizes.length && p.max_sizes.length !== p.min_sizes.length) {
      throw new GraphError(`${p.max_sizes.length} max_sizes for ${p.min_sizes.length} min_sizes`);
    }
    if (isMxnet(inputs.length, p) && p.aspect_ratios.length === 0) {
      throw new GraphError("there are no aspect_ratios (2), whose first belongs to min_sizes (0)");
    }
    const [, h, w] = inputs[0];
    const count = 4 * w * h * boxesPerCell(inputs.length, p);
    if (isMxnet(inputs.length, p)) return [[count]];
    imageSize(inputs, p);
    return [[2, count]];
  },
  reference: (inputs, p, _, [shape]) => {
    const shapes = inputs.map((input) => input.shape);
    const boxes = isMxnet(inputs.length, p) ? mxnetBoxes(shapes[0], p) : caffeBoxes(shapes, p);
    const data = new Float32Array(elementCount(shape));
    data.set(p.clip ? boxes.map((x) => Math.min(Math.max(x, 0), 1)) : boxes);
    const variances = [p.variance_0, p.variance_1, p.variance_2, p.variance_3];
    for (let i = boxes.length; i < data.length; i++) data[i] = variances[i % 4];
    return [{ shape, data }];
  },
});

function imageSize(inputs: readonly Shape[], p: P): { w: number; h: number } {
  const from = inputs[1] && namedExtents(inputs[1]);
  const w = p.image_width === derived ? from?.w : p.image_width;
  const h = p.image_height === derived ? from?.h : p.image_height;
  if (!w || !h || w < 1 || h < 1) {
    throw new GraphError("the image size is unknown: it is neither in 9 and 10 nor that of a second input");
  }
  return { w, h };
}

/** Width and height of every box of a cell, in pixels. */
function boxSizes(p: P): [w: number, h: number][] {
  return p.min_sizes.flatMap((min, i) => {
    const sizes: [number, number][] = [[min, min]];
    if (p.max_sizes.length) {
      const size = Math.sqrt(min * p.max_sizes[i]);
      sizes.push([size, size]);
    }
    for (const ratio of p.aspect_ratios) {
      const root = Math.sqrt(ratio);
      sizes.push([min * root, min / root]);
      if (p.flip) sizes.push([min / root, min * root]);
    }
    return sizes;
  });
}

function caffeBoxes(inputs: readonly Shape[], p: P): number[] {
  const [, h, w] = inputs[0];
  const image = imageSize(inputs, p);
  const step = (given: number, whole: number, cells: number): number =>
    given !== derived ? given : p.step_mmdetection ? Math.ceil(whole / cells) : whole / cells;
  const stepX = step(p.step_width, image.w, w);
  const stepY = step(p.step_height, image.h, h);
  const centre = (i: number, size: number): number =>
    p.center_mmdetection ? i * size + p.offset * (size - 1) : (i + p.offset) * size;
  const sizes = boxSizes(p);
  const out: number[] = [];
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      for (const [boxW, boxH] of sizes)
        pushBox(out, centre(x, stepX), centre(y, stepY), boxW, boxH, image.w, image.h);
    }
  }
  return out;
}

function mxnetBoxes([, h, w]: Shape, p: P): number[] {
  const stepX = p.step_width === derived ? 1 / w : p.step_width;
  const stepY = p.step_height === derived ? 1 / h : p.step_height;
  const [first] = p.min_sizes;
  const sizes: [number, number][] = [
    ...p.min_sizes.map((size): [number, number] => [(size * h) / w, size]),
    ...p.aspect_ratios.slice(1).map((ratio): [number, number] => {
      const root = Math.sqrt(ratio);
      return [((first * h) / w) * root, first / root];
    }),
  ];
  const out: number[] = [];
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      for (const [boxW, boxH] of sizes)
        pushBox(out, (x + p.offset) * stepX, (y + p.offset) * stepY, boxW, boxH, 1, 1);
    }
  }
  return out;
}

function pushBox(
  out: number[],
  x: number,
  y: number,
  w: number,
  h: number,
  imageW: number,
  imageH: number,
): void {
  out.push((x - w / 2) / imageW, (y - h / 2) / imageH, (x + w / 2) / imageW, (y + h / 2) / imageH);
}
