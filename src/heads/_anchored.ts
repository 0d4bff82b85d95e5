/**
 * Levels of detectors with a few boxes a cell and no code that decodes them: SCRFD, RetinaFace, BlazeFace. Their outputs are the
 * convolutions as planes, or rows of cells with a row for each box; boxes, points and scores each come from one convolution.
 */
import { sigmoid } from "../base/maths.ts";
import {
  type Column,
  channelsOf,
  type HeadSource,
  type HeadView,
  isNear,
  type OutputTable,
  type Piece,
  sampleCells,
} from "./view.ts";

/** Where the numbers of each box start: channel `from + step·anchor` of a source. */
export interface Run {
  readonly source: HeadSource;
  readonly from: number;
  readonly step: number;
}

/** Scores of each box: one number, or a softmax with the background. */
export interface ScoreRun extends Run {
  readonly origin: "raw" | "sigmoid" | "softmax";
  /** First channel of the background's number; its step is the same. */
  readonly background?: number;
}

export interface AnchoredLevel {
  readonly stride: number;
  readonly anchors: number;
  readonly boxes: Run;
  readonly points?: Run & { readonly count: number };
  /** None where the scores are of no form that is known, or where two forms fit. */
  readonly scores?: ScoreRun;
}

/** Of detectors of faces; with 6 points, BlazeFace's, box and points are in one convolution. */
const forms = [
  { box: 4, points: 5, isJoined: false },
  { box: 4, points: 0, isJoined: false },
  { box: 4, points: 6, isJoined: true },
] as const;

const mostAnchors = 8;

/** All levels, finest first; nothing where an output is no part of one. */
export function anchoredLevels(view: HeadView): AnchoredLevel[] | undefined {
  const strides = [...new Set(view.pieces.map(({ stride }) => stride))].sort((a, b) => a - b);
  const levels = strides.map((stride) => levelOf(view, stride));
  const [first] = levels;
  const isAlike = levels.every(
    (level) =>
      level?.boxes.step === first?.boxes.step &&
      level?.points?.count === first?.points?.count &&
      level?.scores?.origin === first?.scores?.origin,
  );
  return first && isAlike ? (levels as AnchoredLevel[]) : undefined;
}

interface Part {
  readonly piece: Piece;
  readonly origin: "raw" | "sigmoid";
  readonly channels: number;
  readonly source: HeadSource;
  readonly channel: number;
}

function levelOf(view: HeadView, stride: number): AnchoredLevel | undefined {
  const parts = view.pieces.filter((piece) => piece.stride === stride).map(partsOf);
  if (parts.some((each) => !each)) return undefined;
  const all = parts.flatMap((each) => each ?? []);
  const found = forms.flatMap((form) =>
    Array.from({ length: mostAnchors }, (_, i) => levelAs(view, all, form, i + 1) ?? []).flat(),
  );
  return found.length === 1 ? { ...found[0], stride } : undefined;
}

/** The columns by their convolutions, which have to be consecutive channels of each; nothing where one is computed otherwise. */
function partsOf(piece: Piece): Part[] | undefined {
  const groups = new Map<string, { origin: Part["origin"]; columns: Column[] }>();
  for (const column of piece.columns) {
    const { origin } = column;
    if (origin !== "raw" && origin !== "sigmoid") return undefined;
    const key = `${origin} ${column.source.blob}`;
    const group = groups.get(key) ?? { origin, columns: [] };
    group.columns.push(column);
    groups.set(key, group);
  }
  const parts = [...groups.values()].map(({ origin, columns }) => {
    const run = channelsOf({ ...piece, columns }, 0, columns.length, origin);
    return run && { piece, origin, channels: columns.length, ...run };
  });
  return parts.some((part) => !part) ? undefined : parts.flatMap((part) => part ?? []);
}

/** The level, if its parts are those of this form with so many anchors. */
function levelAs(
  view: HeadView,
  parts: readonly Part[],
  { box, points, isJoined }: (typeof forms)[number],
  anchors: number,
): Omit<AnchoredLevel, "stride"> | undefined {
  const rest = [...parts];
  const take = (numbers: number, origin?: Part["origin"]): Part | undefined => {
    const at = rest.findIndex(
      (part) =>
        part.channels === numbers * anchors &&
        (origin === undefined || part.origin === origin) &&
        (part.piece.anchors === 1 || part.piece.anchors === anchors),
    );
    return at < 0 ? undefined : rest.splice(at, 1)[0];
  };
  const step = box + (isJoined ? 2 * points : 0);
  const boxes = take(step, "raw");
  const apart = points && !isJoined ? take(2 * points, "raw") : undefined;
  if (!boxes || (points && !isJoined && !apart)) return undefined;
  const one = take(1);
  const two = one ? undefined : take(2, "raw");
  if (rest.length) return undefined;
  const scores = one
    ? { source: one.source, from: one.channel, step: 1, origin: one.origin }
    : two
      ? pairs(two, anchors)
      : softmaxScores(view, boxes.piece, anchors);
  if (!one && !two && !scores) return undefined;
  const run = ({ source, channel }: Part, stepsBy: number): Run => ({ source, from: channel, step: stepsBy });
  const landmarks = isJoined
    ? { source: boxes.source, from: boxes.channel + box, step, count: points }
    : apart && { ...run(apart, 2 * points), count: points };
  return {
    anchors,
    boxes: run(boxes, step),
    ...(landmarks && { points: landmarks }),
    ...(scores && { scores }),
  };
}

/** Two logits a box, background first, where rows or a single anchor leave no doubt which they are. */
function pairs({ piece, source, channel }: Part, anchors: number): ScoreRun | undefined {
  if (anchors > 1 && piece.anchors === 1) return undefined;
  return { source, from: channel + 1, background: channel, step: 2, origin: "softmax" };
}

/** Scores that an output computes by a softmax of two numbers a box: beside each other, or all of the background first. */
function softmaxScores(view: HeadView, boxes: Piece, anchors: number): ScoreRun | undefined {
  const cells = boxes.gridWidth * boxes.gridHeight;
  const candidates = view.sources.filter(
    ({ stride, channels, activation }) =>
      stride === boxes.stride && channels === 2 * anchors && activation === "none",
  );
  const orders = [
    { from: 1, background: 0, step: 2 },
    { from: anchors, background: 0, step: 1 },
  ];
  for (const table of view.computed) {
    const place = placeIn(view, table, boxes, cells, anchors);
    if (!place) continue;
    for (const source of candidates) {
      const order = orders.find((each) => isSoftmax(view, table, boxes, anchors, source, each, place(each)));
      if (order) return { source, ...order, origin: "softmax" };
    }
  }
  return undefined;
}

type Order = Omit<ScoreRun, "source" | "origin">;
type At = (anchor: number, cell: number) => readonly [row: number, column: number];

/** Where an output has the score of a box: in rows as the boxes', or in planes as the source. */
function placeIn(
  view: HeadView,
  table: OutputTable,
  boxes: Piece,
  cells: number,
  anchors: number,
): ((order: Order) => At) | undefined {
  const { rows } = view.tables.find(({ blob }) => blob === boxes.output)!;
  if (boxes.anchors === anchors && table.rows === rows && table.columns <= 2) {
    return () => (anchor, cell) => [boxes.from + cell * anchors + anchor, table.columns - 1];
  }
  if (table.rows === cells && table.columns === 2 * anchors) {
    return ({ from, step }) =>
      (anchor, cell) => [cell, from + step * anchor];
  }
  return undefined;
}

function isSoftmax(
  view: HeadView,
  table: OutputTable,
  boxes: Piece,
  anchors: number,
  source: HeadSource,
  { from, background = 0, step }: Order,
  at: At,
): boolean {
  const probe = view.probe();
  return sampleCells(boxes).every((cell) =>
    Array.from({ length: anchors }, (_, anchor) => anchor).every((anchor) => {
      const [face, other] = [from, background].map((first) =>
        probe.source(source, first + step * anchor, cell),
      );
      return isNear(probe.output(table.blob, ...at(anchor, cell)), sigmoid(face - other), 1e-4);
    }),
  );
}

/** `scores: blob, scoresFrom: 1`: the blob of a run and its first channel for an anchor, left out where it is 0. */
export const firstChannel = ({ from, step }: Run, anchor: number): number | undefined =>
  from + step * anchor || undefined;
