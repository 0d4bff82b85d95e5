/** YOLOX's head: anchor-free, the size by an exponential. */
import * as z from "zod/mini";
import { add, div, expOf, type Formula, mul, sigmoidOf, sub, sumOf } from "../base/formula.ts";
import { sigmoid } from "../base/maths.ts";
import type { Tensor } from "../ir/tensor.ts";
import { boxSource, type CellBox, decodedPieces } from "./_decoded.ts";
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
import { quote } from "./cpp.ts";
import type { FamilyName } from "./families.ts";
import { blobName, defineHead, extent, leastScore, logit, logitSlack } from "./kind.ts";
import { joinLevels, type Recognition } from "./recognition.ts";
import { channelsOf, type HeadView, isPlain } from "./view.ts";

/**
 * Blobs `[channels, gridHeight, gridWidth]`: `x y w h` with `center = (xy + cell)·stride`, `size = exp(wh)·stride`; logits of
 * objectness (one channel) and of classes (one each), whose sigmoids' product is the score.
 */
export interface YoloxHead {
  kind: "yolox";
  boxes: string;
  objectness: string;
  scores: string;
  /** Input pixels per grid cell. */
  stride: number;
}

export const yolox = defineHead<YoloxHead>({
  kind: "yolox",
  title: "YOLOX head",
  schema: z.strictObject({
    kind: z.literal("yolox"),
    boxes: blobName,
    objectness: blobName,
    scores: blobName,
    stride: extent,
  }),
  needsNms: () => true,
  blobs: ({ boxes, objectness, scores }) => [boxes, objectness, scores],
  stride: ({ stride }) => gridStride(stride),
  describe: ({ stride }) => `stride ${stride}`,

  problem: (head, [boxes, objectness, scores], facts) =>
    planeProblem(head.boxes, boxes, 4, head.stride, facts, "a box") ??
    planeProblem(head.objectness, objectness, 1, head.stride, facts, "objectness") ??
    planeProblem(head.scores, scores, facts.classes, head.stride, facts, `${facts.classes} labels`),

  decode(head, [boxes, objectness, scores], classes, options, out) {
    const gridWidth = scores.shape[2];
    const least = logit(options.confidence) - logitSlack;
    const scoreOf = scoresOf(objectness, scores, least);
    const visit = (cell: number, k: number, score: number): void => {
      const [x, y, w, h] = boxOf(boxes, cell);
      const left = (x - w / 2 + (cell % gridWidth)) * head.stride;
      const top = (y - h / 2 + Math.floor(cell / gridWidth)) * head.stride;
      const [right, bottom] = [left + w * head.stride, top + h * head.stride];
      if (Number.isNaN(left + top + right + bottom)) return;
      out.add(left, top, right, bottom, score, k);
    };
    visitScores(planesAbove(objectness, 0, 1, least), classes, options, scoreOf, visit);
  },

  formulas({ stride, ...head }, [boxes, objectness, scores], { classes }) {
    const value = (i: number): Formula => ({ view: 1, value: i });
    const [w, h] = [expOf(value(2)), expOf(value(3))];
    const low = (i: number, size: Formula, cell: Formula): Formula =>
      mul(add(sub(value(i), div(size, 2)), cell), stride);
    const [left, top] = [low(0, w, "column"), low(1, h, "row")];
    const [right, bottom] = [add(left, mul(w, stride)), add(top, mul(h, stride))];
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
        most: sigmoidOf({ view: 2, value: 0 }),
        score: mul(sigmoidOf({ view: 2, value: 0 }), sigmoidOf("class")),
        box: [left, top, right, bottom],
        sound: sumOf([left, top, right, bottom]),
        every: false,
      },
    ];
  },

  values: ({ boxes, objectness, scores }, _, classes) => [
    planeValues("box", boxes, 4),
    planeValues("objectness", objectness, 1),
    planeValues("class", scores, classes),
  ],

  importance(_, [, objectness, scores], classes) {
    const area = areaOf(scores);
    const weights = [new Float32Array(objectness.data.length), new Float32Array(scores.data.length)];
    const scoreOf = scoresOf(objectness, scores);
    for (let cell = 0; cell < area; cell++) {
      for (let k = 0; k < classes; k++) {
        const score = scoreOf(cell, k);
        if (score < leastScore) continue;
        weights[1][k * area + cell] = score;
        weights[0][cell] = Math.max(weights[0][cell], score);
      }
    }
    return [undefined, ...weights];
  },

  loss(_, [boxes, objectness, scores], [otherBoxes, otherObjectness, otherScores], classes) {
    const boxError = (cell: number): number => {
      const [float, int8] = [boxOf(boxes, cell), boxOf(otherBoxes, cell)];
      return float.reduce((sum, value, i) => sum + ((value - int8[i]) / (float[2 + (i % 2)] || 1)) ** 2, 0);
    };
    return planeLoss(
      areaOf(scores),
      classes,
      scoresOf(objectness, scores),
      scoresOf(otherObjectness, otherScores),
      boxError,
    );
  },

  cpp: (heads) => ({
    comment: [
      "Head blobs have w x h = grid cells: c = 4 (x y w h), c = 1 (objectness) and c = num_class, all without activation:",
      "  center = (xy + cell) * stride,   size = exp(wh) * stride,",
      "  score = sigmoid(objectness) * sigmoid(class), all in pixels of the network's input.",
    ],
    members: [
      "const char* boxes_blob;",
      "const char* objectness_blob;",
      "const char* scores_blob;",
      "int stride;",
    ],
    rows: heads.map(
      ({ boxes, objectness, scores, stride }) =>
        `{${quote(boxes)}, ${quote(objectness)}, ${quote(scores)}, ${stride}}`,
    ),
  }),

  parts: [
    { what: "x y w h", origin: "raw", channels: 4 },
    { what: "objectness", origin: "sigmoid", channels: 1 },
    { what: "classes", origin: "sigmoid", channels: "n" },
  ],

  seesAll: true,
  recognise: (view) => recogniseDecoded(view) ?? (isPlain(view) ? recogniseRaw(view) : undefined),
});

/** Raw boxes, as YOLOX exports them unless told otherwise. */
function recogniseRaw(view: HeadView): Recognition<YoloxHead> | undefined {
  const levels = joinLevels(view);
  if (!levels?.length) return undefined;
  const heads: YoloxHead[] = [];
  const classes = levels[0].columns.length - 5;
  for (const level of levels) {
    const boxes = channelsOf(level, 0, 4, "raw");
    const objectness = channelsOf(level, 4, 1, "sigmoid");
    const scores = channelsOf(level, 5, classes, "sigmoid");
    if (!boxes || !objectness || !scores || level.columns.length !== classes + 5) return undefined;
    if (boxes.channel || objectness.channel || scores.channel || objectness.source === scores.source) {
      return undefined; // one convolution with anchors: YOLOv5's family
    }
    const [box, object, score] = [boxes, objectness, scores].map(({ source }) => source.blob);
    heads.push({ kind: "yolox", boxes: box, objectness: object, scores: score, stride: level.stride });
  }
  const notes = [
    "boxes come without their formula and are taken for YOLOX's: (xy + cell)·stride and exp(wh)·stride",
  ];
  return { heads, classes, ...preprocessingFor(view, notes) };
}

/** Boxes that the graph makes: YOLOX's `--decode_in_inference`, and the first YOLOv6. */
function recogniseDecoded(view: HeadView): Recognition<YoloxHead> | undefined {
  const pieces = decodedPieces(view);
  if (!pieces) return undefined;
  const heads = pieces.map((found): YoloxHead | undefined => {
    const { piece, scores, objectness } = found;
    const boxes = boxSource(view, found, ({ channels }) => (channels === 4 ? [{ box: expBox }] : []));
    if (!boxes || objectness?.source.channels !== 1 || scores.channel) return undefined;
    const [box, object, score] = [boxes, objectness, scores].map(({ source }) => source.blob);
    return { kind: "yolox", boxes: box, objectness: object, scores: score, stride: piece.stride };
  });
  const whole = heads.flatMap((head) => head ?? []);
  if (whole.length < heads.length) return undefined;
  return { heads: whole, classes: pieces[0].classes, ...preprocessingFor(view, []) };
}

const expBox: CellBox = (value, x, y) => {
  const [dx, dy, w, h] = [0, 1, 2, 3].map(value);
  const [halfWidth, halfHeight] = [Math.exp(w) / 2, Math.exp(h) / 2];
  return [x + dx - halfWidth, y + dy - halfHeight, x + dx + halfWidth, y + dy + halfHeight];
};

function preprocessingFor(
  view: HeadView,
  notes: readonly string[],
): { family: FamilyName; notes: readonly string[] } {
  if ((view.firstWeights ?? 0) <= largestByteWeights) return { family: "yolox", notes };
  const old =
    "its first weights are too large for levels up to 255: it is taken for a model of before YOLOX 0.1.1 (give --family yolov6 if it is the first YOLOv6)";
  return { family: "yolox-0.1.0", notes: [old, ...notes] };
}

/** Mean magnitude of first weights between that of YOLOX-nano for levels up to 255 (0.005) and for values about 1 (0.3). */
const largestByteWeights = 0.04;

/** x and y relative to the cell, width and height; in cells. */
function boxOf(boxes: Tensor, cell: number): [number, number, number, number] {
  const { data } = boxes;
  const area = areaOf(boxes);
  return [data[cell], data[area + cell], Math.exp(data[2 * area + cell]), Math.exp(data[3 * area + cell])];
}

/** Scores by cell and class; 0 where objectness or class are at or below the logit `least`. */
function scoresOf(
  { data: objectness }: Tensor,
  classes: Tensor,
  least = Number.NEGATIVE_INFINITY,
): (cell: number, k: number) => number {
  const area = areaOf(classes);
  const { data: scores } = classes;
  return (cell, k) => {
    const object = objectness[cell];
    const value = scores[k * area + cell];
    return object > least && value > least ? sigmoid(object) * sigmoid(value) : 0;
  };
}
