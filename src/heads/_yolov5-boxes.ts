/** Boxes with anchors whose formula is in the graph. */

import { fitTo } from "../base/fit.ts";
import { sigmoid } from "../base/maths.ts";
import {
  boxValues,
  type Formula,
  headsOf,
  type Level,
  type Logits,
  type Result,
  type Yolov5Head,
} from "./_anchor-levels.ts";
import { isPlane } from "./_decoded.ts";
import type { SharedPrototypes } from "./_masks.ts";
import type { Recognition, RecognitionFacts } from "./recognition.ts";
import {
  type Channel,
  type Column,
  type HeadSource,
  type HeadView,
  numberAt,
  type Piece,
  sampleCells,
} from "./view.ts";

/** `left` are outputs that no piece has. */
export function recogniseBoxes(
  view: HeadView,
  facts: RecognitionFacts,
  pieces: readonly Piece[],
  logits: readonly (Logits | undefined)[],
  left: readonly string[],
): Recognition<Yolov5Head> | undefined {
  const levels = new Map<HeadSource, { scores: Scores; formula: Formula }[]>();
  let mask: SharedPrototypes | undefined;
  for (const piece of pieces) {
    const scores = scoresOf(piece);
    if (!scores || "near" in scores) return scores;
    const { source, extra } = scores;
    if (extra) {
      const found = prototypesFor(view, extra, left);
      if ("near" in found) return found;
      mask = found;
    }
    const formula = formulaOf(view, piece, scores);
    if ("near" in formula) return formula;
    levels.set(source, [...(levels.get(source) ?? []), { scores, formula }]);
  }
  const found: Level[] = [];
  for (const [source, rows] of levels) {
    rows.sort((a, b) => a.scores.first - b.scores.first);
    const [{ scores, formula }] = rows;
    const isWhole =
      rows.length * scores.values === source.channels &&
      rows.every((row, i) => row.scores.first === i * scores.values && isAlike(row.formula, formula));
    if (!isWhole)
      return { near: `boxes at stride ${source.stride} are not those of all anchors of ${source.blob}` };
    const anchors = rows.flatMap((row) => row.formula.anchors);
    const { classes } = scores;
    found.push({ source, anchorCount: rows.length, classes, formula: { ...formula, anchors } });
  }
  // Logits beside the boxes are outputs of the same heads.
  const others = logits.filter((each) => each && !levels.has(each.source));
  const more = left.filter((blob) => blob !== mask?.prototypes);
  if (others.length || more.length || found.some(({ classes }) => classes !== found[0].classes)) {
    return { near: "outputs do not come from the recognised heads alone" };
  }
  // Those of darknet's cfg files; PyTorch's own have boxes in pixels, and the pre-processing of YOLOv5.
  const isDarknet = found.some(
    ({ formula }) => formula?.size === "exp" && formula.unit === "parts of the input",
  );
  const family = isDarknet ? (found[0].formula?.centerScale === 1 ? "yolov3" : "yolov4") : undefined;
  const { heads, ...rest } = headsOf(found, facts.anchors);
  const masked = heads.map((head) => (mask ? { ...head, mask } : head));
  return { heads: masked, ...rest, ...(family && { family }), notes: [] };
}

/** The output whose planes belong to coefficients behind the classes of each box, as YOLOv5's segmentation models have them. */
function prototypesFor(
  view: HeadView,
  count: number,
  left: readonly string[],
): SharedPrototypes | { readonly near: string; readonly isSure: true } {
  const planes = view.computed.filter(
    (table) => left.includes(table.blob) && isPlane(view, table) && table.shape[0] === count,
  );
  if (planes.length === 1) return { prototypes: planes[0].blob, count };
  return {
    near: `this is a YOLOv5 segmentation model (${count} mask coefficients stand behind the classes of each box), but no output has the ${count} prototypes that they belong to: export them too`,
    isSure: true,
  };
}

const isAlike = (a: Formula, b: Formula): boolean =>
  a.centerScale === b.centerScale && a.size === b.size && a.unit === b.unit;

interface Scores {
  readonly source: HeadSource;
  /** Channel of x, where those of the anchor begin. */
  readonly first: number;
  readonly values: number;
  readonly classes: number;
  /** Values behind the classes. */
  readonly extra: number;
}

/** Whose scores stand in the columns of a piece: σ of objectness and classes, or their products. Nothing where there are none. */
function scoresOf(piece: Piece): Result<Scores> | undefined {
  const scored = piece.columns.filter(({ origin }) => origin === "sigmoid" || origin === "product");
  const known = piece.columns.flatMap((column) => (column.origin === "other" ? [] : [column]));
  const [score] = scored as readonly (Column & Channel)[];
  if (!score || known.some(({ source }) => source !== score.source)) return undefined;
  const { source } = score;
  const products = known.flatMap((column) => (column.origin === "product" ? [column] : []));
  const sigmoids = known.flatMap(({ origin, channel }) => (origin === "sigmoid" ? [channel] : []));
  const objectness = products[0]?.by.channel ?? Math.min(...sigmoids);
  if (products.some(({ by }) => by.source !== source || by.channel !== objectness)) return undefined;
  const classes = [
    ...sigmoids.filter((channel) => channel !== objectness),
    ...products.map(({ channel }) => channel),
  ];
  const first = objectness - 4;
  const more = known.flatMap(({ origin, channel }) => (origin === "raw" ? [channel] : []));
  const behind = new Set(more.filter((channel) => channel > objectness + classes.length)).size;
  const values = boxValues + classes.length + behind;
  if (first < 0 || source.channels % values || first % values) {
    const isOfAnchors = source.channels % (values + 1) === 0 && classes.length > 0;
    return isOfAnchors ? { near: "objectness is not σ(t)" } : undefined;
  }
  if (classes.length === 0) return { near: "there are no class scores" };
  if (classes.some((channel, k) => channel !== objectness + 1 + k))
    return { near: "classes are not in order" };
  return { source, first, values, classes: classes.length, extra: behind };
}

/** A column as a function of x, y, w or h (0 to 3). */
interface BoxColumn {
  readonly column: number;
  readonly center?: {
    readonly axis: number;
    readonly slope: number;
    readonly offset: number;
    readonly step: readonly number[];
  };
  readonly size?: { readonly axis: number; readonly form: "square" | "exp"; readonly factor: number };
}

/** More than a formula has unknowns. */
const leastSamples = 12;
/** Of what graphs compute in float32. */
const tolerance = 2e-5;

/** How the other columns of a piece are made from the first four values of its anchor. */
function formulaOf(view: HeadView, piece: Piece, { source, first }: Scores): Result<Formula> {
  const columns = piece.columns.flatMap(({ origin }, i) => (origin === "other" ? [i] : []));
  if (columns.length !== 4)
    return { near: `${columns.length} numbers stand with the scores of a box, expected 4` };
  const cells = sampleCells(piece);
  const seeds = Array.from({ length: Math.ceil(leastSamples / cells.length) }, (_, seed) => seed);
  const samples = seeds.flatMap((seed) => cells.map((cell) => ({ probe: view.probe(seed), cell })));
  const t = [0, 1, 2, 3].map((i) => samples.map(({ probe, cell }) => probe.source(source, first + i, cell)));
  const grid = [
    samples.map(({ cell }) => cell % piece.gridWidth),
    samples.map(({ cell }) => Math.floor(cell / piece.gridWidth)),
  ];
  const found = columns.map((column) => {
    const numbers = samples.map(({ probe, cell }) => numberAt(probe, piece, cell, column));
    return { ...fitColumn(numbers, t, grid), column };
  });
  return judge(found, piece, view);
}

type Numbers = readonly number[];
const sigmoids = (list: Numbers): number[] => list.map(sigmoid);
const forms = {
  square: (list: Numbers): number[] => sigmoids(list).map((v) => v * v),
  exp: (list: Numbers): number[] => list.map(Math.exp),
} as const;

/** What one column is: a size, a centre, or a corner, which is both. */
function fitColumn(
  numbers: Numbers,
  t: readonly Numbers[],
  grid: readonly Numbers[],
): Omit<BoxColumn, "column"> {
  for (const axis of [0, 1]) {
    for (const form of ["square", "exp"] as const) {
      const factor = fitTo(numbers, [forms[form](t[2 + axis])], tolerance)?.[0];
      if (factor) return { size: { axis, form, factor } };
    }
  }
  // Axes of one cell say nothing.
  const axes = grid.filter((list) => list.some((v) => v !== list[0]));
  const stepOf = (fit: Numbers): number[] =>
    grid.map((list) => (axes.includes(list) ? fit[2 + axes.indexOf(list)] : Number.NaN));
  const ones = numbers.map(() => 1);
  for (const axis of [0, 1]) {
    const terms = [ones, sigmoids(t[axis]), ...axes];
    const fit = fitTo(numbers, terms, tolerance);
    if (fit?.[1]) return { center: { axis, offset: fit[0], slope: fit[1], step: stepOf(fit) } };
    for (const form of ["square", "exp"] as const) {
      const corner = fitTo(numbers, [...terms, forms[form](t[2 + axis])], tolerance);
      const half = corner?.at(-1);
      if (!corner?.[1] || !half) continue;
      const center = { axis, offset: corner[0], slope: corner[1], step: stepOf(corner) };
      return { center, size: { axis, form, factor: 2 * Math.abs(half) } };
    }
  }
  return {};
}

/** Centre and size of one anchor from all columns, or how they differ from what the head knows. */
function judge(columns: readonly BoxColumn[], piece: Piece, view: HeadView): Result<Formula> {
  const { stride } = piece;
  const anchors: number[] = [];
  const found: Omit<Formula, "anchors">[] = [];
  for (const [axis, extent] of [view.width, view.height].entries()) {
    const centers = columns.flatMap(({ center }) => (center?.axis === axis ? [center] : []));
    const sizes = columns.flatMap(({ size }) => (size?.axis === axis ? [size] : []));
    if (sizes.length === 0 || columns.some(({ center, size }) => !center && !size))
      return { near: "centres without sizes of the form (2σ(t))²·anchor or exp(t)·anchor" };
    if (centers.length === 0) return { near: "centres are not computed from σ(t)" };
    const [{ slope, offset }] = centers;
    // The middle of the cell is where σ is a half: slope / 2 + offset = step / 2.
    const step = slope + 2 * offset;
    const unit = unitOf(step / stride, extent, stride);
    const isSame = centers.every(
      (center) =>
        isClose(center.slope, slope) &&
        center.step.every(
          (found, i) => Number.isNaN(found) || Math.abs(found - (i === axis ? step : 0)) <= 2e-3 * step,
        ),
    );
    if (!unit || !isSame || slope <= 0) {
      return {
        near: `a centre is ${number(slope)}·σ(t) + ${number(offset)} at cell 0 of stride ${stride}, expected (s·σ(t) − (s − 1)/2)·${stride}`,
      };
    }
    const [{ form, factor }] = sizes;
    if (sizes.some((size) => size.form !== form || !isClose(size.factor, factor)))
      return { near: "sizes of one box differ" };
    const anchor = factor / unit.scale / (form === "square" ? 4 : 1);
    if (!(anchor > 0 && anchor < 16 * extent)) return { near: `sizes are ${number(factor)}·σ(t)²` };
    anchors.push(tidy(anchor));
    const centerScale = Number((slope / step).toPrecision(4));
    found.push({
      ...(centerScale !== 2 && { centerScale }),
      ...(form === "exp" && { size: form }),
      unit: unit.name,
    });
  }
  const [x, y] = found;
  if (isCrossed(columns)) return { near: "the width comes from the channel of the height" };
  if (x.unit !== y.unit) return { near: `x is in ${x.unit}, y in ${y.unit}` };
  if (x.centerScale !== y.centerScale || x.size !== y.size)
    return { near: "x and y have different formulas" };
  return { ...x, anchors };
}

const isClose = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-3 * Math.abs(b);

/** Whether x stands before y, but the width behind the height, or the other way round. */
function isCrossed(columns: readonly BoxColumn[]): boolean {
  const placeOf = (part: "center" | "size", axis: number): number =>
    columns.find((each) => each[part]?.axis === axis)?.column ?? 0;
  const centers = placeOf("center", 1) - placeOf("center", 0);
  return centers * (placeOf("size", 1) - placeOf("size", 0)) < 0;
}

/** The unit of coordinates that are `scale` times pixels. */
function unitOf(scale: number, extent: number, stride: number): { name: string; scale: number } | undefined {
  const units = [
    { name: "pixels", scale: 1 },
    { name: "parts of the input", scale: 1 / extent },
    { name: "cells", scale: 1 / stride },
  ];
  return units.find((unit) => Math.abs(scale - unit.scale) <= 2e-3 * unit.scale);
}

/** Anchors are written with few digits; what arithmetic in float32 did to them is taken back. */
function tidy(value: number): number {
  const shorter = [2, 3, 4, 5, 6].map((digits) => Number(value.toPrecision(digits)));
  return shorter.find((each) => Math.abs(each - value) <= 1e-5 * value) ?? value;
}
const number = (value: number): string => String(Number(value.toPrecision(4)));
