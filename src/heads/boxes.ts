/** Boxes that the network has decoded, one for every place that it looks at, of which overlapping ones are still to be dropped. */
import * as z from "zod/mini";
import { elementCount, formatShape, type Tensor } from "../ir/tensor.ts";
import { isConstant } from "./_decoded.ts";
import { gridStride, visitScores } from "./_planes.ts";
import { quote } from "./cpp.ts";
import { blobName, defineHead, extent, leastObject, leastScore } from "./kind.ts";
import type { Recognition } from "./recognition.ts";
import {
  channelsOf,
  type HeadView,
  isNear,
  isPlain,
  numberAt,
  type OutputTable,
  type Piece,
} from "./view.ts";

/**
 * Blob `[rows, values]` or `[values, rows]` with, for every row: a box, perhaps objectness, a score for every class. Scores may be in a blob
 * of their own with as many rows.
 */
export interface BoxesHead {
  kind: "boxes";
  blob: string;
  /** Blob of the scores, where they are apart. */
  scores?: string;
  /** The values of a row lie one after the other (`rows`), or those of a column do (`columns`). */
  layout: "rows" | "columns";
  /** Centre and size, or left top and right bottom corner. */
  box: "cxcywh" | "xyxy";
  /** Pixels of the input, or parts of it. */
  unit: "pixels" | "parts";
  /** The fifth value is to be multiplied with the class scores. */
  objectness: boolean;
  /** Input sizes must be multiples of it, in pixels. */
  stride: number;
}

/** Where the scores of classes begin among all values. */
const firstScore = ({ objectness }: BoxesHead): number => 4 + Number(objectness);

/** Values of a row in each blob. */
const countsOf = (head: BoxesHead, classes: number): number[] =>
  head.scores ? [firstScore(head), classes] : [firstScore(head) + classes];

export const boxes = defineHead<BoxesHead>({
  kind: "boxes",
  title: "decoded boxes",
  schema: z.strictObject({
    kind: z.literal("boxes"),
    blob: blobName,
    scores: z.optional(blobName),
    layout: z.enum(["rows", "columns"]),
    box: z.enum(["cxcywh", "xyxy"]),
    unit: z.enum(["pixels", "parts"]),
    objectness: z.boolean(),
    stride: extent,
  }),
  needsNms: () => true,
  blobs: ({ blob, scores }) => (scores ? [blob, scores] : [blob]),
  stride: ({ stride }) => stride,
  describe: ({ box, unit, objectness }) =>
    `${box} in ${unit === "pixels" ? "pixels" : "parts of the input"}, ${objectness ? "objectness and " : ""}class scores`,

  problem(head, shapes, { classes }) {
    const counts = countsOf(head, classes);
    const rows = shapes.map((shape, i) => elementCount(shape) / counts[i]);
    const wrong = shapes.findIndex((shape, i) => {
      const dims = shape.filter((extent) => extent > 1);
      const found = (head.layout === "rows" ? dims[dims.length - 1] : dims[0]) ?? 1;
      return (found !== counts[i] && counts[i] > 1) || rows[i] !== rows[0];
    });
    if (wrong < 0) return undefined;
    const others = counts[wrong] - classes;
    const sum = wrong === 0 && head.scores ? "" : ` (${others ? `${others} + ` : ""}${classes} labels)`;
    return `output is ${formatShape(shapes[wrong])} (w x h x c), expected ${counts[wrong]} values a box${sum} as ${head.layout}`;
  },

  decode(head, outputs, classes, options, out) {
    const { at, rows } = accessOf(head, outputs, classes);
    const first = firstScore(head);
    const [sx, sy] = head.unit === "parts" ? [options.width, options.height] : [1, 1];
    const scoreOf = (row: number, k: number): number =>
      at(row, first + k) * (head.objectness ? at(row, 4) : 1);
    visitScores(rows, classes, options, scoreOf, (row, k, score) => {
      const [a, b, c, d] = [at(row, 0) * sx, at(row, 1) * sy, at(row, 2) * sx, at(row, 3) * sy];
      if (Number.isNaN(a + b + c + d)) return;
      if (head.box === "xyxy") out.add(a, b, c, d, score, k);
      else out.add(a - c / 2, b - d / 2, a + c / 2, b + d / 2, score, k);
    });
  },

  values(head, shapes, classes) {
    const { blob, scores, layout, objectness } = head;
    const isLong = (extent: number): boolean => extent > 1;
    const [axis, scoreAxis = axis] = shapes.map((shape) =>
      layout === "rows" ? shape.findLastIndex(isLong) : shape.findIndex(isLong),
    );
    const from = scores ? 0 : firstScore(head);
    return [
      { part: "box", blob, axis, from: 0, count: 4 },
      ...(objectness ? [{ part: "objectness" as const, blob, axis, from: 4, count: 1 }] : []),
      { part: "class", blob: scores ?? blob, axis: scoreAxis, from, count: classes },
    ];
  },

  importance(head, outputs, classes) {
    const { at, indexOf, rows } = accessOf(head, outputs, classes);
    const first = firstScore(head);
    const weights = outputs.map(({ data }) => new Float32Array(data.length));
    const [behindBox, scores = behindBox] = weights;
    for (let row = 0; row < rows; row++) {
      const objectness = head.objectness ? at(row, 4) : 1;
      for (let k = 0; k < classes; k++) {
        const score = objectness * at(row, first + k);
        if (!(score >= leastScore)) continue;
        scores[indexOf(row, first + k)] = score;
        const object = indexOf(row, 4);
        if (head.objectness) behindBox[object] = Math.max(behindBox[object], score);
      }
    }
    return weights;
  },

  loss(head, float, int8, classes) {
    const [a, b] = [accessOf(head, float, classes), accessOf(head, int8, classes)];
    const first = firstScore(head);
    let loss = 0;
    for (let row = 0; row < a.rows; row++) {
      const [objectA, objectB] = head.objectness ? [a.at(row, 4), b.at(row, 4)] : [1, 1];
      let object = 0;
      for (let k = first; k < first + classes; k++) {
        const score = objectA * a.at(row, k);
        object = Math.max(object, score);
        loss += (score - objectB * b.at(row, k)) ** 2;
      }
      if (object < leastObject) continue;
      const [x, y, w, h] = [0, 1, 2, 3].map((i) => a.at(row, i));
      const extents = head.box === "xyxy" ? [w - x, h - y] : [w, h];
      for (let i = 0; i < 4; i++)
        loss += object * ((a.at(row, i) - b.at(row, i)) / (extents[i % 2] || 1)) ** 2;
    }
    return loss;
  },

  cpp: (heads) => ({
    comment: [
      ...(heads.some(({ scores }) => scores)
        ? ["Scores of classes are in a blob of their own, a row or column for each box."]
        : []),
      "The blob has for every box: x y w h of its centre and size (or x0 y0 x1 y1 where is_corners), objectness where",
      "has_objectness, a score a class, to be multiplied with objectness. No activation follows. Values of a box are",
      "in a row, or in a column where is_columns; in pixels of the network's input, or parts of it where is_parts.",
    ],
    members: [
      "const char* blob;",
      ...(heads.some(({ scores }) => scores) ? ["const char* scores_blob;"] : []),
      "bool is_corners;",
      "bool has_objectness;",
      "bool is_columns;",
      "bool is_parts;",
    ],
    rows: heads.map(
      ({ blob, scores, box, objectness, layout, unit }) =>
        `{${quote(blob)}, ${scores ? `${quote(scores)}, ` : ""}${box === "xyxy"}, ${objectness}, ${layout === "columns"}, ${unit === "parts"}}`,
    ),
  }),

  seesAll: true,
  recognise: (view) => (isPlain(view) ? recogniseTable(view) : recogniseApart(view)),
});

/** Boxes with scores behind. */
function recogniseTable(view: HeadView): Recognition<BoxesHead> | undefined {
  const [table, ...more] = view.tables;
  const [first] = view.pieces;
  if (!first || more.length) return undefined;
  const scores = scoresOf(view, first);
  if (!scores) return undefined;
  const form = formOfAll(view, table.blob, view.pieces);
  if (!form) {
    return {
      near: `${table.blob} has ${table.columns} values a box with scores behind, but the first four are neither centre and size nor corners in pixels`,
    };
  }
  const head: BoxesHead = {
    ...{ kind: "boxes", blob: table.blob, layout: layoutOf(table), ...form },
    ...{ objectness: scores.objectness, stride: strideOf(view) },
  };
  const family = scores.objectness ? "yolov5" : "ultralytics";
  return { heads: [head], classes: scores.classes, family, notes: [], isWhole: true };
}

/** An output of boxes, and one of their scores: σ of classes, times σ of objectness or not. */
function recogniseApart(view: HeadView): Recognition<BoxesHead> | undefined {
  const [scores, more] = view.tables;
  const [table, others] = view.computed;
  if (!scores || !table || more || others || table.rows !== scores.rows || table.columns !== 4)
    return undefined;
  const isScored = view.pieces.every(
    ({ columns, anchors }) =>
      anchors === 1 && columns.every(({ origin }) => origin === "sigmoid" || origin === "product"),
  );
  if (!isScored || (scores.columns > 1 && layoutOf(scores) !== layoutOf(table))) return undefined;
  const form = formOfAll(view, table.blob, view.pieces);
  if (!form) {
    return {
      near: `${table.blob} has four values for each row of scores, but they are neither centre and size nor corners in pixels`,
    };
  }
  const head: BoxesHead = {
    ...{ kind: "boxes", blob: table.blob, scores: scores.blob, layout: layoutOf(table), ...form },
    ...{ objectness: false, stride: strideOf(view) },
  };
  return { heads: [head], classes: scores.columns, family: "yolov5", notes: [], isWhole: true };
}

const strideOf = (view: HeadView): number => Math.max(...view.pieces.map(({ stride }) => gridStride(stride)));

const layoutOf = ({ isRowMajor }: OutputTable): BoxesHead["layout"] => (isRowMajor ? "rows" : "columns");

function accessOf(
  head: BoxesHead,
  [output, scores = output]: readonly Tensor[],
  classes: number,
): { rows: number; at(row: number, value: number): number; indexOf(row: number, value: number): number } {
  const [count, scoreCount = count] = countsOf(head, classes);
  const rows = output.data.length / count;
  const apart = head.scores ? firstScore(head) : Number.POSITIVE_INFINITY;
  const indexOf = (row: number, value: number): number => {
    const [at, values] = value < apart ? [value, count] : [value - apart, scoreCount];
    return head.layout === "rows" ? row * values + at : at * rows + row;
  };
  const at = (row: number, value: number): number =>
    (value < apart ? output : scores).data[indexOf(row, value)];
  return { rows, indexOf, at };
}

/** Whether objectness stands before the class scores. It does where it is σ of another convolution, or of the same one's fifth channel. */
function scoresOf(view: HeadView, piece: Piece): { objectness: boolean; classes: number } | undefined {
  const count = piece.columns.length;
  if (piece.columns.slice(0, 4).some(({ origin }) => origin !== "other")) return undefined;
  const [fifth, rest] = [channelsOf(piece, 4, 1, "sigmoid"), channelsOf(piece, 5, count - 5, "sigmoid")];
  // YOLOv6 puts a 1 there.
  if (!fifth && rest && isConstant(view, piece, 4, 1)) return { objectness: true, classes: count - 5 };
  if (!fifth) return undefined;
  if (count === 5) return { objectness: false, classes: 1 };
  if (!rest) return undefined;
  const isAlone = fifth.source !== rest.source;
  const isAnchored = fifth.source.channels % count === 0 && fifth.channel % count === 4;
  if (isAlone || isAnchored) return { objectness: true, classes: count - 5 };
  const isClass = fifth.source.channels === count - 4 && fifth.channel === 0;
  return isClass ? { objectness: false, classes: count - 4 } : undefined;
}

type Form = Pick<BoxesHead, "box" | "unit">;

/** What the first four values of an output are in all pieces. */
function formOfAll(view: HeadView, output: string, pieces: readonly Piece[]): Form | undefined {
  const [form, ...more] = pieces.map((piece) => formOf(view, { ...piece, output }));
  return more.every((each) => each?.box === form?.box && each?.unit === form?.unit) ? form : undefined;
}

/** What the first four values are, by how they change from cell to cell where all logits are 0. */
function formOf(view: HeadView, piece: Piece): Form | undefined {
  const { gridWidth, gridHeight, stride } = piece;
  if (gridWidth < 2 || gridHeight < 2) return undefined;
  const probe = view.zero();
  const at = (cell: number): number[] => [0, 1, 2, 3].map((i) => numberAt(probe, piece, cell, i));
  const origin = at(0);
  const steps = (cell: number): number[] => at(cell).map((value, i) => value - origin[i]);
  const [right, down] = [steps(1), steps(gridWidth)];
  for (const unit of ["pixels", "parts"] as const) {
    const [x, y] = unit === "pixels" ? [stride, stride] : [stride / view.width, stride / view.height];
    const isLike = (list: number[], expected: number[]): boolean =>
      list.every((value, i) => isNear(value / Math.min(x, y), expected[i] / Math.min(x, y)));
    if (isLike(right, [x, 0, 0, 0]) && isLike(down, [0, y, 0, 0]) && origin[2] >= 0 && origin[3] >= 0) {
      return { box: "cxcywh", unit };
    }
    if (isLike(right, [x, 0, x, 0]) && isLike(down, [0, y, 0, y]) && origin[2] >= origin[0]) {
      return { box: "xyxy", unit };
    }
  }
  return undefined;
}
