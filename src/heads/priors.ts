/** Heads whose boxes are offsets to anchors of given sizes: RetinaFace, BlazeFace. An anchor of a level is a head. */
import * as z from "zod/mini";
import { add, div, expOf, type Formula, mul, sigmoidOf, sub, sumOf } from "../base/formula.ts";
import type { Tensor } from "../ir/tensor.ts";
import { type AnchoredLevel, anchoredLevels, firstChannel } from "./_anchored.ts";
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
import {
  cppPoints,
  describePoints,
  type HeadPoints,
  pointBlobs,
  pointError,
  pointFormulas,
  pointsOf,
  pointsProblem,
  pointsSchema,
  pointValues,
  pointViews,
} from "./_points.ts";
import { float, quote } from "./cpp.ts";
import { isOtherFace } from "./families.ts";
import { anchorSizes, blobName, channel, defineHead, extent, leastScore, logit, logitSlack } from "./kind.ts";
import type { Recognition, RecognitionFacts } from "./recognition.ts";

/**
 * Blobs `[channels, gridHeight, gridWidth]`: logits, one a class, whose score is the sigmoid, or with `background` the softmax
 * with that one; and `x y w h`: `center = (cell + point)·stride + xy·variances[0]·anchor`, `size = exp(wh·variances[1])·anchor`, or
 * `wh·variances[1]·anchor` where it is linear. Points are placed as the centre.
 */
export interface PriorsHead {
  kind: "priors";
  /** Blob of the logits, and the channel of the first class; default 0. */
  scores: string;
  scoresFrom?: number;
  /** Channel of the background's logit, in the same blob. */
  background?: number;
  boxes: string;
  boxesFrom?: number;
  /** Input pixels per grid cell. */
  stride: number;
  /** Where the middle of the anchor is in its cell: 0.5 in the middle, 0 at the left top corner. */
  point: number;
  /** Width and height in input pixels. */
  anchor: number[];
  variances: number[];
  /** The size is no exponential; default false. */
  linear?: boolean;
  points?: HeadPoints;
}

export const priors = defineHead<PriorsHead>({
  kind: "priors",
  title: "head of offsets to anchors",
  schema: z.strictObject({
    kind: z.literal("priors"),
    scores: blobName,
    scoresFrom: channel,
    background: channel,
    boxes: blobName,
    boxesFrom: channel,
    stride: extent,
    point: z.number().check(z.minimum(0), z.maximum(1)),
    anchor: anchorSizes.check(z.maxLength(2)),
    variances: z.array(z.number().check(z.positive())).check(z.length(2)),
    linear: z.optional(z.boolean()),
    points: pointsSchema,
  }),
  needsNms: () => true,
  blobs: ({ scores, boxes, points }) => [scores, boxes, ...pointBlobs(points)],
  stride: ({ stride }) => gridStride(stride),
  describe: ({ stride, scoresFrom, anchor, variances, linear, points }) =>
    `stride ${stride}, ${scoresFrom ? `scores from channel ${scoresFrom}, ` : ""}${linear ? "linear, " : ""}anchor ${anchor.join("x")}, variances ${variances.join(" ")}${describePoints(points)}`,

  problem(head, [scores, boxes, points], facts) {
    const { stride, scoresFrom = 0, background = 0, boxesFrom = 0 } = head;
    const channels = Math.max(scoresFrom + facts.classes, background + 1);
    return (
      planeProblem(head.scores, scores, channels, stride, facts, `${facts.classes} labels`) ??
      planeProblem(head.boxes, boxes, boxesFrom + 4, stride, facts, "a box") ??
      pointsProblem(head.points, points, stride, facts)
    );
  },

  decode(head, [scores, boxes, points], classes, options, out) {
    const gridWidth = scores.shape[2];
    const { stride } = head;
    const [width, height] = head.anchor;
    // A softmax is never above that of two, which is the sigmoid of their difference; differences of floats are rounded.
    const slack = head.background === undefined ? logitSlack : 1e-4;
    const least = logit(options.confidence) - slack;
    const source = planesAbove(scores, head.scoresFrom ?? 0, classes, least, head.background);
    visitScores(source, classes, options, scoresOf(head, scores, classes), (cell, k, score) => {
      const [x, y, w, h] = boxOf(head, boxes, cell);
      const [midX, midY] = [
        ((cell % gridWidth) + head.point) * stride,
        (Math.floor(cell / gridWidth) + head.point) * stride,
      ];
      const [left, top] = [midX + (x - w / 2) * width, midY + (y - h / 2) * height];
      const [right, bottom] = [left + w * width, top + h * height];
      if (Number.isNaN(left + top + right + bottom)) return;
      const [scaleX, scaleY] = [head.variances[0] * width, head.variances[0] * height];
      const found = pointsOf(head.points, points, cell, (across, down) => [
        midX + across * scaleX,
        midY + down * scaleY,
      ]);
      out.add(left, top, right, bottom, score, k, found && { points: found });
    });
  },

  formulas(head, [scores, boxes, points], { classes }) {
    const { stride, point, anchor, variances, background, linear } = head;
    const value = (i: number, variance: number): Formula => mul({ view: 1, value: i }, variances[variance]);
    const extentOf = (i: number): Formula => (linear ? value(i, 1) : expOf(value(i, 1)));
    const middle = [mul(add("column", point), stride), mul(add("row", point), stride)];
    const low = (i: number): Formula =>
      add(middle[i], mul(sub(value(i, 0), div(extentOf(2 + i), 2)), anchor[i]));
    const [left, top] = [low(0), low(1)];
    const [right, bottom] = [add(left, mul(extentOf(2), anchor[0])), add(top, mul(extentOf(3), anchor[1]))];
    const placed = (i: number): Formula => add(middle[i], mul({ point: i }, variances[0] * anchor[i]));
    const behind = (channel: number): Formula =>
      div(1, add("rivals", expOf(sub({ view: 2, value: channel }, "class"))));
    return [
      {
        rows: scores[1] * scores[2],
        columns: scores[2],
        views: [
          planeView(head.scores, scores, head.scoresFrom),
          planeView(head.boxes, boxes, head.boxesFrom),
          planeView(head.scores, scores),
          ...pointViews(head.points, points),
        ],
        classes: { view: 0, from: 0, count: classes },
        score: background === undefined ? sigmoidOf("class") : behind(background),
        box: [left, top, right, bottom],
        sound: sumOf([left, top, right, bottom]),
        every: false,
        ...pointFormulas(head.points, 3, [placed(0), placed(1)]),
      },
    ];
  },

  values: ({ scores, scoresFrom, background, boxes, boxesFrom, points }, _, classes) => [
    planeValues("box", boxes, 4, boxesFrom),
    planeValues("class", scores, classes, scoresFrom),
    ...(background === undefined ? [] : [planeValues("class", scores, 1, background)]),
    ...pointValues(points),
  ],

  importance(head, [scores], classes) {
    const area = areaOf(scores);
    const scoreOf = scoresOf(head, scores, classes);
    const weights = new Float32Array(scores.data.length);
    for (let cell = 0; cell < area; cell++) {
      for (let k = 0; k < classes; k++) {
        const score = scoreOf(cell, k);
        if (!(score >= leastScore)) continue;
        weights[((head.scoresFrom ?? 0) + k) * area + cell] = score;
        if (head.background === undefined) continue;
        const at = head.background * area + cell;
        weights[at] = Math.max(weights[at], score);
      }
    }
    return [weights, undefined, ...pointBlobs(head.points).map(() => undefined)];
  },

  loss(head, [scores, boxes, points], [otherScores, otherBoxes, otherPoints], classes) {
    const boxError = (cell: number): number => {
      const [exact, other] = [boxOf(head, boxes, cell), boxOf(head, otherBoxes, cell)];
      const unit = (i: number): number => exact[2 + (i % 2)] || 1;
      const error = exact.reduce((sum, value, i) => sum + ((value - other[i]) / unit(i)) ** 2, 0);
      return error + pointError(head.points, points, otherPoints, cell, unit(0) / head.variances[0]);
    };
    const [exact, other] = [scoresOf(head, scores, classes), scoresOf(head, otherScores, classes)];
    return planeLoss(areaOf(scores), classes, exact, other, boxError);
  },

  cpp: (heads) => ({
    comment: [
      "Head blobs have w x h = grid cells and c = channels of logits. From the channel scores_from on, a channel a class:",
      "  score = sigmoid(value), or softmax of these and of the channel background where that is not negative.",
      "From the channel boxes_from on, four channels x y w h:",
      "  center = (cell + point) * stride + xy * variance_center * anchor,",
      "  size = exp(wh * variance_size) * anchor, or wh * variance_size * anchor where is_linear,",
      "  in pixels of the network's input.",
      ...cppPoints.comment(
        heads,
        "point = (cell + point) * stride + v * variance_center * anchor, x and then y",
      ),
    ],
    members: [
      "const char* scores_blob;",
      "int scores_from;",
      "int background;",
      "const char* boxes_blob;",
      "int boxes_from;",
      "int stride;",
      "float point;",
      "float anchor_width;",
      "float anchor_height;",
      "float variance_center;",
      "float variance_size;",
      "bool is_linear;",
      ...cppPoints.members(heads),
    ],
    rows: heads.map((head) => {
      const { scores, scoresFrom = 0, background = -1, boxes, boxesFrom = 0, stride, linear = false } = head;
      const numbers = [head.point, ...head.anchor, ...head.variances].map(float).join(", ");
      return `{${quote(scores)}, ${scoresFrom}, ${background}, ${quote(boxes)}, ${boxesFrom}, ${stride}, ${numbers}, ${linear}${cppPoints.fields(heads, head.points)}}`;
    }),
  }),

  seesAll: true,
  recognise(view, facts) {
    const levels = anchoredLevels(view);
    if (!levels) return undefined;
    return levels[0].boxes.step > 4 ? recogniseBlazeFace(levels, facts) : recogniseRetinaFace(levels, facts);
  },
});

/** Centre and size in anchors, from the middle of the anchor. */
function boxOf(head: PriorsHead, { data, shape }: Tensor, cell: number): [number, number, number, number] {
  const area = areaOf({ shape });
  const at = (head.boxesFrom ?? 0) * area + cell;
  const [center, size] = head.variances;
  const extentOf = (value: number): number => (head.linear ? value * size : Math.exp(value * size));
  return [
    data[at] * center,
    data[at + area] * center,
    extentOf(data[at + 2 * area]),
    extentOf(data[at + 3 * area]),
  ];
}

/** Scores by cell and class. */
function scoresOf(
  { scoresFrom = 0, background }: PriorsHead,
  { data, shape }: Tensor,
  classes: number,
): (cell: number, k: number) => number {
  const area = areaOf({ shape });
  const at = (k: number, cell: number): number => data[(scoresFrom + k) * area + cell];
  return (cell, k) => {
    const value = at(k, cell);
    // The sigmoid is the softmax with a background of 0.
    if (background === undefined) return 1 / (1 + Math.exp(-value));
    let rivals = 0;
    for (let other = 0; other < classes; other++) rivals += Math.exp(at(other, cell) - value);
    return 1 / (rivals + Math.exp(data[background * area + cell] - value));
  };
}

const face = { classes: 1, labels: ["face"] };

function recogniseBlazeFace(
  levels: readonly AnchoredLevel[],
  { family }: RecognitionFacts,
): Recognition<PriorsHead> | undefined {
  if (isOtherFace(family, "blazeface")) return undefined;
  const form = { point: 0.5, anchor: [1, 1], variances: [1, 1], linear: true };
  return {
    heads: levels.flatMap((level) => Array.from({ length: level.anchors }, (_, i) => headOf(level, i, form))),
    ...face,
    family: "blazeface",
    notes: [
      "boxes and six points come without their formula and are taken for BlazeFace's: pixels from the middle of a cell",
    ],
  };
}

/** Sides of the anchors of models that are known, finest level first, by strides and numbers of anchors. */
const retinaFaceSides: Record<string, readonly (readonly number[])[]> = {
  "8:2,16:2,32:2": [
    [16, 32],
    [64, 128],
    [256, 512],
  ],
  // Slim and RFB of Face-Detector-1MB-with-landmark.
  "8:3,16:2,32:2,64:3": [
    [10, 16, 24],
    [32, 48],
    [64, 96],
    [128, 192, 256],
  ],
};

function recogniseRetinaFace(
  levels: readonly AnchoredLevel[],
  facts: RecognitionFacts,
): Recognition<PriorsHead> | undefined {
  if (isOtherFace(facts.family, "retinaface", "retinaface-mxnet")) return undefined;
  const isSaid = facts.family === "retinaface" || facts.family === "retinaface-mxnet";
  const origins = new Set(levels.map(({ scores }) => scores?.origin));
  if (origins.has(undefined)) {
    return {
      near: "two logits, a box and points a cell are like RetinaFace's, but not which logits are the background's; export it with its softmax",
    };
  }
  if (!origins.has("softmax") && !isSaid) return undefined;
  // The authors' mxnet models have all logits of the background before those of faces.
  const isPlanar = levels.every(({ anchors, scores }) => anchors > 1 && scores?.step === 1);
  const isMxnet = isSaid ? facts.family === "retinaface-mxnet" : isPlanar;
  const counts = levels.map(({ stride, anchors }) => `${stride}:${anchors}`).join();
  const sides = sidesFor(levels, facts, isMxnet, counts);
  if (!sides) {
    const list = levels.map(({ stride, anchors }) => `${anchors} at stride ${stride}`).join(", ");
    const given = facts.anchors?.map(({ length }) => length / 2).join(", ");
    return {
      near: `these are offsets to anchors as RetinaFace has them (${list}), ${given ? `but --anchors has ${given}` : "whose sizes are not in the file"}; give width and height of each with --anchors`,
    };
  }
  if (!levels[0].points && !isSaid) {
    return {
      near: "these are offsets to anchors as RetinaFace has them, but without points; --family retinaface takes them for its own",
    };
  }
  const heads = levels.flatMap((level, at) =>
    Array.from({ length: level.anchors }, (_, i) =>
      headOf(level, i, {
        // mxnet's anchors lie about the middle of 16 pixels at every stride.
        point: isMxnet ? 8 / level.stride : 0.5,
        anchor: [...sides[at][i]],
        variances: isMxnet ? [1, 1] : [0.1, 0.2],
      }),
    ),
  );
  const words = heads.map(({ anchor }) => anchor[0]).join(" ");
  return {
    heads,
    ...face,
    family: isMxnet ? "retinaface-mxnet" : "retinaface",
    notes: [
      `boxes come without their formula and are taken for RetinaFace's${isMxnet ? " of mxnet" : ""}${facts.anchors ? "" : `, with its anchors (${words}); give others with --anchors`}`,
    ],
  };
}

/** `[width, height]` of every anchor of every level; nothing where they are not known. */
function sidesFor(
  levels: readonly AnchoredLevel[],
  { anchors }: RecognitionFacts,
  isMxnet: boolean,
  counts: string,
): (readonly number[])[][] | undefined {
  if (anchors) {
    const fits =
      anchors.length === levels.length && anchors.every((list, i) => list.length === 2 * levels[i].anchors);
    return fits
      ? anchors.map((list) => Array.from({ length: list.length / 2 }, (_, i) => list.slice(2 * i, 2 * i + 2)))
      : undefined;
  }
  const squares = retinaFaceSides[counts]?.map((list) => list.map((side) => [side, side]));
  return isMxnet ? squares?.map((list) => list.toReversed()) : squares;
}

function headOf(
  { stride, boxes, points, scores }: AnchoredLevel,
  anchor: number,
  form: Pick<PriorsHead, "point" | "anchor" | "variances" | "linear">,
): PriorsHead {
  const [scoresFrom, boxesFrom] = [firstChannel(scores!, anchor), firstChannel(boxes, anchor)];
  const from = points && firstChannel(points, anchor);
  const { background, step } = scores!;
  return {
    kind: "priors",
    scores: scores!.source.blob,
    ...(scoresFrom && { scoresFrom }),
    ...(background !== undefined && { background: background + step * anchor }),
    boxes: boxes.source.blob,
    ...(boxesFrom && { boxesFrom }),
    stride,
    ...form,
    ...(points && { points: { blob: points.source.blob, ...(from && { from }), count: points.count } }),
  };
}
