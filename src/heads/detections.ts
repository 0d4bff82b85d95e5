/** Boxes that the network has decoded and chosen itself, a row each: ncnn's detection layers (SSD, YOLOv3 and v4, Yolo-Fastest). */
import * as z from "zod/mini";
import { type Formula, mul, sumOf } from "../base/formula.ts";
import { formatShape, type Tensor } from "../ir/tensor.ts";
import { quote } from "./cpp.ts";
import { blobName, defineHead, extent } from "./kind.ts";

/** Blob of rows `class score x0 y0 x1 y1`, corners as parts of the input; the class 0 is the background, labels begin at 1. */
export interface DetectionsHead {
  kind: "detections";
  blob: string;
  /** Input sizes must be multiples of it, in pixels. */
  stride: number;
}

const values = 6;

export const detections = defineHead<DetectionsHead>({
  kind: "detections",
  title: "list of detections",
  schema: z.strictObject({ kind: z.literal("detections"), blob: blobName, stride: extent }),
  needsNms: () => false,
  blobs: ({ blob }) => [blob],
  stride: ({ stride }) => stride,
  describe: () => "rows of class, score and corners",

  problem: (_, [shape]) =>
    shape.length === 2 && shape[1] === values
      ? undefined
      : `output is ${formatShape(shape)} (w x h x c), expected ${values} values a row`,

  decode(_, [{ data, shape }], classes, { confidence, allowed, width, height }, out) {
    for (let row = 0; row < shape[0]; row++) {
      const [label, score, x0, y0, x1, y1] = data.subarray(row * values, (row + 1) * values);
      const k = Math.round(label) - 1;
      if (!(k >= 0 && k < classes && score > confidence) || (allowed && !allowed[k])) continue;
      if (Number.isNaN(x0 + y0 + x1 + y1)) continue;
      out.add(x0 * width, y0 * height, x1 * width, y1 * height, score, k);
    }
  },

  formulas: ({ blob }, [[rows]], { classes, width, height }) => {
    const [x0, y0, x1, y1] = [2, 3, 4, 5].map((value): Formula => ({ view: 0, value }));
    return [
      {
        ...{ rows, columns: rows },
        views: [{ blob, first: 0, rowStride: values, valueStride: 1 }],
        classes: { view: 0, from: 0, count: classes, numbered: true },
        score: { view: 0, value: 1 },
        box: [mul(x0, width), mul(y0, height), mul(x1, width), mul(y1, height)],
        sound: sumOf([x0, y0, x1, y1]),
        every: false,
      },
    ];
  },

  // Two lists have other boxes in the same row.
  values: () => [],

  // What comes out is chosen: no value belongs to a channel whose mean could be kept.
  importance: () => [undefined],

  loss: (_, [float], [int8]) => rowLoss(float, int8) / 2 + rowLoss(int8, float) / 2,

  cpp: (heads) => ({
    comment: [
      "The blob has a row of w = 6 values for every box that was found: class (1 for the first name), score,",
      "x0 y0 x1 y1 as parts of the network's input. Overlapping boxes have been dropped.",
    ],
    members: ["const char* blob;"],
    rows: heads.map(({ blob }) => `{${quote(blob)}}`),
  }),

  recognise({ chosen }) {
    if (!chosen) return undefined;
    const { blob, classes, confidence, isFromGrids, stride } = chosen;
    return {
      heads: [{ kind: "detections", blob, stride }],
      classes,
      family: isFromGrids ? "darknet" : "ssd",
      notes: [
        `the last layer drops boxes with scores of ${Number(confidence.toPrecision(6))} and less: a lower confidence finds no more, and average precision is that of the rest`,
      ],
      isWhole: true,
    };
  },
});

/** Squared errors of scores and corners of the rows of `a`, each against the row of its class in `b` that overlaps it most. */
function rowLoss(a: Tensor, b: Tensor): number {
  let loss = 0;
  for (let i = 0; i < a.shape[0]; i++) {
    const row = a.data.subarray(i * values, (i + 1) * values);
    let least = row[1] ** 2; // there is none
    for (let j = 0; j < b.shape[0]; j++) {
      const other = b.data.subarray(j * values, (j + 1) * values);
      if (row[0] !== other[0]) continue;
      let error = (row[1] - other[1]) ** 2;
      for (let k = 2; k < values; k++) error += row[1] * (row[k] - other[k]) ** 2;
      least = Math.min(least, error);
    }
    loss += least;
  }
  return loss;
}
