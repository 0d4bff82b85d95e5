/** YOLOv5's raw head, which YOLOv7 has too, and with other formulas YOLOv3 and v4: anchors, and the box relative to one. */
import * as z from "zod/mini";
import { div, expOf, type Formula, mul, add as plus, sigmoidOf, sub, sumOf } from "../base/formula.ts";
import { sigmoid } from "../base/maths.ts";
import { sieve as plainSieve } from "../base/sieve.ts";
import type { Tensor } from "../ir/tensor.ts";
import { formatShape } from "../ir/tensor.ts";
import { type Logits, logitsOf, type Yolov5Head } from "./_anchor-levels.ts";
import {
  cppPrototypes,
  describeMask,
  maskFormula,
  prototypesProblem,
  prototypesSchema,
  prototypeValues,
  relativeError,
} from "./_masks.ts";
import { recogniseBoxes } from "./_yolov5-boxes.ts";
import { recogniseLogits } from "./_yolov5-logits.ts";
import type { CandidateParts, Candidates, DecodeOptions } from "./candidates.ts";
import { anchorMembers, anchorRow, float, quote } from "./cpp.ts";
import {
  anchorSizes,
  bestClass,
  blobName,
  defineHead,
  extent,
  leastObject,
  leastScore,
  logit,
  logitSlack,
} from "./kind.ts";
import { joinRows } from "./recognition.ts";

export type { Yolov5Head };

export const yolov5 = defineHead<Yolov5Head>({
  kind: "yolov5",
  title: "YOLOv5 head",
  schema: z.strictObject({
    kind: z.literal("yolov5"),
    blob: blobName,
    stride: extent,
    anchors: anchorSizes,
    centerScale: z.optional(z.number().check(z.minimum(1), z.maximum(4))),
    size: z.optional(z.enum(["square", "exp"])),
    mask: prototypesSchema,
  }),
  needsNms: () => true,
  blobs: ({ blob, mask }) => [blob, ...(mask ? [mask.prototypes] : [])],
  stride: ({ stride }) => stride,
  describe: ({ stride, anchors, centerScale = 2, size, mask }) =>
    `stride ${stride}, anchors ${anchors.join(",")}${isPlain({ centerScale, size }) ? "" : `, centres ${centerScale}·σ, sizes ${size === "exp" ? "exp(t)" : "(2σ)²"}`}${describeMask(mask)}`,

  problem(head, [shape, prototypes], facts) {
    const { width, height, classes } = facts;
    const anchors = head.anchors.length / 2;
    const [columns, rows] = [Math.ceil(width / head.stride), Math.ceil(height / head.stride)];
    const values = valuesOf(head, classes);
    const expected = [anchors, rows * columns, values];
    const found = `output is ${formatShape(shape)} (w x h x c), expected ${formatShape(expected)}`;
    if (shape.length !== 3) return found;
    if (shape[2] !== values) {
      const sum = `5 + ${classes} labels${head.mask ? ` + ${head.mask.count} mask coefficients` : ""}`;
      return `${found}: ${shape[2]} values per box, expected ${values} (${sum})`;
    }
    if (shape[0] !== anchors) return `${found}: ${shape[0]} channels, expected ${anchors}, one per anchor`;
    if (shape[1] === rows * columns) return prototypesProblem(head.mask, prototypes, facts);
    return `${found}: ${shape[1]} cells, expected ${rows * columns} (${columns}x${rows} cells at stride ${head.stride})`;
  },

  decode(head, [{ shape, data }, prototypes], classes, options, out) {
    const gridWidth = Math.ceil(options.width / head.stride);
    const [anchors, cells, values] = shape;
    // score = σ(objectness)·σ(class) is never above σ(objectness): most cells end at one comparison of logits.
    const least = logit(options.confidence) - logitSlack;
    const grid = { first: 4, rows: anchors * cells, columns: 1, rowStride: values, columnStride: 1 };
    const { sieve = plainSieve } = options;
    sieve(data, grid, least, (row) => {
      const at = row * values;
      const objectness = sigmoid(data[at + 4]);
      if (options.multiLabel) {
        const leastClass = logit(options.confidence / objectness) - logitSlack;
        for (let k = 0; k < classes; k++) {
          if (!(data[at + 5 + k] > leastClass)) continue;
          add(head, row, cells, gridWidth, data, at, k, classes, objectness, options, out, prototypes);
        }
      } else {
        const best = bestClass(data, at + 5, classes, options.allowed);
        if (best >= 0)
          add(head, row, cells, gridWidth, data, at, best, classes, objectness, options, out, prototypes);
      }
    });
  },

  formulas(head, [[anchors, cells, values]], { width, classes }) {
    const { stride, centerScale = 2 } = head;
    const value = (i: number): Formula => ({ view: 0, value: i });
    const center = (i: number, cell: Formula): Formula =>
      mul(plus(sub(mul(centerScale, sigmoidOf(value(i))), (centerScale - 1) / 2), cell), stride);
    const half = (i: number): Formula =>
      head.size === "exp" ? div(expOf(value(i)), 2) : mul(2, mul(sigmoidOf(value(i)), sigmoidOf(value(i))));
    const [x, y] = [center(0, "column"), center(1, "row")];
    return Array.from({ length: anchors }, (_, anchor) => {
      const [w, h] = [0, 1].map((side) => mul(half(2 + side), head.anchors[anchor * 2 + side]));
      return {
        rows: cells,
        columns: Math.ceil(width / stride),
        views: [{ blob: head.blob, first: anchor * cells * values, rowStride: values, valueStride: 1 }],
        classes: { view: 0, from: 5, count: classes, byNumber: true },
        most: sigmoidOf(value(4)),
        score: mul(sigmoidOf(value(4)), sigmoidOf("class")),
        box: [sub(x, w), sub(y, h), plus(x, w), plus(y, h)],
        sound: sumOf([x, y, w, h]),
        every: false,
        ...maskFormula(head.mask, 0, 5 + classes, true),
      };
    });
  },

  values: ({ blob, mask }, _, classes) => [
    { part: "box", blob, axis: 2, from: 0, count: 4 },
    { part: "objectness", blob, axis: 2, from: 4, count: 1 },
    { part: "class", blob, axis: 2, from: 5, count: classes },
    ...(mask ? [{ part: "mask" as const, blob, axis: 2, from: 5 + classes, count: mask.count }] : []),
    ...prototypeValues(mask),
  ],

  /**
   * Objectness and class logits count by the score that they make, so that the scores of real objects neither rise nor fall
   * on average.
   */
  importance(head, [{ data }], classes) {
    const values = valuesOf(head, classes);
    const weights = new Float32Array(data.length);
    for (let at = 0; at < data.length; at += values) {
      const objectness = sigmoid(data[at + 4]);
      if (objectness < leastScore) continue;
      for (let i = 5; i < 5 + classes; i++) {
        const score = objectness * sigmoid(data[at + i]);
        if (score < leastScore) continue;
        weights[at + i] = score;
        weights[at + 4] = Math.max(weights[at + 4], score);
      }
    }
    return head.mask ? [weights, undefined] : [weights];
  },

  loss(head, [float, prototypes], [int8, others], classes) {
    let loss = 0;
    const [{ data }, { data: other }] = [float, int8];
    const { size, mask } = head;
    const values = valuesOf(head, classes);
    const shared = mask ? relativeError(prototypes, others, 0, prototypes.data.length) : 0;
    for (let at = 0; at < data.length; at += values) {
      const object = sigmoid(data[at + 4]);
      loss += (object - sigmoid(other[at + 4])) ** 2;
      if (object < leastObject) continue;
      if (mask) loss += object * (shared + relativeError(float, int8, at + 5 + classes, mask.count));
      for (let i = 0; i < 5 + classes; i++) {
        if (i === 4) continue;
        const isPower = size === "exp" && (i === 2 || i === 3);
        // The part by which a size is wrong, as far as it can be.
        const error = isPower
          ? Math.tanh(data[at + i] - other[at + i])
          : sigmoid(data[at + i]) - sigmoid(other[at + i]);
        loss += object * error ** 2;
      }
    }
    return loss;
  },

  seesAll: true,
  recognise(view, facts) {
    const { pieces, left } = joinRows(view);
    if (pieces.length === 0) return undefined;
    const logits = pieces.map(logitsOf);
    const boxes = pieces.filter((_, i) => !logits[i]);
    if (boxes.length) return recogniseBoxes(view, facts, boxes, logits, left);
    return left.length ? undefined : recogniseLogits(view, facts, pieces, logits as Logits[]);
  },

  cpp(heads) {
    const isOther = !heads.every(isPlain);
    return {
      comment: [
        `Every head blob has w = 5 + num_class${heads.some(({ mask }) => mask) ? " + num_masks" : ""} logits (x y w h objectness classes), h = grid cells, row by row, c = anchors:`,
        ...(isOther
          ? [
              "  center = (center_scale * sigmoid(xy) - (center_scale - 1) / 2 + cell) * stride,",
              "  size = exp(wh) * anchor where is_exp, else (2 * sigmoid(wh))^2 * anchor,",
            ]
          : ["  center = (2 * sigmoid(xy) - 0.5 + cell) * stride,   size = (2 * sigmoid(wh))^2 * anchor,"]),
        "  score = sigmoid(objectness) * sigmoid(class), all in pixels of the network's input.",
        ...cppPrototypes.comment(heads, "Behind the classes of each box stand num_masks mask coefficients:"),
      ],
      members: [
        "const char* blob;",
        "int stride;",
        ...(isOther ? ["float center_scale;", "bool is_exp;"] : []),
        ...anchorMembers(heads),
        ...cppPrototypes.members(heads),
      ],
      rows: heads.map((head) => {
        const { blob, stride, centerScale = 2, size, mask } = head;
        const formula = isOther ? `${float(centerScale)}, ${size === "exp"}, ` : "";
        const masks = cppPrototypes.fields(heads, mask);
        return `{${quote(blob)}, ${stride}, ${formula}${anchorRow(head)}${masks}}`;
      }),
    };
  },
});

/** Values of one box. */
const valuesOf = ({ mask }: Yolov5Head, classes: number): number => 5 + classes + (mask?.count ?? 0);

/** Whether the formulas are YOLOv5's. */
const isPlain = ({ centerScale = 2, size = "square" }: Pick<Yolov5Head, "centerScale" | "size">): boolean =>
  centerScale === 2 && size === "square";

/** Adds the box at `data[at]` with its class if the score passes. */
function add(
  head: Yolov5Head,
  row: number,
  cells: number,
  gridWidth: number,
  data: Tensor["data"],
  at: number,
  classId: number,
  classes: number,
  objectness: number,
  { confidence, allowed }: DecodeOptions,
  out: Candidates,
  prototypes: Tensor,
): void {
  const score = objectness * sigmoid(data[at + 5 + classId]);
  if (!(score > confidence) || (allowed && !allowed[classId])) return;
  const anchor = Math.floor(row / cells);
  const cell = row - anchor * cells;
  const gridY = Math.floor(cell / gridWidth);
  const { centerScale = 2 } = head;
  const before = (centerScale - 1) / 2;
  const half = (t: number): number => (head.size === "exp" ? Math.exp(t) / 2 : 2 * sigmoid(t) ** 2);
  const x = (centerScale * sigmoid(data[at]) - before + (cell - gridY * gridWidth)) * head.stride;
  const y = (centerScale * sigmoid(data[at + 1]) - before + gridY) * head.stride;
  const halfWidth = half(data[at + 2]) * head.anchors[anchor * 2];
  const halfHeight = half(data[at + 3]) * head.anchors[anchor * 2 + 1];
  if (Number.isNaN(x + y + halfWidth + halfHeight)) return;
  const parts = head.mask && maskAt(data, at + 5 + classes, head.mask.count, prototypes);
  out.add(x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight, score, classId, parts);
}

function maskAt(data: Tensor["data"], first: number, count: number, prototypes: Tensor): CandidateParts {
  const coefficients = Float64Array.from(data.subarray(first, first + count));
  return { mask: { coefficients, prototypes, probabilities: true } };
}
