/** CenterFace's head: a heat map of one class, with size and offset of the box at its peaks, and landmarks. */
import * as z from "zod/mini";
import { add, div, expOf, type Formula, mul, sigmoidOf, sub, sumOf } from "../base/formula.ts";
import { sigmoid } from "../base/maths.ts";
import type { Tensor } from "../ir/tensor.ts";
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
import { quote } from "./cpp.ts";
import { blobName, defineHead, extent, logit, logitSlack } from "./kind.ts";
import { joinLevels } from "./recognition.ts";
import { channelsOf } from "./view.ts";

/**
 * Blobs `[channels, gridHeight, gridWidth]`: logits of classes, `h w` (2), `y x` (2);
 * `center = (xy + cell + 0.5)·stride`, `size = exp(wh)·stride`, `score = σ(class)`. Points are `y x` as parts of the box from its
 * left top corner.
 */
export interface CenterFaceHead {
  kind: "centerface";
  scores: string;
  sizes: string;
  offsets: string;
  /** Input pixels per grid cell. */
  stride: number;
  points?: HeadPoints;
}

export const centerface = defineHead<CenterFaceHead>({
  kind: "centerface",
  title: "CenterFace head",
  schema: z.strictObject({
    kind: z.literal("centerface"),
    scores: blobName,
    sizes: blobName,
    offsets: blobName,
    stride: extent,
    points: pointsSchema,
  }),
  needsNms: () => true,
  blobs: ({ scores, sizes, offsets, points }) => [scores, sizes, offsets, ...pointBlobs(points)],
  stride: ({ stride }) => gridStride(stride),
  describe: ({ stride, points }) => `stride ${stride}${describePoints(points)}`,

  problem: (head, [scores, sizes, offsets, points], facts) =>
    planeProblem(head.scores, scores, facts.classes, head.stride, facts, `${facts.classes} labels`) ??
    planeProblem(head.sizes, sizes, 2, head.stride, facts, "a size") ??
    planeProblem(head.offsets, offsets, 2, head.stride, facts, "an offset") ??
    pointsProblem(head.points, points, head.stride, facts),

  decode({ stride, ...head }, [scores, sizes, offsets, points], classes, options, out) {
    const gridWidth = scores.shape[2];
    const source = planesAbove(scores, 0, classes, logit(options.confidence) - logitSlack);
    visitScores(source, classes, options, scoresOf(scores), (cell, k, score) => {
      const [y, x, h, w] = boxOf(sizes, offsets, cell);
      const left = ((cell % gridWidth) + x - w / 2) * stride;
      const top = (Math.floor(cell / gridWidth) + y - h / 2) * stride;
      const [right, bottom] = [left + w * stride, top + h * stride];
      if (Number.isNaN(left + top + right + bottom)) return;
      const found = pointsOf(head.points, points, cell, (down, across) => [
        left + across * w * stride,
        top + down * h * stride,
      ]);
      out.add(left, top, right, bottom, score, k, found && { points: found });
    });
  },

  formulas({ stride, points, ...head }, [scores, sizes, offsets, landmarks], { classes }) {
    const [h, w] = [0, 1].map((value) => expOf({ view: 1, value }));
    const low = (value: number, size: Formula, cell: Formula): Formula =>
      mul(sub(add(cell, add({ view: 2, value }, 0.5)), div(size, 2)), stride);
    const [left, top] = [low(1, w, "column"), low(0, h, "row")];
    const [width, height] = [mul(w, stride), mul(h, stride)];
    const [right, bottom] = [add(left, width), add(top, height)];
    // Points are `y x`.
    const across = add(left, mul(mul({ point: 1 }, w), stride));
    const down = add(top, mul(mul({ point: 0 }, h), stride));
    return [
      {
        rows: scores[1] * scores[2],
        columns: scores[2],
        views: [
          planeView(head.scores, scores),
          planeView(head.sizes, sizes),
          planeView(head.offsets, offsets),
          ...pointViews(points, landmarks),
        ],
        classes: { view: 0, from: 0, count: classes },
        score: sigmoidOf("class"),
        box: [left, top, right, bottom],
        sound: sumOf([left, top, right, bottom]),
        every: false,
        ...pointFormulas(points, 3, [across, down]),
      },
    ];
  },

  values: ({ scores, sizes, offsets, points }, _, classes) => [
    planeValues("box", sizes, 2),
    planeValues("box", offsets, 2),
    planeValues("class", scores, classes),
    ...pointValues(points),
  ],

  importance({ points }, [scores], classes) {
    const weights = logitImportance(scores.data, 0, classes * areaOf(scores));
    return [weights, undefined, undefined, ...pointBlobs(points).map(() => undefined)];
  },

  loss(head, [scores, sizes, offsets, points], [otherScores, otherSizes, otherOffsets, others], classes) {
    const boxError = (cell: number): number => {
      const [float, int8] = [boxOf(sizes, offsets, cell), boxOf(otherSizes, otherOffsets, cell)];
      const error = float.reduce(
        (sum, value, i) => sum + ((value - int8[i]) / (float[2 + (i % 2)] || 1)) ** 2,
        0,
      );
      return error + pointError(head.points, points, others, cell, 1);
    };
    return planeLoss(areaOf(scores), classes, scoresOf(scores), scoresOf(otherScores), boxError);
  },

  cpp: (heads) => ({
    comment: [
      "Head blobs have w x h = grid cells: c = num_class (logits), c = 2 (height and width) and c = 2 (y and x):",
      "  center = (xy + cell + 0.5) * stride,   size = exp(wh) * stride,   score = sigmoid(class),",
      "  in pixels of the network's input.",
      ...cppPoints.comment(heads, "point = left top corner of the box + v * size, where v is y and then x"),
    ],
    members: [
      "const char* scores_blob;",
      "const char* sizes_blob;",
      "const char* offsets_blob;",
      "int stride;",
      ...cppPoints.members(heads),
    ],
    rows: heads.map(
      ({ scores, sizes, offsets, stride, points }) =>
        `{${quote(scores)}, ${quote(sizes)}, ${quote(offsets)}, ${stride}${cppPoints.fields(heads, points)}}`,
    ),
  }),

  parts: [
    { what: "the heat map", origin: "sigmoid", channels: 1 },
    { what: "h w", origin: "raw", channels: 2 },
    { what: "y x", origin: "raw", channels: 2 },
    { what: "points", origin: "raw", channels: 10 },
  ],

  recognise(view, { family }) {
    const levels = joinLevels(view) ?? [];
    const [level, ...more] = levels;
    // One heat map, size, offset, and five landmarks: in outputs of their own, in this order. Its model without landmarks has what
    // CenterNet's have, whose sizes are no logarithms: the caller has to say whose it is.
    const hasPoints = level?.columns.length === 15;
    const isWhole = hasPoints || (level?.columns.length === 5 && family === "centerface");
    if (more.length || !isWhole || view.tables.length !== (hasPoints ? 4 : 3)) return undefined;
    const parts = [
      channelsOf(level, 0, 1, "sigmoid"),
      channelsOf(level, 1, 2, "raw"),
      channelsOf(level, 3, 2, "raw"),
      ...(hasPoints ? [channelsOf(level, 5, 10, "raw")] : []),
    ];
    const sources = parts.flatMap((part) => (part && !part.channel ? [part.source] : []));
    if (new Set(sources).size !== parts.length) return undefined;
    const [scores, sizes, offsets, points] = sources.map(({ blob }) => blob);
    const head = { kind: "centerface" as const, scores, sizes, offsets, stride: level.stride };
    return {
      heads: [hasPoints ? { ...head, points: { blob: points, count: 5 } } : head],
      classes: 1,
      labels: ["face"],
      family: "centerface",
      notes: [
        `the outputs are taken for CenterFace's in this order: heat map, height and width, y and x${hasPoints ? ", five points" : ""}`,
      ],
    };
  },
});

const scoresOf = ({ data, shape }: Tensor): ((cell: number, k: number) => number) => {
  const area = areaOf({ shape });
  return (cell, k) => sigmoid(data[k * area + cell]);
};

/** Centre relative to the cell, then size, y before x; in cells. */
function boxOf({ data: sizes, shape }: Tensor, { data: offsets }: Tensor, cell: number): number[] {
  const area = areaOf({ shape });
  return [
    offsets[cell] + 0.5,
    offsets[area + cell] + 0.5,
    Math.exp(sizes[cell]),
    Math.exp(sizes[area + cell]),
  ];
}
