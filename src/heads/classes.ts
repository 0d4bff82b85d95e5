/** Scores of classes of the whole picture, from networks that sort pictures and find no boxes. */
import * as z from "zod/mini";
import { elementCount, formatShape, type Tensor } from "../ir/tensor.ts";
import { quote } from "./cpp.ts";
import { classFamilies } from "./families.ts";
import { blobName, defineHead, extent, leastScore } from "./kind.ts";

/** Blob with a number for every class. */
export interface ClassesHead {
  kind: "classes";
  blob: string;
  /** Scores are the softmax of the numbers; else the numbers themselves. */
  softmax: boolean;
  /** Input sizes must be multiples of it, in pixels; 1 where any will do. */
  stride: number;
}

export const classes = defineHead<ClassesHead>({
  kind: "classes",
  title: "list of class scores",
  schema: z.strictObject({
    kind: z.literal("classes"),
    blob: blobName,
    softmax: z.boolean(),
    stride: extent,
  }),
  needsNms: () => false,
  blobs: ({ blob }) => [blob],
  stride: ({ stride }) => stride,
  describe: ({ softmax }) => (softmax ? "logits of classes" : "class scores"),

  problem: (_, [shape], { classes }) =>
    elementCount(shape) === classes && shape.some((extent) => extent === classes)
      ? undefined
      : `output is ${formatShape(shape)} (w x h x c), expected ${classes} numbers, one a label`,

  /** The box of every class is the whole input. */
  decode(head, [output], classes, { confidence, multiLabel, allowed, width, height }, out) {
    const scores = scoresOf(head, output);
    let best = -1;
    for (let k = 0; k < classes; k++) {
      if (!(scores[k] > confidence) || (allowed && !allowed[k])) continue;
      if (multiLabel) out.add(0, 0, width, height, scores[k], k);
      else if (best < 0 || scores[k] > scores[best]) best = k;
    }
    if (best >= 0) out.add(0, 0, width, height, scores[best], best);
  },

  formulas: ({ blob, softmax }, _, { classes, width, height }) => [
    {
      rows: 1,
      columns: 1,
      views: [{ blob, first: 0, rowStride: 0, valueStride: 1 }],
      classes: { view: 0, from: 0, count: classes },
      score: softmax ? "softmax" : "class",
      box: [0, 0, width, height],
      sound: 0,
      every: true,
      whole: true,
    },
  ],

  values: ({ blob }) => [{ part: "class", blob, axis: -1, from: 0, count: 1 }],

  importance: (head, [output]) => [
    Float32Array.from(scoresOf(head, output), (score) => (score >= leastScore ? score : 0)),
  ],

  loss(head, [float], [int8]) {
    const [a, b] = [scoresOf(head, float), scoresOf(head, int8)];
    return a.reduce((sum, score, k) => sum + (score - b[k]) ** 2, 0);
  },

  cpp: (heads) => ({
    comment: [
      "The blob has a number for every class: the score, or where is_logits a value whose softmax it is.",
    ],
    members: ["const char* blob;", "bool is_logits;"],
    rows: heads.map(({ blob, softmax }) => `{${quote(blob)}, ${softmax}}`),
  }),

  seesAll: true,
  recognise({ list }, { family, labels, task }) {
    if (!list) return undefined;
    const { blob, count, isSoftmax } = list;
    const told = classFamilies.find((each) => each === family);
    if (!told && task !== "classify" && labels?.length !== count) {
      return {
        near: `its output is a list of ${count} numbers a picture${isSoftmax ? " whose sum is 1" : ""}, as of a network that sorts pictures: --family ${classFamilies.join(" or ")} takes it for one and says how pictures are prepared, --labels gives the ${count} names`,
      };
    }
    const isUltralytics = task === "classify" || isSoftmax;
    return {
      heads: [{ kind: "classes", blob, softmax: true, stride: 1 }],
      classes: count,
      family: told ?? (isUltralytics ? "ultralytics-cls" : "yolov5-cls"),
      notes: isSoftmax ? [] : [`the ${count} numbers are taken for logits, whose softmax are the scores`],
      ...(!isSoftmax && { isRaw: true }),
    };
  },
});

function scoresOf({ softmax }: ClassesHead, { data }: Tensor): Float64Array {
  const scores = Float64Array.from(data, Number);
  if (!softmax) return scores;
  const most = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = scores.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
