/**
 * Heads that give the distances from a point to the four sides of its box: YOLOv8 and later, NanoDet, PicoDet; and SCRFD, whose two
 * anchors a cell are two heads.
 */
import * as z from "zod/mini";
import { sigmoid } from "../base/maths.ts";
import type { Tensor } from "../ir/tensor.ts";
import { type AnchoredLevel, anchoredLevels, firstChannel } from "./_anchored.ts";
import { boxSource, type CellBox, decodedPieces } from "./_decoded.ts";
import {
  areaOf,
  cellsAbove,
  gridStride,
  logitImportance,
  planeLoss,
  planeProblem,
  planeValues,
  visitScores,
} from "./_planes.ts";
import {
  cppPoints,
  describePoints,
  type HeadPoints,
  type Place,
  pointBlobs,
  pointError,
  pointsOf,
  pointsProblem,
  pointsSchema,
  pointValues,
} from "./_points.ts";
import { float, quote } from "./cpp.ts";
import { isOtherFace } from "./families.ts";
import { blobName, channel, defineHead, extent, logit, logitSlack } from "./kind.ts";
import { joinLevels, type Recognition, type RecognitionFacts } from "./recognition.ts";
import { channelsOf, type HeadView, isPlain, type Piece } from "./view.ts";

/**
 * Blobs `[channels, gridHeight, gridWidth]` of logits. Scores are σ of a channel a class. Boxes have `4·bins` channels, sides in
 * the order left, top, right, bottom: `distance = Σ k·softmax(bins)[k]·stride` from the point `(cell + point)·stride`; with one bin
 * the value itself is the distance in cells. Points are `(cell + point + v)·stride`.
 */
export interface DistancesHead {
  kind: "distances";
  /** Blob of the class logits, and the channel of the first class; default 0. */
  scores: string;
  scoresFrom?: number;
  /** Blob of the distances, and the channel of the first bin; default 0. */
  boxes: string;
  boxesFrom?: number;
  /** Input pixels per grid cell. */
  stride: number;
  /** Numbers for one side, 1..64. */
  bins: number;
  /** Where the point is in its cell: 0.5 in the middle, 0 at the left top corner. */
  point: number;
  /** The network is trained to give one box an object: none are dropped for overlapping; default false. */
  oneToOne?: boolean;
  points?: HeadPoints;
}

export const distances = defineHead<DistancesHead>({
  kind: "distances",
  title: "anchor-free head of distances",
  schema: z.strictObject({
    kind: z.literal("distances"),
    scores: blobName,
    scoresFrom: channel,
    boxes: blobName,
    boxesFrom: channel,
    stride: extent,
    bins: z.int().check(z.minimum(1), z.maximum(64)),
    point: z.number().check(z.minimum(0), z.maximum(1)),
    oneToOne: z.optional(z.boolean()),
    points: pointsSchema,
  }),
  needsNms: ({ oneToOne }) => !oneToOne,
  blobs: ({ scores, boxes, points }) => [scores, boxes, ...pointBlobs(points)],
  stride: ({ stride }) => gridStride(stride),
  describe: ({ stride, scoresFrom, bins, point, oneToOne, points }) =>
    [
      `stride ${stride}`,
      ...(scoresFrom ? [`scores from channel ${scoresFrom}`] : []),
      `${bins === 1 ? "a number" : `${bins} bins`} a side, from ${point} of the cell${describePoints(points)}`,
      ...(oneToOne ? ["one box an object"] : []),
    ].join(", "),

  problem: (head, [scores, boxes, points], facts) =>
    planeProblem(
      head.scores,
      scores,
      (head.scoresFrom ?? 0) + facts.classes,
      head.stride,
      facts,
      `${facts.classes} labels`,
    ) ??
    planeProblem(
      head.boxes,
      boxes,
      (head.boxesFrom ?? 0) + 4 * head.bins,
      head.stride,
      facts,
      `4 sides of ${head.bins} bins`,
    ) ??
    pointsProblem(head.points, points, head.stride, facts),

  decode(head, [scores, boxes, points], classes, given, out) {
    const area = areaOf(scores);
    const gridWidth = scores.shape[2];
    const first = (head.scoresFrom ?? 0) * area;
    const options = head.oneToOne ? { ...given, multiLabel: true } : given;
    const least = logit(options.confidence) - logitSlack;
    const scoreOf = (cell: number, k: number): number => {
      const value = scores.data[first + k * area + cell];
      return value > least ? sigmoid(value) : 0;
    };
    const candidates = cellsAbove(scores.data, first, classes, area, least);
    // Several classes of one cell have one box.
    let known = -1;
    let [left, top, right, bottom] = [0, 0, 0, 0];
    const visit = (cell: number, k: number, score: number): void => {
      if (cell !== known) [left, top, right, bottom] = sides(head, boxes, cell);
      known = cell;
      if (Number.isNaN(left + top + right + bottom)) return;
      const x = (cell % gridWidth) + head.point;
      const y = Math.floor(cell / gridWidth) + head.point;
      const { stride } = head;
      const [x0, y0] = [(x - left) * stride, (y - top) * stride];
      const [x1, y1] = [(x + right) * stride, (y + bottom) * stride];
      const place: Place = (across, down) => [(x + across) * stride, (y + down) * stride];
      out.add(x0, y0, x1, y1, score, k, pointsOf(head.points, points, cell, place));
    };
    visitScores(area, classes, options, scoreOf, visit, candidates);
  },

  values: ({ scores, scoresFrom, boxes, boxesFrom, bins, points }, _, classes) => [
    planeValues("box", boxes, 4 * bins, boxesFrom),
    planeValues("class", scores, classes, scoresFrom),
    ...pointValues(points),
  ],

  importance(head, [scores], classes) {
    const area = areaOf(scores);
    const from = (head.scoresFrom ?? 0) * area;
    const weights = logitImportance(scores.data, from, from + classes * area);
    return [weights, undefined, ...pointBlobs(head.points).map(() => undefined)];
  },

  loss(head, [scores, boxes, points], [otherScores, otherBoxes, otherPoints], classes) {
    const area = areaOf(scores);
    const first = (head.scoresFrom ?? 0) * area;
    const of =
      ({ data }: Tensor) =>
      (cell: number, k: number): number =>
        sigmoid(data[first + k * area + cell]);
    const boxError = (cell: number): number => {
      const [float, int8] = [sides(head, boxes, cell), sides(head, otherBoxes, cell)];
      const extents = float[0] + float[1] + float[2] + float[3] || 1;
      const error = float.reduce((sum, side, i) => sum + ((side - int8[i]) / extents) ** 2, 0);
      return error + pointError(head.points, points, otherPoints, cell, extents);
    };
    return planeLoss(area, classes, of(scores), of(otherScores), boxError);
  },

  cpp: (heads) => ({
    comment: [
      "Head blobs have w x h = grid cells and c = channels of logits. From the channel scores_from on, a channel a class:",
      "  score = sigmoid(value).",
      "From the channel boxes_from on, num_bins channels for each of left, top, right, bottom:",
      "  distance = sum of k * softmax(bins)[k], or the value itself where num_bins is 1, times stride,",
      "  from the point (cell + point) * stride, all in pixels of the network's input.",
      ...(heads.some(({ oneToOne }) => oneToOne)
        ? ["There is one box an object: no suppression follows."]
        : []),
      ...cppPoints.comment(heads, "point = (cell + point + v) * stride, x and then y"),
    ],
    members: [
      "const char* scores_blob;",
      "int scores_from;",
      "const char* boxes_blob;",
      "int boxes_from;",
      "int stride;",
      "int num_bins;",
      "float point;",
      ...cppPoints.members(heads),
    ],
    rows: heads.map(
      ({ scores, scoresFrom = 0, boxes, boxesFrom = 0, stride, bins, point, points }) =>
        `{${quote(scores)}, ${scoresFrom}, ${quote(boxes)}, ${boxesFrom}, ${stride}, ${bins}, ${float(point)}${cppPoints.fields(heads, points)}}`,
    ),
  }),

  seesAll: true,
  recognise(view, facts) {
    if (!view.pieces.length) return undefined;
    const plain = isPlain(view) ? recogniseRaw(view) : undefined;
    return recogniseDecoded(view, facts.isEndToEnd) ?? plain ?? recogniseScrfd(view, facts);
  },
});

/** Distances of a cell to the four sides, in cells. */
function sides(head: DistancesHead, boxes: Tensor, cell: number): number[] {
  const { data } = boxes;
  const area = areaOf(boxes);
  const at = (head.boxesFrom ?? 0) * area + cell;
  return distancesOf(head.bins, (i) => data[at + i * area]);
}

function distancesOf(bins: number, value: (i: number) => number): number[] {
  return [0, 1, 2, 3].map((side) => {
    if (bins === 1) return value(side);
    let most = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < bins; k++) most = Math.max(most, value(side * bins + k));
    let [sum, weighted] = [0, 0];
    for (let k = 0; k < bins; k++) {
      const weight = Math.exp(value(side * bins + k) - most);
      sum += weight;
      weighted += k * weight;
    }
    return weighted / sum;
  });
}

/** The boxes of exports of ultralytics and YOLOv6: the formula is in the graph, and is compared with what it computes. */
function recogniseDecoded(view: HeadView, isEndToEnd = false): Recognition<DistancesHead> | undefined {
  const pieces = decodedPieces(view);
  if (!pieces || pieces[0].objectness) return undefined;
  const [{ classes, piece: first }] = pieces;
  const heads: DistancesHead[] = [];
  for (const found of pieces) {
    const { stride } = found.piece;
    const boxes = boxSource(view, found, (source) =>
      source.channels % 4 || source === found.scores.source
        ? []
        : [0.5, 0].map((point) => sidesFormula(source.channels / 4, point)),
    );
    if (!boxes) {
      return {
        near: `at stride ${stride} boxes stand beside class scores as YOLOv8 has them, but are not distances to a point in the middle or the corner of a cell`,
      };
    }
    const { source, channel: scoresFrom } = found.scores;
    heads.push({
      kind: "distances",
      scores: source.blob,
      ...(scoresFrom && { scoresFrom }),
      ...{ boxes: boxes.source.blob, stride, bins: boxes.bins, point: boxes.point },
      ...(boxes.corners && isEndToEnd && { oneToOne: true }),
    });
  }
  const hasOnes = first.columns.length > classes + 4;
  return { heads, classes, family: hasOnes ? "yolov6" : "ultralytics", notes: [] };
}

function sidesFormula(bins: number, point: number): { bins: number; point: number; box: CellBox } {
  return {
    ...{ bins, point },
    box(value, cellX, cellY) {
      const [x, y] = [cellX + point, cellY + point];
      const [l, t, r, b] = distancesOf(bins, value);
      return [x - l, y - t, x + r, y + b];
    },
  };
}

/** Logits or scores and bins side by side or in outputs of their own, which no code makes boxes of. */
function recogniseRaw(view: HeadView): Recognition<DistancesHead> | undefined {
  const levels = joinLevels(view);
  if (!levels || levels.length < 2) return undefined;
  const heads: DistancesHead[] = [];
  let classes: number | undefined;
  let isBoxesFirst = false;
  let isUltralytics = false;
  const isSingle = view.tables.length === 1;
  for (const level of levels) {
    const count = level.columns.length;
    const split = splitOf(level);
    if (!split || (classes !== undefined && split.classes !== classes)) return undefined;
    if (heads.length && isBoxesFirst !== (split.boxesAt === 0)) {
      return {
        near: "class scores and distances come in another order at one stride than at the next: is an output missing?",
      };
    }
    classes = split.classes;
    isBoxesFirst = split.boxesAt === 0;
    const scores = channelsOf(level, split.scoresAt, classes, split.origin);
    const boxes = channelsOf(level, split.boxesAt, count - classes, "raw");
    if (!scores || !boxes) return undefined;
    // NanoDet and PicoDet have one convolution for both, in whatever order it is exported.
    isUltralytics = split.origin === "raw" || (isBoxesFirst && scores.source !== boxes.source);
    heads.push({
      kind: "distances",
      scores: scores.source.blob,
      ...(scores.channel && { scoresFrom: scores.channel }),
      boxes: boxes.source.blob,
      ...(boxes.channel && { boxesFrom: boxes.channel }),
      stride: level.stride,
      bins: (count - classes) / 4,
      point: 0.5,
    });
  }
  if (classes === undefined) return undefined;
  const { bins } = heads[0];
  const where = isSingle ? `the output ${view.tables[0].blob} is` : "the outputs are";
  const what = `${where} taken for ${classes} class scores and distances of ${bins} bins a side`;
  if (isUltralytics)
    return { heads, classes, family: "ultralytics", notes: [`${what}, as YOLOv8 to 12 have them`] };
  // NanoDet-Plus has four levels in one output, and points at the corners of cells; the older heads have them in the middle.
  if (isSingle && levels.length >= 4) {
    for (const head of heads) head.point = 0;
    return {
      heads,
      classes,
      family: "nanodet-plus",
      notes: [`${what} from the left top corner of a cell, as NanoDet-Plus has them`],
    };
  }
  const family = levels.length >= 4 ? "picodet" : "nanodet";
  return {
    heads,
    classes,
    family,
    notes: [`${what} from the middle of a cell, as NanoDet and PicoDet have them`],
  };
}

/** Fewest bins a side that a distribution has; 2 are boxes of two anchors. */
const fewestBins = 5;

/** Which columns of a level are class scores and which are bins. */
function splitOf({ columns }: Piece): Split | undefined {
  const scored = columns.filter(({ origin }) => origin === "sigmoid").length;
  if (columns.some(({ origin }) => origin === "other")) return undefined;
  if (scored > 0) {
    const bins = (columns.length - scored) / 4;
    if (!Number.isInteger(bins) || bins < fewestBins) return undefined;
    const scoresAt = columns[0].origin === "sigmoid" ? 0 : columns.length - scored;
    return { scoresAt, boxesAt: scoresAt ? 0 : scored, classes: scored, origin: "sigmoid" };
  }
  // Logits alone say little: YOLOv8 to 12 have 16 bins a side in a convolution of their own.
  const [bins, classes] = [64, columns.length - 64];
  if (classes < 1) return undefined;
  for (const boxesAt of [0, classes]) {
    const scoresAt = boxesAt ? 0 : bins;
    const parts = { columns } as Piece;
    const boxes = channelsOf(parts, boxesAt, bins, "raw");
    const scores = channelsOf(parts, scoresAt, classes, "raw");
    if (boxes?.source.channels === bins && scores?.source.channels === classes) {
      return { scoresAt, boxesAt, classes, origin: "raw" };
    }
  }
  return undefined;
}

interface Split {
  scoresAt: number;
  boxesAt: number;
  classes: number;
  origin: "raw" | "sigmoid";
}

/** Strides that SCRFD's models have with two anchors, and with one. */
const scrfdStrides = ["8,16,32", "8,16,32,64,128"];

/** SCRFD (insightface): distances from the left top corner of a cell, two anchors a cell, mostly with five points. */
function recogniseScrfd(
  view: HeadView,
  { family }: RecognitionFacts,
): Recognition<DistancesHead> | undefined {
  if (isOtherFace(family, "scrfd")) return undefined;
  const levels = anchoredLevels(view);
  if (!levels) return undefined;
  const [{ anchors, boxes, points, scores }] = levels;
  if (!scores || boxes.step !== 4 || scores.origin === "softmax") return undefined;
  const strides = levels.map(({ stride }) => stride).join();
  const isItsForm =
    levels.every((level) => level.anchors === anchors) &&
    anchors <= 2 &&
    strides === scrfdStrides[2 - anchors];
  // Scores and boxes alone may be anything's.
  const isTold = points !== undefined || (anchors === 2 && scores.origin === "sigmoid");
  if (family !== "scrfd" && !(isItsForm && isTold)) {
    return {
      near: `${anchors} ${anchors === 1 ? "score and box" : "scores and boxes"} a cell${points ? " with five points" : ""} at strides ${strides} are like SCRFD's, but not as its models have them; give --family scrfd if it is one`,
    };
  }
  const heads = levels.flatMap((level) =>
    Array.from({ length: level.anchors }, (_, anchor) => scrfdHead(level, anchor)),
  );
  return {
    heads,
    classes: 1,
    labels: ["face"],
    family: "scrfd",
    notes: [
      `boxes${points ? " and points" : ""} come without their formula and are taken for SCRFD's: distances times stride from the left top corner of a cell`,
    ],
  };
}

function scrfdHead({ stride, boxes, points, scores }: AnchoredLevel, anchor: number): DistancesHead {
  const [scoresFrom, boxesFrom] = [firstChannel(scores!, anchor), firstChannel(boxes, anchor)];
  const from = points && firstChannel(points, anchor);
  return {
    kind: "distances",
    scores: scores!.source.blob,
    ...(scoresFrom && { scoresFrom }),
    boxes: boxes.source.blob,
    ...(boxesFrom && { boxesFrom }),
    stride,
    bins: 1,
    point: 0,
    ...(points && { points: { blob: points.source.blob, ...(from && { from }), count: points.count } }),
  };
}
