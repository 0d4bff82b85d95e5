/**
 * Heads that give the distances from a point to the four sides of its box: YOLOv8 and later, NanoDet, PicoDet; and SCRFD, whose two
 * anchors a cell are two heads.
 */
import * as z from "zod/mini";
import { add, type Formula, mul, sigmoidOf, sub, sumOf } from "../base/formula.ts";
import { sigmoid } from "../base/maths.ts";
import type { Tensor } from "../ir/tensor.ts";
import {
  angleBlobs,
  angleError,
  angleFormula,
  angleOf,
  angleProblem,
  angleSchema,
  angleValues,
  cppAngles,
  describeAngle,
} from "./_angles.ts";
import { aboutMiddle, aboutMiddleFormulas, type DistancesHead, distancesOf } from "./_distances.ts";
import { recogniseDistances } from "./_distances-recognition.ts";
import {
  cppMasks,
  describeMask,
  maskBlobs,
  maskErrors,
  maskFormula,
  maskOf,
  maskProblem,
  maskSchema,
  maskValues,
} from "./_masks.ts";
import {
  areaOf,
  gridStride,
  logitImportance,
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
  type Place,
  pointBlobs,
  pointError,
  pointFields,
  pointFormulas,
  pointsOf,
  pointsProblem,
  pointValues,
  pointViews,
} from "./_points.ts";
import { float, quote } from "./cpp.ts";
import { blobName, channel, defineHead, extent, logit, logitSlack } from "./kind.ts";

export type { DistancesHead };

const placedPoints = z.strictObject({
  ...pointFields,
  scale: z.optional(z.number().check(z.positive(), z.maximum(64))),
  point: z.optional(z.number().check(z.minimum(0), z.maximum(1))),
});

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
    points: z.optional(placedPoints),
    mask: maskSchema,
    angle: angleSchema,
  }),
  needsNms: ({ oneToOne }) => !oneToOne,
  blobs: ({ scores, boxes, ...more }) => [scores, boxes, ...moreBlobs(more)],
  stride: ({ stride }) => gridStride(stride),
  describe: ({ stride, scoresFrom, bins, point, oneToOne, points, mask, angle }) =>
    [
      `stride ${stride}`,
      ...(scoresFrom ? [`scores from channel ${scoresFrom}`] : []),
      `${bins === 1 ? "a number" : `${bins} bins`} a side, from ${point} of the cell${describePoints(points)}${describeMask(mask)}${describeAngle(angle)}`,
      ...(oneToOne ? ["one box an object"] : []),
    ].join(", "),

  problem(head, shapes, facts) {
    const { scores, boxes, points, mask, angle } = apart(head, shapes);
    const { stride, scoresFrom = 0, boxesFrom = 0, bins } = head;
    const classes = `${facts.classes} labels`;
    return (
      planeProblem(head.scores, scores, scoresFrom + facts.classes, stride, facts, classes) ??
      planeProblem(head.boxes, boxes, boxesFrom + 4 * bins, stride, facts, `4 sides of ${bins} bins`) ??
      pointsProblem(head.points, points, stride, facts) ??
      maskProblem(head.mask, mask, stride, facts) ??
      angleProblem(head.angle, angle, stride, facts)
    );
  },

  decode(head, outputs, classes, given, out) {
    const { scores, boxes, points, mask, angle } = apart(head, outputs);
    const area = areaOf(scores);
    const gridWidth = scores.shape[2];
    const first = (head.scoresFrom ?? 0) * area;
    const options = head.oneToOne ? { ...given, multiLabel: true } : given;
    const least = logit(options.confidence) - logitSlack;
    const scoreOf = (cell: number, k: number): number => {
      const value = scores.data[first + k * area + cell];
      return value > least ? sigmoid(value) : 0;
    };
    // Several classes of one cell have one box.
    let known = -1;
    let [left, top, right, bottom] = [0, 0, 0, 0];
    const isMore = moreBlobs(head).length > 0;
    const visit = (cell: number, k: number, score: number): void => {
      if (cell !== known) [left, top, right, bottom] = sides(head, boxes, cell);
      known = cell;
      const turn = angleOf(head.angle, angle, cell);
      if (Number.isNaN(left + top + right + bottom + (turn ?? 0))) return;
      const x = (cell % gridWidth) + head.point;
      const y = Math.floor(cell / gridWidth) + head.point;
      const { stride } = head;
      const distances = [left, top, right, bottom];
      const [l, t, r, b] = turn === undefined ? distances : aboutMiddle(distances, turn);
      const [x0, y0] = [(x - l) * stride, (y - t) * stride];
      const [x1, y1] = [(x + r) * stride, (y + b) * stride];
      const { scale = 1, point = head.point } = head.points ?? {};
      const place: Place = (across, down) => [
        (x - head.point + point + scale * across) * stride,
        (y - head.point + point + scale * down) * stride,
      ];
      const found = {
        points: pointsOf(head.points, points, cell, place),
        mask: maskOf(head.mask, ...mask, cell),
        angle: turn,
      };
      out.add(x0, y0, x1, y1, score, k, isMore ? found : undefined);
    };
    const source = planesAbove(scores, head.scoresFrom ?? 0, classes, least);
    visitScores(source, classes, options, scoreOf, visit);
  },

  formulas(head, shapes, { classes }) {
    const { scores, boxes, points, mask, angle } = apart(head, shapes);
    const { stride, bins, point } = head;
    const side = (i: number): Formula =>
      bins === 1 ? { view: 1, value: i } : { view: 1, mean: i * bins, count: bins };
    const [x, y] = [add("column", point), add("row", point)];
    const sides = [0, 1, 2, 3].map(side);
    const turn = head.angle && angleFormula({ view: 2, value: 0 }, head.angle.radians);
    const [left, top, right, bottom] = turn === undefined ? sides : aboutMiddleFormulas(sides, turn);
    const corner = (of: typeof add, from: Formula, side: Formula): Formula => mul(of(from, side), stride);
    const { scale = 1, point: placed = point } = head.points ?? {};
    const place = (from: Formula, i: number): Formula =>
      mul(add(add(sub(from, point), placed), mul(scale, { point: i })), stride);
    return [
      {
        rows: scores[1] * scores[2],
        columns: scores[2],
        views: [
          planeView(head.scores, scores, head.scoresFrom),
          planeView(head.boxes, boxes, head.boxesFrom),
          ...pointViews(head.points, points),
          ...(head.mask && mask[0] ? [planeView(head.mask.blob, mask[0], head.mask.from)] : []),
          ...(head.angle && angle ? [planeView(head.angle.blob, angle, head.angle.from)] : []),
        ],
        classes: { view: 0, from: 0, count: classes },
        score: sigmoidOf("class"),
        box: [corner(sub, x, left), corner(sub, y, top), corner(add, x, right), corner(add, y, bottom)],
        sound: sumOf(turn === undefined ? sides : [...sides, turn]),
        every: head.oneToOne === true,
        ...pointFormulas(head.points, 2, [place(x, 0), place(y, 1)]),
        ...maskFormula(head.mask, 2, 0, false),
        ...(turn !== undefined && { angle: turn }),
      },
    ];
  },

  values: ({ scores, scoresFrom, boxes, boxesFrom, bins, points, mask, angle }, _, classes) => [
    planeValues("box", boxes, 4 * bins, boxesFrom),
    planeValues("class", scores, classes, scoresFrom),
    ...pointValues(points),
    ...maskValues(mask),
    ...angleValues(angle),
  ],

  importance(head, [scores], classes) {
    const area = areaOf(scores);
    const from = (head.scoresFrom ?? 0) * area;
    const weights = logitImportance(scores.data, from, from + classes * area);
    return [weights, undefined, ...moreBlobs(head).map(() => undefined)];
  },

  loss(head, float, int8, classes) {
    const [{ scores, ...a }, { scores: others, ...b }] = [apart(head, float), apart(head, int8)];
    const maskError = maskErrors(head.mask, a.mask, b.mask);
    const area = areaOf(scores);
    const first = (head.scoresFrom ?? 0) * area;
    const of =
      ({ data }: Tensor) =>
      (cell: number, k: number): number =>
        sigmoid(data[first + k * area + cell]);
    const boxError = (cell: number): number => {
      const [box, other] = [sides(head, a.boxes, cell), sides(head, b.boxes, cell)];
      const extents = box[0] + box[1] + box[2] + box[3] || 1;
      const error = box.reduce((sum, side, i) => sum + ((side - other[i]) / extents) ** 2, 0);
      const unit = extents / (head.points?.scale ?? 1);
      return (
        error +
        pointError(head.points, a.points, b.points, cell, unit) +
        maskError(cell) +
        angleError(head.angle, a.angle, b.angle, cell)
      );
    };
    return planeLoss(area, classes, of(scores), of(others), boxError);
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
      ...cppPoints.comment(
        heads,
        isPlaced(heads)
          ? "point = (cell + points_point + v * points_scale) * stride, x and then y"
          : "point = (cell + point + v) * stride, x and then y",
      ),
      ...cppMasks.comment(heads),
      ...cppAngles.comment(heads),
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
      ...(isPlaced(heads) ? ["float points_point;", "float points_scale;"] : []),
      ...cppMasks.members(heads),
      ...cppAngles.members(heads),
    ],
    rows: heads.map(({ scores, scoresFrom = 0, boxes, boxesFrom = 0, stride, bins, point, ...more }) => {
      const box = `${quote(scores)}, ${scoresFrom}, ${quote(boxes)}, ${boxesFrom}, ${stride}, ${bins}, ${float(point)}`;
      const { scale = 1, point: placed = point } = more.points ?? {};
      const place = isPlaced(heads) ? `, ${float(placed)}, ${float(scale)}` : "";
      return `{${box}${cppPoints.fields(heads, more.points)}${place}${cppMasks.fields(heads, more.mask)}${cppAngles.fields(heads, more.angle)}}`;
    }),
  }),

  seesAll: true,
  recognise: recogniseDistances,
});

type More = Pick<DistancesHead, "points" | "mask" | "angle">;

const moreBlobs = ({ points, mask, angle }: More): string[] => [
  ...pointBlobs(points),
  ...maskBlobs(mask),
  ...angleBlobs(angle),
];

/** What belongs to each of the blobs, which are in the order of `blobs`. */
function apart<T>(
  head: More,
  [scores, boxes, ...more]: readonly T[],
): { scores: T; boxes: T; points?: T; mask: [T?, T?]; angle?: T } {
  const take = (blobs: readonly string[]): T[] => more.splice(0, blobs.length);
  const [points] = take(pointBlobs(head.points));
  const [coefficients, prototypes] = take(maskBlobs(head.mask));
  const [angle] = take(angleBlobs(head.angle));
  return { scores, boxes, points, mask: [coefficients, prototypes], angle };
}

/** Whether points have a formula of their own. */
const isPlaced = (heads: readonly More[]): boolean =>
  heads.some(({ points }) => points?.scale !== undefined || points?.point !== undefined);

/** Distances of a cell to the four sides, in cells. */
function sides(head: DistancesHead, boxes: Tensor, cell: number): number[] {
  const { data } = boxes;
  const area = areaOf(boxes);
  const at = (head.boxesFrom ?? 0) * area + cell;
  return distancesOf(head.bins, (i) => data[at + i * area]);
}
