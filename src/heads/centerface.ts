/** CenterFace's head: a heat map of one class, with size and offset of the box at its peaks. Landmarks are left out. */
import * as z from "zod/mini";
import { sigmoid } from "../base/maths.ts";
import type { Tensor } from "../ir/tensor.ts";
import { areaOf, gridStride, logitImportance, planeLoss, planeProblem, visitScores } from "./_planes.ts";
import { quote } from "./cpp.ts";
import { blobName, defineHead, extent } from "./kind.ts";
import { joinLevels } from "./recognition.ts";
import { channelsOf } from "./view.ts";

/**
 * Blobs `[channels, gridHeight, gridWidth]`: logits of classes, `h w` (2), `y x` (2);
 * `center = (xy + cell + 0.5)·stride`, `size = exp(wh)·stride`, `score = σ(class)`.
 */
export interface CenterFaceHead {
  kind: "centerface";
  scores: string;
  sizes: string;
  offsets: string;
  /** Input pixels per grid cell. */
  stride: number;
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
  }),
  needsNms: () => true,
  blobs: ({ scores, sizes, offsets }) => [scores, sizes, offsets],
  stride: ({ stride }) => gridStride(stride),
  describe: ({ stride }) => `stride ${stride}`,

  problem: (head, [scores, sizes, offsets], facts) =>
    planeProblem(head.scores, scores, facts.classes, head.stride, facts, `${facts.classes} labels`) ??
    planeProblem(head.sizes, sizes, 2, head.stride, facts, "a size") ??
    planeProblem(head.offsets, offsets, 2, head.stride, facts, "an offset"),

  decode({ stride }, [scores, sizes, offsets], classes, options, out) {
    const gridWidth = scores.shape[2];
    visitScores(areaOf(scores), classes, options, scoresOf(scores), (cell, k, score) => {
      const [y, x, h, w] = boxOf(sizes, offsets, cell);
      const left = ((cell % gridWidth) + x - w / 2) * stride;
      const top = (Math.floor(cell / gridWidth) + y - h / 2) * stride;
      const [right, bottom] = [left + w * stride, top + h * stride];
      if (!Number.isNaN(left + top + right + bottom)) out.add(left, top, right, bottom, score, k);
    });
  },

  importance(_, [scores], classes) {
    return [logitImportance(scores.data, 0, classes * areaOf(scores)), undefined, undefined];
  },

  loss(_, [scores, sizes, offsets], [otherScores, otherSizes, otherOffsets], classes) {
    const boxError = (cell: number): number => {
      const [float, int8] = [boxOf(sizes, offsets, cell), boxOf(otherSizes, otherOffsets, cell)];
      return float.reduce((sum, value, i) => sum + ((value - int8[i]) / (float[2 + (i % 2)] || 1)) ** 2, 0);
    };
    return planeLoss(areaOf(scores), classes, scoresOf(scores), scoresOf(otherScores), boxError);
  },

  cpp: (heads) => ({
    comment: [
      "Head blobs have w x h = grid cells: c = num_class (logits), c = 2 (height and width) and c = 2 (y and x):",
      "  center = (xy + cell + 0.5) * stride,   size = exp(wh) * stride,   score = sigmoid(class),",
      "  in pixels of the network's input.",
    ],
    members: [
      "const char* scores_blob;",
      "const char* sizes_blob;",
      "const char* offsets_blob;",
      "int stride;",
    ],
    rows: heads.map(
      ({ scores, sizes, offsets, stride }) =>
        `{${quote(scores)}, ${quote(sizes)}, ${quote(offsets)}, ${stride}}`,
    ),
  }),

  recognise(view) {
    const levels = joinLevels(view) ?? [];
    const [level, ...more] = levels;
    // One heat map, size, offset, and five landmarks: in outputs of their own, in this order.
    if (!level || more.length || level.columns.length !== 15 || view.tables.length !== 4) return undefined;
    const parts = [
      channelsOf(level, 0, 1, "sigmoid"),
      channelsOf(level, 1, 2, "raw"),
      channelsOf(level, 3, 2, "raw"),
      channelsOf(level, 5, 10, "raw"),
    ];
    const sources = parts.flatMap((part) => (part && !part.channel ? [part.source] : []));
    if (new Set(sources).size !== 4) return undefined;
    const [scores, sizes, offsets] = sources.map(({ blob }) => blob);
    return {
      heads: [{ kind: "centerface", scores, sizes, offsets, stride: level.stride }],
      classes: 1,
      labels: ["face"],
      family: "centerface",
      notes: ["a heat map, two pairs and five points are taken for CenterFace's; the points are left out"],
    };
  },
});

const scoresOf = ({ data, shape }: Tensor): ((cell: number, k: number) => number) => {
  const area = shape[1] * shape[2];
  return (cell, k) => sigmoid(data[k * area + cell]);
};

/** Centre relative to the cell, then size, y before x; in cells. */
function boxOf({ data: sizes, shape }: Tensor, { data: offsets }: Tensor, cell: number): number[] {
  const area = shape[1] * shape[2];
  return [
    offsets[cell] + 0.5,
    offsets[area + cell] + 0.5,
    Math.exp(sizes[cell]),
    Math.exp(sizes[area + cell]),
  ];
}
