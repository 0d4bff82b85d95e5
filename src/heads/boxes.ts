/** Boxes that the network has decoded, one for every place that it looks at, of which overlapping ones are still to be dropped. */
import * as z from "zod/mini";
import { formatShape, type Tensor } from "../ir/tensor.ts";
import { isConstant } from "./_decoded.ts";
import { visitScores } from "./_planes.ts";
import { quote } from "./cpp.ts";
import { blobName, defineHead, extent, leastObject, leastScore } from "./kind.ts";
import type { HeadView, OutputTable, Piece } from "./view.ts";
import { channelsOf, isNear, numberAt } from "./view.ts";

/** Blob `[rows, values]` or `[values, rows]` with, for every row: a box, perhaps objectness, a score for every class. */
export interface BoxesHead {
  kind: "boxes";
  blob: string;
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

const valuesOf = ({ objectness }: BoxesHead, classes: number): number => 4 + Number(objectness) + classes;

export const boxes = defineHead<BoxesHead>({
  kind: "boxes",
  title: "decoded boxes",
  schema: z.strictObject({
    kind: z.literal("boxes"),
    blob: blobName,
    layout: z.enum(["rows", "columns"]),
    box: z.enum(["cxcywh", "xyxy"]),
    unit: z.enum(["pixels", "parts"]),
    objectness: z.boolean(),
    stride: extent,
  }),
  needsNms: () => true,
  blobs: ({ blob }) => [blob],
  stride: ({ stride }) => stride,
  describe: ({ box, unit, objectness }) =>
    `${box} in ${unit === "pixels" ? "pixels" : "parts of the input"}, ${objectness ? "objectness and " : ""}class scores`,

  problem(head, [shape], { classes }) {
    const dims = shape.filter((extent) => extent > 1);
    const values = valuesOf(head, classes);
    const found = head.layout === "rows" ? dims[dims.length - 1] : dims[0];
    if (found === values) return undefined;
    return `output is ${formatShape(shape)} (w x h x c), expected ${values} values a box (${values - classes} + ${classes} labels) as ${head.layout}`;
  },

  decode(head, [output], classes, options, out) {
    const { at, rows } = accessOf(head, output, classes);
    const first = 4 + Number(head.objectness);
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

  values(head, [shape], classes) {
    const { blob, layout, objectness } = head;
    const isLong = (extent: number): boolean => extent > 1;
    const axis = layout === "rows" ? shape.findLastIndex(isLong) : shape.findIndex(isLong);
    const first = 4 + Number(objectness);
    return [
      { part: "box", blob, axis, from: 0, count: 4 },
      ...(objectness ? [{ part: "objectness" as const, blob, axis, from: 4, count: 1 }] : []),
      { part: "class", blob, axis, from: first, count: classes },
    ];
  },

  importance(head, [output], classes) {
    const { at, indexOf, rows } = accessOf(head, output, classes);
    const first = 4 + Number(head.objectness);
    const weights = new Float32Array(output.data.length);
    for (let row = 0; row < rows; row++) {
      const objectness = head.objectness ? at(row, 4) : 1;
      for (let k = 0; k < classes; k++) {
        const score = objectness * at(row, first + k);
        if (!(score >= leastScore)) continue;
        weights[indexOf(row, first + k)] = score;
        if (head.objectness) weights[indexOf(row, 4)] = Math.max(weights[indexOf(row, 4)], score);
      }
    }
    return [weights];
  },

  loss(head, [float], [int8], classes) {
    const [a, b] = [accessOf(head, float, classes), accessOf(head, int8, classes)];
    const first = 4 + Number(head.objectness);
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
      "The blob has for every box: x y w h of its centre and size (or x0 y0 x1 y1 where is_corners), objectness where",
      "has_objectness, a score a class, to be multiplied with objectness. No activation follows. Values of a box are",
      "in a row, or in a column where is_columns; in pixels of the network's input, or parts of it where is_parts.",
    ],
    members: [
      "const char* blob;",
      "bool is_corners;",
      "bool has_objectness;",
      "bool is_columns;",
      "bool is_parts;",
    ],
    rows: heads.map(
      ({ blob, box, objectness, layout, unit }) =>
        `{${quote(blob)}, ${box === "xyxy"}, ${objectness}, ${layout === "columns"}, ${unit === "parts"}}`,
    ),
  }),

  recognise(view) {
    const [table, ...more] = view.tables;
    const [first] = view.pieces;
    if (!first || more.length) return undefined;
    const scores = scoresOf(view, first);
    if (!scores) return undefined;
    const forms = view.pieces.map((piece) => formOf(view, piece));
    const [form] = forms;
    if (!form || forms.some((each) => each?.box !== form.box || each.unit !== form.unit)) {
      return {
        near: `${table.blob} has ${table.columns} values a box with scores behind, but the first four are neither centre and size nor corners in pixels`,
      };
    }
    const stride = Math.max(...view.pieces.map((piece) => Math.min(piece.stride, 32)));
    const head: BoxesHead = {
      ...{ kind: "boxes", blob: table.blob, layout: layoutOf(table) },
      ...{ ...form, objectness: scores.objectness, stride },
    };
    const family = scores.objectness ? "yolov5" : "ultralytics";
    return { heads: [head], classes: scores.classes, family, notes: [], isWhole: true };
  },
});

const layoutOf = ({ isRowMajor }: OutputTable): BoxesHead["layout"] => (isRowMajor ? "rows" : "columns");

function accessOf(
  head: BoxesHead,
  { data }: Tensor,
  classes: number,
): { rows: number; at(row: number, value: number): number; indexOf(row: number, value: number): number } {
  const values = valuesOf(head, classes);
  const rows = data.length / values;
  const indexOf = (row: number, value: number): number =>
    head.layout === "rows" ? row * values + value : value * rows + row;
  return { rows, indexOf, at: (row, value) => data[indexOf(row, value)] };
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

/** What the first four values are, by how they change from cell to cell where all logits are 0. */
function formOf(view: HeadView, piece: Piece): Pick<BoxesHead, "box" | "unit"> | undefined {
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
