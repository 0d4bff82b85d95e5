/** Finds heads with anchors in what outputs are made of: boxes whose formula is in the graph, or logits that are known by their layout. */
import { UsageError } from "../base/errors.ts";
import { fitTo } from "../base/fit.ts";
import { joinRows, type Recognition, type RecognitionFacts } from "./recognition.ts";
import {
  type Channel,
  type Column,
  type HeadSource,
  type HeadView,
  numberAt,
  type Piece,
  sampleCells,
} from "./view.ts";

/**
 * Blob `[anchors, gridHeight·gridWidth, 5 + labels]` of logits `x y w h objectness class…`;
 * `center = (s·σ − (s − 1)/2 + cell)·stride` with `s = centerScale`, `size = (2σ)²·anchor` or `exp(t)·anchor`.
 */
export interface Yolov5Head {
  kind: "yolov5";
  blob: string;
  /** Input pixels per grid cell. */
  stride: number;
  /** `w0 h0 w1 h1 …` in input pixels. */
  anchors: number[];
  /** How far centres go beyond their cell: 2 (the default) in YOLOv5, 1 in YOLOv3, between them in YOLOv4. */
  centerScale?: number;
  /** `square`: (2σ)²·anchor (the default); `exp`: exp(t)·anchor, in YOLOv3 and v4. */
  size?: "square" | "exp";
}

/** Anchors in ultralytics/yolov5's model files (v5.0 to v7.0, models/yolov5s.yaml), strides 8, 16, 32. */
const defaultAnchors = [
  [10, 13, 16, 30, 33, 23],
  [30, 61, 62, 45, 59, 119],
  [116, 90, 156, 198, 373, 326],
];

/** Values behind a box before its classes. */
const boxValues = 5;
/** Beyond what any detector has. */
const mostAnchors = 16;

interface Level {
  readonly source: HeadSource;
  readonly anchorCount: number;
  readonly classes: number;
  /** Absent where the outputs are logits, which do not tell. */
  readonly formula?: Formula;
}

type Formula = Pick<Yolov5Head, "anchors" | "centerScale" | "size"> & { readonly unit: string };

type Result<T> = T | { readonly near: string };

export function recogniseYolov5(
  view: HeadView,
  facts: RecognitionFacts,
): Recognition<Yolov5Head> | undefined {
  const { pieces, left } = joinRows(view);
  if (pieces.length === 0) return undefined;
  const logits = pieces.map(logitsOf);
  const decoded = pieces.filter((_, i) => !logits[i]);
  return decoded.length
    ? recogniseDecoded(view, facts, decoded, logits, left)
    : left.length
      ? undefined
      : recogniseLogits(view, facts, pieces, logits as Logits[]);
}

// ---- Boxes

function recogniseDecoded(
  view: HeadView,
  facts: RecognitionFacts,
  pieces: readonly Piece[],
  logits: readonly (Logits | undefined)[],
  left: readonly string[],
): Recognition<Yolov5Head> | undefined {
  const levels = new Map<HeadSource, { scores: Scores; formula: Formula }[]>();
  for (const piece of pieces) {
    const scores = scoresOf(piece);
    if (!scores || "near" in scores) return scores;
    const { source, extra } = scores;
    if (extra) {
      return {
        near: `this is a YOLOv5 segmentation model (${extra} mask coefficients stand behind the classes of each box): masks are not supported; export a detection model for boxes`,
        isSure: true,
      };
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
  if (others.length || left.length || found.some(({ classes }) => classes !== found[0].classes)) {
    return { near: "outputs do not come from the recognised heads alone" };
  }
  const isDarknet = found.some(
    ({ formula }) => formula?.size === "exp" && formula.unit === "parts of the input",
  );
  return { ...headsOf(found, facts.anchors), ...(isDarknet && { family: "darknet" }), notes: [] };
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
const sigmoids = (list: Numbers): number[] => list.map((v) => 1 / (1 + Math.exp(-v)));
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

// ---- Logits

/** Columns of a piece that are channels of one convolution, in order, or their sigmoids. */
interface Logits {
  readonly source: HeadSource;
  readonly from: number;
  readonly count: number;
  readonly origin: "raw" | "sigmoid";
  readonly output: string;
}

function logitsOf({ columns, output }: Piece): Logits | undefined {
  const [first] = columns;
  if (first.origin !== "raw" && first.origin !== "sigmoid") return undefined;
  const { origin, source, channel: from } = first;
  if (source.activation === "other") return undefined;
  const isRun = columns.every(
    (column, i) => column.origin === origin && column.source === source && column.channel === from + i,
  );
  return isRun ? { source, from, count: columns.length, origin, output } : undefined;
}

/** That outputs of logits are heads of YOLOv5 is told by their layout alone. */
function recogniseLogits(
  view: HeadView,
  facts: RecognitionFacts,
  pieces: readonly Piece[],
  all: readonly Logits[],
): Recognition<Yolov5Head> | undefined {
  const [{ origin }] = all;
  if (all.some((each) => each.origin !== origin)) return undefined;
  const sources = [...new Set(all.map(({ source }) => source))].sort((a, b) => a.stride - b.stride);
  if (new Set(sources.map(({ stride }) => stride)).size < sources.length) return undefined;
  const rows = sources.map((source) => rowLength(view, source, all));
  const names = view.tables.map(({ blob }) => blob).join(", ");
  const isCut = origin === "sigmoid" ? "; the sigmoid behind them is cut off, since decoding applies it" : "";
  const notes: string[] = [];
  let levels: Level[];
  if (rows.every((length) => length === undefined)) {
    const bare = bareLevels(sources, pieces, facts);
    if (!bare || "near" in bare) return bare && { near: `the outputs ${names} are ${bare.near}` };
    levels = bare;
  } else {
    const set = sources.map((source, i): Level | undefined => {
      const length = rows[i] ?? 0;
      const anchorCount = source.channels / length;
      const fits = length > boxValues && Number.isInteger(anchorCount) && anchorCount <= mostAnchors;
      return fits ? { source, anchorCount, classes: length - boxValues } : undefined;
    });
    if (set.some((level) => level === undefined || level.classes !== set[0]?.classes)) return undefined;
    levels = set as Level[];
  }
  const [{ anchorCount, classes }] = levels;
  const isUsual = view.tables.every(
    ({ shape, isRowMajor, columns }) => isRowMajor && shape.length === 3 && columns === boxValues + classes,
  );
  if (!isUsual) {
    notes.push(
      `the outputs ${names} are the last convolutions of YOLOv5 heads with ${anchorCount} anchors and ${classes} classes, whose boxes are (2·sigmoid)²·anchor large${isCut}`,
    );
  } else if (isCut) notes.push(`the outputs ${names} are heads of YOLOv5${isCut}`);
  const anchors = facts.anchors ?? statedAnchors(levels, facts) ?? assumedAnchors(levels, notes);
  if (!anchors) {
    const counts = levels.map(({ anchorCount }) => anchorCount).join(", ");
    return {
      near: `the anchors of ${levels.length} heads with ${counts} anchors are not known; give them with --anchors to detect`,
    };
  }
  return { ...headsOf(levels, anchors), isRaw: true, notes };
}

/** How many numbers the outputs set apart for a box; undefined where they are the convolution as it is. */
function rowLength(view: HeadView, source: HeadSource, all: readonly Logits[]): number | undefined {
  const own = all.filter((each) => each.source === source);
  const [{ count, output }] = own;
  if (own.every((each) => each.count < source.channels)) {
    const starts = new Set(own.map(({ from }) => from));
    const isWhole = own.every((each) => each.count === count && each.from % count === 0);
    return isWhole && starts.size * count === source.channels ? count : 0;
  }
  const table = view.tables.find(({ blob }) => blob === output)!;
  if (table.columnExtents.length > 1) return table.columnExtents.at(-1);
  // Rows of one anchor, with its axis.
  const isOne = table.isRowMajor && table.shape.length === 3 && table.shape[0] === 1;
  return isOne ? count : undefined;
}

/** Last convolutions as they are: as many channels each, and strides that double. A single one says too little without anchors. */
function bareLevels(
  sources: readonly HeadSource[],
  pieces: readonly Piece[],
  facts: RecognitionFacts,
): Result<Level[]> | undefined {
  const [{ channels, stride }] = sources;
  const isLikely =
    pieces.length === sources.length &&
    (sources.length >= 2 || facts.anchors) &&
    sources.every(
      (source, i) => source.isPointwise && source.channels === channels && source.stride === stride * 2 ** i,
    );
  if (!isLikely) return undefined;
  const { anchors, labels } = facts;
  const anchorCount = anchors?.length
    ? anchors[0].length / 2
    : labels
      ? channels / (boxValues + labels.length)
      : 3;
  const values = channels / anchorCount;
  if (!Number.isInteger(anchorCount) || !Number.isInteger(values) || values <= boxValues) {
    return {
      near: `convolutions of ${channels} channels, which are not 3 anchors of 5 values and classes; give --anchors and --labels if they are heads of YOLOv5`,
    };
  }
  return sources.map((source) => ({ source, anchorCount, classes: values - boxValues }));
}

/** Anchors of the file, where they fit. */
function statedAnchors(
  levels: readonly Level[],
  { statedAnchors: stated }: RecognitionFacts,
): RecognitionFacts["anchors"] {
  return stated && fits(levels, stated) ? stated : undefined;
}

function assumedAnchors(levels: readonly Level[], notes: string[]): RecognitionFacts["anchors"] {
  if (!fits(levels, defaultAnchors)) return undefined;
  notes.push(
    `the anchors are the defaults of YOLOv5 (${defaultAnchors.map((list) => list.join(",")).join(" ")}); if the boxes have wrong sizes, give the right ones with --anchors`,
  );
  return defaultAnchors;
}

// ---- Both

const fits = (levels: readonly Level[], anchors: readonly (readonly number[])[]): boolean =>
  anchors.length === levels.length && anchors.every((list, i) => list.length === 2 * levels[i].anchorCount);

/** The heads, with `anchors` if they are given. Throws UsageError where these do not fit. */
function headsOf(
  found: readonly Level[],
  anchors: RecognitionFacts["anchors"],
): { heads: Yolov5Head[]; classes: number; groups: Map<string, number> } {
  const levels = [...found].sort((a, b) => a.source.stride - b.source.stride);
  if (anchors && !fits(levels, anchors)) {
    const expected = levels
      .map(({ anchorCount, source }) => `${anchorCount * 2} numbers for stride ${source.stride}`)
      .join(", ");
    const given = anchors.map((list) => list.length).join(", ");
    throw new UsageError(`anchors: found lists of ${given} numbers, expected ${expected}`);
  }
  const heads = levels.map(({ source, formula }, i): Yolov5Head => {
    const { unit: _, ...own } = formula ?? { unit: "" };
    return {
      kind: "yolov5",
      blob: source.blob,
      stride: source.stride,
      anchors: [],
      ...own,
      ...(anchors && { anchors: [...anchors[i]] }),
    };
  });
  const groups = new Map(levels.map(({ source, anchorCount }) => [source.blob, anchorCount]));
  return { heads, classes: levels[0].classes, groups };
}
