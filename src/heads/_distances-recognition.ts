/** Which outputs are heads of distances (`distances.ts`), and whose. */
import { type AnchoredLevel, anchoredLevels, firstChannel } from "./_anchored.ts";
import { boxSource, type CellBox, decodedOutputs } from "./_decoded.ts";
import { aboutMiddle, type DistancesHead, distancesOf } from "./_distances.ts";
import { areAlike, type Extras, extrasOf } from "./_extras.ts";
import { recogniseRawExtras } from "./_raw-extras.ts";
import { isOtherFace } from "./families.ts";
import { joinLevels, type Recognition, type RecognitionFacts } from "./recognition.ts";
import { channelsOf, type HeadView, isPlain, type Piece } from "./view.ts";

export function recogniseDistances(
  view: HeadView,
  facts: RecognitionFacts,
): Recognition<DistancesHead> | undefined {
  if (!view.pieces.length) return undefined;
  const plain = isPlain(view) ? recogniseRaw(view) : undefined;
  return (
    recogniseDecoded(view, facts.isEndToEnd) ??
    plain ??
    recogniseRawExtras(view, facts) ??
    recogniseScrfd(view, facts)
  );
}

/** The boxes of exports of ultralytics and YOLOv6: the formula is in the graph, and is compared with what it computes. */
function recogniseDecoded(view: HeadView, isEndToEnd = false): Recognition<DistancesHead> | undefined {
  const decoded = decodedOutputs(view);
  if (!decoded || decoded.pieces[0].objectness) return undefined;
  const { pieces, planes } = decoded;
  const [{ classes, piece: first }] = pieces;
  const heads: DistancesHead[] = [];
  let known: Extras | undefined;
  for (const found of pieces) {
    const { stride, gridWidth } = found.piece;
    const extras = extrasOf(view, found, planes);
    if ("near" in extras) return extras;
    known ??= extras;
    if (!areAlike(known, extras))
      return { near: "what stands behind the class scores differs from stride to stride" };
    const { angleAt, ...parts } = extras;
    const turnAt = angleAt && ((x: number, y: number): number => angleAt(y * gridWidth + x));
    const boxes = boxSource(view, found, (source) =>
      source.channels % 4 || source === found.scores.source
        ? []
        : [0.5, 0].map((point) => sidesFormula(source.channels / 4, point, turnAt)),
    );
    if (!boxes) {
      return {
        near: `at stride ${stride} boxes stand beside class scores as YOLOv8 has them, but are not distances to a point in the middle or the corner of a cell`,
      };
    }
    const { source, channel: scoresFrom } = found.scores;
    heads.push({
      kind: "distances",
      scores: source.blob,
      ...(scoresFrom && { scoresFrom }),
      ...{ boxes: boxes.source.blob, stride, bins: boxes.bins, point: boxes.point },
      // Turned boxes have no corners in any export.
      ...((boxes.corners || parts.angle) && isEndToEnd && { oneToOne: true }),
      ...partsFrom(parts, boxes.point),
    });
  }
  const hasOnes = first.columns.length - pieces[0].extras.length > classes + 4;
  return { heads, classes, family: hasOnes ? "yolov6" : "ultralytics", notes: [] };
}

/** Scale and place of points are written down where they are not those of the head. */
function partsFrom({ points, ...parts }: Extras, point: number): Partial<DistancesHead> {
  if (!points) return parts;
  const { scale, point: own, ...rest } = points;
  return { points: { ...rest, ...(scale !== 1 && { scale }), ...(own !== point && { point: own }) } };
}

function sidesFormula(
  bins: number,
  point: number,
  turnAt?: (x: number, y: number) => number,
): { bins: number; point: number; box: CellBox } {
  return {
    ...{ bins, point },
    box(value, cellX, cellY) {
      const [x, y] = [cellX + point, cellY + point];
      const distances = distancesOf(bins, value);
      const [l, t, r, b] = turnAt ? aboutMiddle(distances, turnAt(cellX, cellY)) : distances;
      return [x - l, y - t, x + r, y + b];
    },
  };
}

/** Logits or scores and bins side by side or in outputs of their own, which no code makes boxes of. */
function recogniseRaw(view: HeadView): Recognition<DistancesHead> | undefined {
  const levels = joinLevels(view);
  if (!levels || levels.length < 2) return undefined;
  const heads: DistancesHead[] = [];
  let classes: number | undefined;
  let isBoxesFirst = false;
  let isUltralytics = false;
  const isSingle = view.tables.length === 1;
  for (const level of levels) {
    const count = level.columns.length;
    const split = splitOf(level);
    if (!split || (classes !== undefined && split.classes !== classes)) return undefined;
    if (heads.length && isBoxesFirst !== (split.boxesAt === 0)) {
      return {
        near: "class scores and distances come in another order at one stride than at the next: is an output missing?",
      };
    }
    classes = split.classes;
    isBoxesFirst = split.boxesAt === 0;
    const scores = channelsOf(level, split.scoresAt, classes, split.origin);
    const boxes = channelsOf(level, split.boxesAt, count - classes, "raw");
    if (!scores || !boxes) return undefined;
    // NanoDet and PicoDet have one convolution for both, in whatever order it is exported.
    isUltralytics = split.origin === "raw" || (isBoxesFirst && scores.source !== boxes.source);
    heads.push({
      kind: "distances",
      scores: scores.source.blob,
      ...(scores.channel && { scoresFrom: scores.channel }),
      boxes: boxes.source.blob,
      ...(boxes.channel && { boxesFrom: boxes.channel }),
      stride: level.stride,
      bins: (count - classes) / 4,
      point: 0.5,
    });
  }
  if (classes === undefined) return undefined;
  const { bins } = heads[0];
  const where = isSingle ? `the output ${view.tables[0].blob} is` : "the outputs are";
  const what = `${where} taken for ${classes} class scores and distances of ${bins} bins a side`;
  if (isUltralytics)
    return { heads, classes, family: "ultralytics", notes: [`${what}, as YOLOv8 to 12 have them`] };
  // NanoDet-Plus has four levels in one output, and points at the corners of cells; the older heads have them in the middle.
  if (isSingle && levels.length >= 4) {
    for (const head of heads) head.point = 0;
    return {
      heads,
      classes,
      family: "nanodet-plus",
      notes: [`${what} from the left top corner of a cell, as NanoDet-Plus has them`],
    };
  }
  const family = levels.length >= 4 ? "picodet" : "nanodet";
  return {
    heads,
    classes,
    family,
    notes: [`${what} from the middle of a cell, as NanoDet and PicoDet have them`],
  };
}

/** Fewest bins a side that a distribution has; 2 are boxes of two anchors. */
const fewestBins = 5;

/** Which columns of a level are class scores and which are bins. */
function splitOf({ columns }: Piece): Split | undefined {
  const scored = columns.filter(({ origin }) => origin === "sigmoid").length;
  if (columns.some(({ origin }) => origin === "other")) return undefined;
  if (scored > 0) {
    const bins = (columns.length - scored) / 4;
    if (!Number.isInteger(bins) || bins < fewestBins) return undefined;
    const scoresAt = columns[0].origin === "sigmoid" ? 0 : columns.length - scored;
    return { scoresAt, boxesAt: scoresAt ? 0 : scored, classes: scored, origin: "sigmoid" };
  }
  // Logits alone say little: YOLOv8 to 12 have 16 bins a side in a convolution of their own.
  const [bins, classes] = [64, columns.length - 64];
  if (classes < 1) return undefined;
  for (const boxesAt of [0, classes]) {
    const scoresAt = boxesAt ? 0 : bins;
    const parts = { columns } as Piece;
    const boxes = channelsOf(parts, boxesAt, bins, "raw");
    const scores = channelsOf(parts, scoresAt, classes, "raw");
    if (boxes?.source.channels === bins && scores?.source.channels === classes) {
      return { scoresAt, boxesAt, classes, origin: "raw" };
    }
  }
  return undefined;
}

interface Split {
  scoresAt: number;
  boxesAt: number;
  classes: number;
  origin: "raw" | "sigmoid";
}

/** Strides that SCRFD's models have with two anchors, and with one. */
const scrfdStrides = ["8,16,32", "8,16,32,64,128"];

/** SCRFD (insightface): distances from the left top corner of a cell, two anchors a cell, mostly with five points. */
function recogniseScrfd(
  view: HeadView,
  { family }: RecognitionFacts,
): Recognition<DistancesHead> | undefined {
  if (isOtherFace(family, "scrfd")) return undefined;
  const levels = anchoredLevels(view);
  if (!levels) return undefined;
  const [{ anchors, boxes, points, scores }] = levels;
  if (!scores || boxes.step !== 4 || scores.origin === "softmax") return undefined;
  const strides = levels.map(({ stride }) => stride).join();
  const isItsForm =
    levels.every((level) => level.anchors === anchors) &&
    anchors <= 2 &&
    strides === scrfdStrides[2 - anchors];
  // Scores and boxes alone may be anything's.
  const isTold = points !== undefined || (anchors === 2 && scores.origin === "sigmoid");
  if (family !== "scrfd" && !(isItsForm && isTold)) {
    return {
      near: `${anchors} ${anchors === 1 ? "score and box" : "scores and boxes"} a cell${points ? " with five points" : ""} at strides ${strides} are like SCRFD's, but not as its models have them; give --family scrfd if it is one`,
    };
  }
  const heads = levels.flatMap((level) =>
    Array.from({ length: level.anchors }, (_, anchor) => scrfdHead(level, anchor)),
  );
  return {
    heads,
    classes: 1,
    labels: ["face"],
    family: "scrfd",
    notes: [
      `boxes${points ? " and points" : ""} come without their formula and are taken for SCRFD's: distances times stride from the left top corner of a cell`,
    ],
  };
}

function scrfdHead({ stride, boxes, points, scores }: AnchoredLevel, anchor: number): DistancesHead {
  const [scoresFrom, boxesFrom] = [firstChannel(scores!, anchor), firstChannel(boxes, anchor)];
  const from = points && firstChannel(points, anchor);
  return {
    kind: "distances",
    scores: scores!.source.blob,
    ...(scoresFrom && { scoresFrom }),
    boxes: boxes.source.blob,
    ...(boxesFrom && { boxesFrom }),
    stride,
    bins: 1,
    point: 0,
    ...(points && { points: { blob: points.source.blob, ...(from && { from }), count: points.count } }),
  };
}
