/** Boxes that the network has decoded, one for every place that it looks at, of which overlapping ones are still to be dropped. */
import * as z from "zod/mini";
import { add, div, type Formula, mul, type RowView, sub, sumOf } from "../base/formula.ts";
import { elementCount, formatShape, type Tensor } from "../ir/tensor.ts";
import { describeAngle } from "./_angles.ts";
import { decodedOutputs, isConstant } from "./_decoded.ts";
import { type Extras, extrasOf } from "./_extras.ts";
import {
  cppPrototypes,
  describeMask,
  maskFormula,
  prototypesProblem,
  prototypesSchema,
  prototypeValues,
  relativeError,
  type SharedPrototypes,
} from "./_masks.ts";
import { gridStride, type ScoreSource, visitScores } from "./_planes.ts";
import { describePoints, pointFields, pointStep } from "./_points.ts";
import type { CandidateParts, DecodeOptions } from "./candidates.ts";
import { quote } from "./cpp.ts";
import {
  blobName,
  defineHead,
  extent,
  type HeadValues,
  leastObject,
  leastScore,
  type PartName,
} from "./kind.ts";
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
 * Blob `[rows, values]` or `[values, rows]` with, for every row: a box, perhaps objectness, a score for every class; then points, mask
 * coefficients or an angle, where there are some. Scores may be in a blob of their own with as many rows.
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
  /** `x y` for each, in the unit of the box, or `x y` and 0..1 for how surely it is seen. */
  points?: { count: number; visibility?: boolean };
  mask?: SharedPrototypes;
  /** The last value is the angle in radians by which the box is turned about its middle. */
  angle?: boolean;
}

/** Where the scores of classes begin among all values. */
const firstScore = ({ objectness }: BoxesHead): number => 4 + Number(objectness);

/** Values behind box and scores. */
const extraCount = ({ points, mask, angle }: BoxesHead): number =>
  (points ? pointStep(points) * points.count : 0) + (mask?.count ?? 0) + Number(angle ?? false);

/** Values of a row in each blob. */
const countsOf = (head: BoxesHead, classes: number): number[] =>
  head.scores
    ? [firstScore(head) + extraCount(head), classes]
    : [firstScore(head) + classes + extraCount(head)];

/** Columns of the blob where points, mask coefficients and the angle begin. */
function extraColumns(head: BoxesHead, classes: number): { points: number; mask: number; angle: number } {
  const points = firstScore(head) + (head.scores ? 0 : classes);
  const mask = points + (head.points ? pointStep(head.points) * head.points.count : 0);
  return { points, mask, angle: mask + (head.mask?.count ?? 0) };
}

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
    points: z.optional(z.strictObject({ count: pointFields.count, visibility: pointFields.visibility })),
    mask: prototypesSchema,
    angle: z.optional(z.boolean()),
  }),
  needsNms: () => true,
  blobs: ({ blob, scores, mask }) => [blob, ...(scores ? [scores] : []), ...(mask ? [mask.prototypes] : [])],
  stride: ({ stride }) => stride,
  describe: ({ box, unit, objectness, points, mask, angle }) =>
    `${box} in ${unit === "pixels" ? "pixels" : "parts of the input"}, ${objectness ? "objectness and " : ""}class scores${describePoints(points)}${describeMask(mask)}${describeAngle(angle)}`,

  problem(head, all, facts) {
    const { classes } = facts;
    const counts = countsOf(head, classes);
    const shapes = all.slice(0, counts.length);
    const rows = shapes.map((shape, i) => elementCount(shape) / counts[i]);
    const wrong = shapes.findIndex((shape, i) => {
      const dims = shape.filter((extent) => extent > 1);
      const found = (head.layout === "rows" ? dims[dims.length - 1] : dims[0]) ?? 1;
      return (found !== counts[i] && counts[i] > 1) || rows[i] !== rows[0];
    });
    if (wrong < 0) return prototypesProblem(head.mask, all[counts.length], facts);
    const others = counts[wrong] - classes;
    const sum = wrong === 0 && head.scores ? "" : ` (${others ? `${others} + ` : ""}${classes} labels)`;
    return `output is ${formatShape(shapes[wrong])} (w x h x c), expected ${counts[wrong]} values a box${sum} as ${head.layout}`;
  },

  decode(head, outputs, classes, options, out) {
    const access = accessOf(head, outputs, classes);
    const { at, scoreAt } = access;
    const [sx, sy] = head.unit === "parts" ? [options.width, options.height] : [1, 1];
    const scoreOf = (row: number, k: number): number => scoreAt(row, k) * (head.objectness ? at(row, 4) : 1);
    const columns = extraColumns(head, classes);
    const { points, mask, angle } = head;
    const partsAt = (row: number): CandidateParts | undefined => {
      if (!extraCount(head)) return undefined;
      const value = (i: number): number => at(row, i);
      return {
        ...(points && { points: pointsAt(points, (i) => value(columns.points + i), sx, sy) }),
        ...(mask && {
          mask: {
            coefficients: Float64Array.from({ length: mask.count }, (_, i) => value(columns.mask + i)),
            prototypes: outputs[head.scores ? 2 : 1],
            // Boxes with objectness and a mask are YOLOv5's.
            ...(head.objectness && { probabilities: true }),
          },
        }),
        ...(angle && { angle: value(columns.angle) }),
      };
    };
    const source = scoreSource(head, outputs, access, classes, options);
    visitScores(source, classes, options, scoreOf, (row, k, score) => {
      const [a, b, c, d] = [at(row, 0) * sx, at(row, 1) * sy, at(row, 2) * sx, at(row, 3) * sy];
      const parts = partsAt(row);
      if (Number.isNaN(a + b + c + d + (parts?.angle ?? 0))) return;
      if (head.box === "xyxy") out.add(a, b, c, d, score, k, parts);
      else out.add(a - c / 2, b - d / 2, a + c / 2, b + d / 2, score, k, parts);
    });
  },

  formulas(head, shapes, facts) {
    const { classes, width, height } = facts;
    const { points, mask, angle, objectness } = head;
    const columns = extraColumns(head, classes);
    const [behindBox, apart] = countsOf(head, classes);
    const rows = elementCount(shapes[0]) / behindBox;
    const viewOf = (blob: string, values: number): RowView => ({
      ...{ blob, first: 0 },
      ...(head.layout === "rows"
        ? { rowStride: values, valueStride: 1 }
        : { rowStride: 1, valueStride: rows }),
    });
    const [sx, sy] = head.unit === "parts" ? [width, height] : [1, 1];
    const [a, b, c, d] = [sx, sy, sx, sy].map((scale, value): Formula => mul({ view: 0, value }, scale));
    const [halfWidth, halfHeight] = [div(c, 2), div(d, 2)];
    const turn: Formula[] = angle ? [{ view: 0, value: columns.angle }] : [];
    return [
      {
        ...{ rows, columns: rows },
        views: [viewOf(head.blob, behindBox), ...(head.scores ? [viewOf(head.scores, apart)] : [])],
        classes: {
          ...(head.scores ? { view: 1, from: 0 } : { view: 0, from: firstScore(head) }),
          count: classes,
        },
        ...(objectness && { most: { view: 0, value: 4 } }),
        score: objectness ? mul("class", { view: 0, value: 4 }) : "class",
        box:
          head.box === "xyxy"
            ? [a, b, c, d]
            : [sub(a, halfWidth), sub(b, halfHeight), add(a, halfWidth), add(b, halfHeight)],
        sound: sumOf([a, b, c, d, ...turn]),
        every: false,
        ...(points && {
          points: {
            ...{ view: 0, from: columns.points, step: pointStep(points), count: points.count },
            place: [mul({ point: 0 }, sx), mul({ point: 1 }, sy)],
            ...(points.visibility && { seen: { point: 2 } }),
          },
        }),
        // Boxes with objectness and a mask are YOLOv5's.
        ...maskFormula(mask, 0, columns.mask, objectness),
        ...(angle && { angle: turn[0] }),
      },
    ];
  },

  values(head, shapes, classes) {
    const { blob, scores, layout, objectness, points, mask, angle } = head;
    const isLong = (extent: number): boolean => extent > 1;
    const [axis, scoreAxis = axis] = shapes
      .slice(0, scores ? 2 : 1)
      .map((shape) => (layout === "rows" ? shape.findLastIndex(isLong) : shape.findIndex(isLong)));
    const from = scores ? 0 : firstScore(head);
    const columns = extraColumns(head, classes);
    const extra = (part: PartName, column: number, count: number): HeadValues[] =>
      count ? [{ part, blob, axis, from: column, count }] : [];
    return [
      { part: "box", blob, axis, from: 0, count: 4 },
      ...extra("objectness", 4, Number(objectness)),
      { part: "class", blob: scores ?? blob, axis: scoreAxis, from, count: classes },
      ...extra("points", columns.points, points ? columns.mask - columns.points : 0),
      ...extra("mask", columns.mask, mask?.count ?? 0),
      ...prototypeValues(mask),
      ...extra("angle", columns.angle, Number(angle ?? false)),
    ];
  },

  importance(head, outputs, classes) {
    const { at, scoreAt, indexOf, scoreIndexOf, rows } = accessOf(head, outputs, classes);
    const weights = outputs.slice(0, head.scores ? 2 : 1).map(({ data }) => new Float32Array(data.length));
    const [behindBox, scores = behindBox] = weights;
    for (let row = 0; row < rows; row++) {
      const objectness = head.objectness ? at(row, 4) : 1;
      for (let k = 0; k < classes; k++) {
        const score = objectness * scoreAt(row, k);
        if (!(score >= leastScore)) continue;
        scores[scoreIndexOf(row, k)] = score;
        const object = indexOf(row, 4);
        if (head.objectness) behindBox[object] = Math.max(behindBox[object], score);
      }
    }
    return head.mask ? [...weights, undefined] : weights;
  },

  loss(head, float, int8, classes) {
    const [a, b] = [accessOf(head, float, classes), accessOf(head, int8, classes)];
    const extraError = extraErrors(head, float, int8, classes);
    let loss = 0;
    for (let row = 0; row < a.rows; row++) {
      const [objectA, objectB] = head.objectness ? [a.at(row, 4), b.at(row, 4)] : [1, 1];
      let object = 0;
      for (let k = 0; k < classes; k++) {
        const score = objectA * a.scoreAt(row, k);
        object = Math.max(object, score);
        loss += (score - objectB * b.scoreAt(row, k)) ** 2;
      }
      if (object < leastObject) continue;
      const [x, y, w, h] = [0, 1, 2, 3].map((i) => a.at(row, i));
      const extents = head.box === "xyxy" ? [w - x, h - y] : [w, h];
      for (let i = 0; i < 4; i++)
        loss += object * ((a.at(row, i) - b.at(row, i)) / (extents[i % 2] || 1)) ** 2;
      loss += object * extraError(row, extents[0] + extents[1] || 1);
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
      ...withPoints(heads, [
        "Behind them stand num_points points: x y, and the probability that it is seen where has_visibility.",
      ]),
      ...cppPrototypes.comment(heads, "Behind them stand num_masks mask coefficients:"),
      ...withAngles(heads, [
        "The last value is the angle in radians by which the box is turned about its middle, from the x axis towards the y",
        "axis, which points down.",
      ]),
    ],
    members: [
      "const char* blob;",
      ...(heads.some(({ scores }) => scores) ? ["const char* scores_blob;"] : []),
      "bool is_corners;",
      "bool has_objectness;",
      "bool is_columns;",
      "bool is_parts;",
      ...withPoints(heads, ["int num_points;", "bool has_visibility;"]),
      ...cppPrototypes.members(heads),
    ],
    rows: heads.map(({ blob, scores, box, objectness, layout, unit, points, mask }) => {
      const found = withPoints(heads, [`, ${points?.count ?? 0}, ${points?.visibility === true}`]).join();
      return `{${quote(blob)}, ${scores ? `${quote(scores)}, ` : ""}${box === "xyxy"}, ${objectness}, ${layout === "columns"}, ${unit === "parts"}${found}${cppPrototypes.fields(heads, mask)}}`;
    }),
  }),

  seesAll: true,
  recognise: (view) => recogniseExtras(view) ?? (isPlain(view) ? recogniseTable(view) : recogniseApart(view)),
});

const withPoints = (heads: readonly BoxesHead[], lines: string[]): string[] =>
  heads.some(({ points }) => points) ? lines : [];
const withAngles = (heads: readonly BoxesHead[], lines: string[]): string[] =>
  heads.some(({ angle }) => angle) ? lines : [];

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

/** Boxes with scores, and points, mask coefficients or an angle behind them. */
function recogniseExtras(view: HeadView): Recognition<BoxesHead> | undefined {
  const decoded = decodedOutputs(view);
  const [table, ...more] = view.tables;
  if (!decoded?.pieces[0].extras.length || decoded.pieces[0].objectness || more.length) return undefined;
  const { pieces, planes } = decoded;
  const all = pieces.map((piece) => extrasOf(view, piece, planes));
  const near = all.find((each) => "near" in each);
  if (near) return near as { near: string };
  const [{ points, mask, angle }] = all as Extras[];
  const form = formOfAll(view, table.blob, view.pieces);
  if (!form) return undefined;
  const { count, visibility } = points ?? {};
  const head: BoxesHead = {
    ...{ kind: "boxes", blob: table.blob, layout: layoutOf(table), ...form },
    ...{ objectness: false, stride: strideOf(view) },
    ...(count && { points: { count, ...(visibility && { visibility }) } }),
    ...(mask && { mask: { prototypes: mask.prototypes, count: mask.count } }),
    ...(angle && { angle: true }),
  };
  return { heads: [head], classes: pieces[0].classes, family: "ultralytics", notes: [], isWhole: true };
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

interface Access {
  readonly rows: number;
  /** Of the values of the blob. */
  at(row: number, value: number): number;
  indexOf(row: number, value: number): number;
  scoreAt(row: number, classId: number): number;
  scoreIndexOf(row: number, classId: number): number;
}

function accessOf(head: BoxesHead, outputs: readonly Tensor[], classes: number): Access {
  const [count, scoreCount = count] = countsOf(head, classes);
  const [output, scores] = head.scores ? outputs : [outputs[0], outputs[0]];
  const rows = output.data.length / count;
  const first = head.scores ? 0 : firstScore(head);
  const place = (row: number, value: number, values: number): number =>
    head.layout === "rows" ? row * values + value : value * rows + row;
  const indexOf = (row: number, value: number): number => place(row, value, count);
  const scoreIndexOf = (row: number, k: number): number => place(row, first + k, scoreCount);
  return {
    ...{ rows, indexOf, scoreIndexOf },
    at: (row, value) => output.data[indexOf(row, value)],
    scoreAt: (row, k) => scores.data[scoreIndexOf(row, k)],
  };
}

/** Rows count, as YOLOv5 has it, if objectness is above the least score; without it, if a score is. */
function scoreSource(
  head: BoxesHead,
  outputs: readonly Tensor[],
  { indexOf, scoreIndexOf, rows }: Access,
  classes: number,
  { confidence }: DecodeOptions,
): ScoreSource {
  const { data } = head.objectness || !head.scores ? outputs[0] : outputs[1];
  const columns = head.objectness ? 1 : classes;
  const place = (row: number, k: number): number =>
    head.objectness ? indexOf(row, 4) : scoreIndexOf(row, k);
  const first = place(0, 0);
  const [rowStride, columnStride] = [place(1, 0) - first, head.objectness ? 1 : place(0, 1) - first];
  return { data, grid: { first, rows, columns, rowStride, columnStride }, least: confidence };
}

/** `x y score` of the points of a row; nothing where one is no number. */
function pointsAt(
  points: NonNullable<BoxesHead["points"]>,
  value: (i: number) => number,
  scaleX: number,
  scaleY: number,
): Float64Array | undefined {
  const step = pointStep(points);
  const list = new Float64Array(3 * points.count);
  for (let i = 0; i < points.count; i++) {
    const [x, y] = [value(step * i) * scaleX, value(step * i + 1) * scaleY];
    if (Number.isNaN(x + y)) return undefined;
    list.set([x, y, points.visibility ? value(step * i + 2) : Number.NaN], 3 * i);
  }
  return list;
}

/** How far points, mask and angle of a row are wrong: about 1 where they wholly are. `unit` is the box's width and height together. */
function extraErrors(
  head: BoxesHead,
  float: readonly Tensor[],
  int8: readonly Tensor[],
  classes: number,
): (row: number, unit: number) => number {
  const { points, mask, angle } = head;
  const [a, b] = [accessOf(head, float, classes), accessOf(head, int8, classes)];
  const columns = extraColumns(head, classes);
  const last = head.scores ? 2 : 1;
  const shared = mask ? relativeError(float[last], int8[last], 0, float[last].data.length) : 0;
  const step = points && pointStep(points);
  return (row, unit) => {
    let error = shared;
    for (let i = columns.points; step && i < columns.mask; i++) {
      const isSeen = (i - columns.points) % step === 2;
      error += ((a.at(row, i) - b.at(row, i)) / (isSeen ? 1 : unit)) ** 2 / (columns.mask - columns.points);
    }
    if (mask) {
      const between = head.layout === "rows" ? 1 : a.rows;
      error += relativeError(float[0], int8[0], a.indexOf(row, columns.mask), mask.count, between);
    }
    return angle ? error + Math.sin(a.at(row, columns.angle) - b.at(row, columns.angle)) ** 2 : error;
  };
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
