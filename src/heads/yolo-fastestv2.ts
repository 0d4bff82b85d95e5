/** Yolo-FastestV2's head: boxes as YOLOv5 has them, classes once a cell by a softmax. */
import * as z from "zod/mini";
import { add, type Formula, mul, sigmoidOf, sub, sumOf } from "../base/formula.ts";
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
import { anchorMembers, anchorRow, quote } from "./cpp.ts";
import { anchorSizes, blobName, defineHead, extent, logit, logitSlack } from "./kind.ts";
import { channelsOf, type Piece } from "./view.ts";

/**
 * Blobs `[channels, gridHeight, gridWidth]` of logits: `x y w h` of every anchor (4·anchors), objectness (anchors), classes;
 * `center = (2σ − 0.5 + cell)·stride`, `size = (2σ)²·anchor`, `score = σ(objectness)·softmax(classes)`.
 */
export interface YoloFastestV2Head {
  kind: "yolo-fastestv2";
  boxes: string;
  objectness: string;
  scores: string;
  /** Input pixels per grid cell. */
  stride: number;
  /** `w0 h0 w1 h1 …` in input pixels. */
  anchors: number[];
}

/** Those of the author's COCO model (data/coco.data of dog-qiuqiu/Yolo-FastestV2), finest level first. */
const cocoAnchors = [
  [12.64, 19.39, 37.88, 51.48, 55.71, 138.31],
  [126.91, 78.23, 131.57, 214.55, 279.92, 258.87],
];

const combine = (objectness: number, probability: number): number => objectness * probability;

export const yoloFastestV2 = defineHead<YoloFastestV2Head>({
  kind: "yolo-fastestv2",
  title: "Yolo-FastestV2 head",
  schema: z.strictObject({
    kind: z.literal("yolo-fastestv2"),
    boxes: blobName,
    objectness: blobName,
    scores: blobName,
    stride: extent,
    anchors: anchorSizes,
  }),
  needsNms: () => true,
  blobs: ({ boxes, objectness, scores }) => [boxes, objectness, scores],
  stride: ({ stride }) => gridStride(stride),
  describe: ({ stride, anchors }) => `stride ${stride}, anchors ${anchors.join(",")}`,

  problem(head, [boxes, objectness, scores], facts) {
    const anchors = head.anchors.length / 2;
    return (
      planeProblem(head.boxes, boxes, 4 * anchors, head.stride, facts, `${anchors} boxes`) ??
      planeProblem(head.objectness, objectness, anchors, head.stride, facts, `${anchors} anchors`) ??
      planeProblem(head.scores, scores, facts.classes, head.stride, facts, `${facts.classes} labels`)
    );
  },

  decode(head, [boxes, objectness, scores], classes, options, out) {
    const gridWidth = scores.shape[2];
    // Where the class is certain, the score is objectness.
    const least = logit(options.confidence) - logitSlack;
    for (let anchor = 0; anchor < head.anchors.length / 2; anchor++) {
      const scoreOf = softmaxScores(objectness, scores, classes, anchor, combine, options.confidence);
      visitScores(planesAbove(objectness, anchor, 1, least), classes, options, scoreOf, (cell, k, score) => {
        const [x, y, w, h] = boxOf(boxes, anchor, cell);
        const centerX = (2 * x - 0.5 + (cell % gridWidth)) * head.stride;
        const centerY = (2 * y - 0.5 + Math.floor(cell / gridWidth)) * head.stride;
        const halfWidth = 2 * w ** 2 * head.anchors[2 * anchor];
        const halfHeight = 2 * h ** 2 * head.anchors[2 * anchor + 1];
        if (Number.isNaN(centerX + centerY + halfWidth + halfHeight)) return;
        out.add(
          centerX - halfWidth,
          centerY - halfHeight,
          centerX + halfWidth,
          centerY + halfHeight,
          score,
          k,
        );
      });
    }
  },

  formulas({ stride, anchors, ...head }, [boxes, objectness, scores], { classes }) {
    const value = (i: number): Formula => sigmoidOf({ view: 1, value: i });
    const center = (i: number, cell: Formula): Formula => mul(add(sub(mul(2, value(i)), 0.5), cell), stride);
    const [x, y] = [center(0, "column"), center(1, "row")];
    return Array.from({ length: anchors.length / 2 }, (_, anchor) => {
      const half = (side: number): Formula =>
        mul(mul(2, mul(value(2 + side), value(2 + side))), anchors[2 * anchor + side]);
      const object = sigmoidOf({ view: 2, value: 0 });
      return {
        rows: scores[1] * scores[2],
        columns: scores[2],
        views: [
          planeView(head.scores, scores),
          planeView(head.boxes, boxes, 4 * anchor),
          planeView(head.objectness, objectness, anchor),
        ],
        classes: { view: 0, from: 0, count: classes },
        most: object,
        score: mul(object, "softmax"),
        box: [sub(x, half(0)), sub(y, half(1)), add(x, half(0)), add(y, half(1))],
        sound: sumOf([x, y, half(0), half(1)]),
        every: false,
      };
    });
  },

  values: ({ boxes, objectness, scores, anchors }, _, classes) => [
    planeValues("box", boxes, 2 * anchors.length),
    planeValues("objectness", objectness, anchors.length / 2),
    planeValues("class", scores, classes),
  ],

  importance(head, [, objectness, scores], classes) {
    const anchors = head.anchors.length / 2;
    return [undefined, ...softmaxImportance(objectness, scores, classes, anchors, combine)];
  },

  loss(head, [boxes, objectness, scores], [otherBoxes, otherObjectness, otherScores], classes) {
    let loss = 0;
    for (let anchor = 0; anchor < head.anchors.length / 2; anchor++) {
      const boxError = (cell: number): number => {
        const [float, int8] = [boxOf(boxes, anchor, cell), boxOf(otherBoxes, anchor, cell)];
        return float.reduce((sum, value, i) => sum + (value - int8[i]) ** 2, 0);
      };
      loss += planeLoss(
        areaOf(scores),
        classes,
        softmaxScores(objectness, scores, classes, anchor, combine),
        softmaxScores(otherObjectness, otherScores, classes, anchor, combine),
        boxError,
      );
    }
    return loss;
  },

  cpp: (heads) => ({
    comment: [
      "Head blobs have w x h = grid cells: c = 4 * num_anchors (x y w h of each), c = num_anchors (objectness) and",
      "c = num_class, all without activation:",
      "  center = (2 * sigmoid(xy) - 0.5 + cell) * stride,   size = (2 * sigmoid(wh))^2 * anchor,",
      "  score = sigmoid(objectness) * softmax(classes), all in pixels of the network's input.",
    ],
    members: [
      "const char* boxes_blob;",
      "const char* objectness_blob;",
      "const char* scores_blob;",
      "int stride;",
      ...anchorMembers(heads),
    ],
    rows: heads.map(
      (head) =>
        `{${quote(head.boxes)}, ${quote(head.objectness)}, ${quote(head.scores)}, ${head.stride}, ${anchorRow(head)}}`,
    ),
  }),

  recognise(view, facts) {
    const pieces = [...view.pieces].sort((a, b) => a.stride - b.stride);
    const levels = pieces.map((piece) => {
      const anchors = piece.columns.findIndex(({ origin }) => origin === "other") / 5;
      const boxes = channelsOf(piece, 0, 4 * anchors, "sigmoid");
      const objectness = channelsOf(piece, 4 * anchors, anchors, "sigmoid");
      const scores = boxes && objectness && softmaxSource(view, piece, 5 * anchors);
      return scores ? { piece, anchors, boxes, objectness, scores } : undefined;
    });
    if (levels.length === 0 || !isWhole(levels)) return undefined;
    const counts = levels.map(({ anchors }) => anchors);
    const isCoco = levels.length === 2 && counts.every((count) => count === 3);
    const anchors = facts.anchors ?? (isCoco ? cocoAnchors : undefined);
    if (anchors?.length !== counts.length || anchors.some((list, i) => list.length !== 2 * counts[i])) {
      return {
        near: `this is Yolo-FastestV2 with ${counts.join(" and ")} anchors, which are not in the file; give as many with --anchors`,
      };
    }
    return {
      heads: levels.map(({ piece, boxes, objectness, scores }, i) => ({
        kind: "yolo-fastestv2",
        boxes: boxes.source.blob,
        objectness: objectness.source.blob,
        scores: scores.blob,
        stride: piece.stride,
        anchors: [...anchors[i]],
      })),
      classes: levels[0].scores.channels,
      family: "yolo-fastest",
      notes: [
        "boxes come without their formula and are taken for Yolo-FastestV2's",
        ...(facts.anchors
          ? []
          : [
              `the anchors are those of its COCO model (${cocoAnchors.map(String).join(" ")}); give others with --anchors`,
            ]),
      ],
    };
  },
});

interface Level {
  piece: Piece;
  anchors: number;
  boxes: NonNullable<ReturnType<typeof channelsOf>>;
  objectness: NonNullable<ReturnType<typeof channelsOf>>;
  scores: NonNullable<ReturnType<typeof softmaxSource>>;
}

const isWhole = (levels: readonly (Level | undefined)[]): levels is Level[] =>
  levels.every((level) => level && level.scores.channels === levels[0]?.scores.channels);

/** Sigmoids of x, y, w and h. */
function boxOf(boxes: Tensor, anchor: number, cell: number): number[] {
  const area = areaOf(boxes);
  return [0, 1, 2, 3].map((i) => sigmoid(boxes.data[(4 * anchor + i) * area + cell]));
}
