/** FastestDet's head: one level, the centre by a hyperbolic tangent, the size as a part of the picture. */
import * as z from "zod/mini";
import { add, div, type Formula, mul, pow, sigmoidOf, sub, sumOf, tanhOf } from "../base/formula.ts";
import { sigmoid } from "../base/maths.ts";
import type { Tensor } from "../ir/tensor.ts";
import {
  areaOf,
  gridStride,
  planeLoss,
  planeProblem,
  planesAbove,
  planeValues,
  planeView,
  visitScores,
} from "./_planes.ts";
import { softmaxImportance, softmaxScores, softmaxSource } from "./_softmax.ts";
import { quote } from "./cpp.ts";
import { blobName, defineHead, extent, logit, logitSlack } from "./kind.ts";
import { channelsOf } from "./view.ts";

/**
 * Blobs `[channels, gridHeight, gridWidth]` of logits: objectness (1), `x y w h` (4) and classes;
 * `center = (tanh(xy) + cell)·stride`, `size = σ(wh)·input`, `score = σ(objectness)^0.6 · softmax(classes)^0.4`.
 */
export interface FastestDetHead {
  kind: "fastestdet";
  objectness: string;
  boxes: string;
  scores: string;
  /** Input pixels per grid cell. */
  stride: number;
}

const combine = (objectness: number, probability: number): number => objectness ** 0.6 * probability ** 0.4;

export const fastestdet = defineHead<FastestDetHead>({
  kind: "fastestdet",
  title: "FastestDet head",
  schema: z.strictObject({
    kind: z.literal("fastestdet"),
    objectness: blobName,
    boxes: blobName,
    scores: blobName,
    stride: extent,
  }),
  needsNms: () => true,
  blobs: ({ objectness, boxes, scores }) => [objectness, boxes, scores],
  stride: ({ stride }) => gridStride(stride),
  describe: ({ stride }) => `stride ${stride}`,

  problem: (head, [objectness, boxes, scores], facts) =>
    planeProblem(head.objectness, objectness, 1, head.stride, facts, "objectness") ??
    planeProblem(head.boxes, boxes, 4, head.stride, facts, "a box") ??
    planeProblem(head.scores, scores, facts.classes, head.stride, facts, `${facts.classes} labels`),

  decode(head, [objectness, boxes, scores], classes, options, out) {
    const gridWidth = scores.shape[2];
    const scoreOf = softmaxScores(objectness, scores, classes, 0, combine, options.confidence);
    // Where the class is certain, the score is objectness^0.6.
    const least = logit(options.confidence ** (1 / 0.6)) - logitSlack;
    visitScores(planesAbove(objectness, 0, 1, least), classes, options, scoreOf, (cell, k, score) => {
      const [x, y, w, h] = boxOf(boxes, cell);
      const centerX = (x + (cell % gridWidth)) * head.stride;
      const centerY = (y + Math.floor(cell / gridWidth)) * head.stride;
      const [halfWidth, halfHeight] = [(w * options.width) / 2, (h * options.height) / 2];
      if (Number.isNaN(centerX + centerY + halfWidth + halfHeight)) return;
      out.add(centerX - halfWidth, centerY - halfHeight, centerX + halfWidth, centerY + halfHeight, score, k);
    });
  },

  formulas({ stride, ...head }, [objectness, boxes, scores], { classes, width, height }) {
    const value = (i: number): Formula => ({ view: 1, value: i });
    const object = pow(sigmoidOf({ view: 2, value: 0 }), 0.6);
    const [x, y] = [mul(add(tanhOf(value(0)), "column"), stride), mul(add(tanhOf(value(1)), "row"), stride)];
    const [w, h] = [div(mul(sigmoidOf(value(2)), width), 2), div(mul(sigmoidOf(value(3)), height), 2)];
    return [
      {
        rows: scores[1] * scores[2],
        columns: scores[2],
        views: [
          planeView(head.scores, scores),
          planeView(head.boxes, boxes),
          planeView(head.objectness, objectness),
        ],
        classes: { view: 0, from: 0, count: classes },
        most: object,
        score: mul(object, pow("softmax", 0.4)),
        box: [sub(x, w), sub(y, h), add(x, w), add(y, h)],
        sound: sumOf([x, y, w, h]),
        every: false,
      },
    ];
  },

  values: ({ objectness, boxes, scores }, _, classes) => [
    planeValues("box", boxes, 4),
    planeValues("objectness", objectness, 1),
    planeValues("class", scores, classes),
  ],

  importance(_, [objectness, , scores], classes) {
    const [object, values] = softmaxImportance(objectness, scores, classes, 1, combine);
    return [object, undefined, values];
  },

  loss(_, [objectness, boxes, scores], [otherObjectness, otherBoxes, otherScores], classes) {
    const boxError = (cell: number): number => {
      const [float, int8] = [boxOf(boxes, cell), boxOf(otherBoxes, cell)];
      return float.reduce((sum, value, i) => sum + (value - int8[i]) ** 2, 0);
    };
    return planeLoss(
      areaOf(scores),
      classes,
      softmaxScores(objectness, scores, classes, 0, combine),
      softmaxScores(otherObjectness, otherScores, classes, 0, combine),
      boxError,
    );
  },

  cpp: (heads) => ({
    comment: [
      "Head blobs have w x h = grid cells: c = 1 (objectness), c = 4 (x y w h) and c = num_class, all without activation:",
      "  center = (tanh(xy) + cell) * stride,   size = sigmoid(wh) * input width or height,",
      "  score = sigmoid(objectness)^0.6 * softmax(classes)^0.4, all in pixels of the network's input.",
    ],
    members: [
      "const char* objectness_blob;",
      "const char* boxes_blob;",
      "const char* scores_blob;",
      "int stride;",
    ],
    rows: heads.map(
      ({ objectness, boxes, scores, stride }) =>
        `{${quote(objectness)}, ${quote(boxes)}, ${quote(scores)}, ${stride}}`,
    ),
  }),

  parts: [
    { what: "objectness", origin: "sigmoid", channels: 1 },
    { what: "x y w h", origin: "raw", channels: 4 },
    { what: "the softmax of classes", origin: "other", channels: "n" },
  ],

  recognise(view) {
    if (view.pieces.length !== 1) return undefined;
    const [piece] = view.pieces;
    const objectness = channelsOf(piece, 0, 1, "sigmoid");
    const boxes = channelsOf(piece, 1, 4, "raw");
    const scores = softmaxSource(view, piece, 5);
    if (!objectness || !boxes || !scores || objectness.channel || boxes.channel) return undefined;
    return {
      heads: [
        {
          kind: "fastestdet",
          objectness: objectness.source.blob,
          boxes: boxes.source.blob,
          scores: scores.blob,
          stride: piece.stride,
        },
      ],
      classes: scores.channels,
      family: "fastestdet",
      notes: [`boxes in ${piece.output} come without their formula and are taken for FastestDet's`],
    };
  },
});

/** x and y in cells relative to the cell, width and height as parts of the input. */
function boxOf(boxes: Tensor, cell: number): number[] {
  const { data } = boxes;
  const area = areaOf(boxes);
  return [
    Math.tanh(data[cell]),
    Math.tanh(data[area + cell]),
    sigmoid(data[2 * area + cell]),
    sigmoid(data[3 * area + cell]),
  ];
}
