/** Logits that are taken for YOLOv5's, or its relatives', by their layout alone. */
import {
  boxValues,
  fits,
  headsOf,
  type Level,
  type Logits,
  type Result,
  type Yolov5Head,
} from "./_anchor-levels.ts";
import type { FamilyName } from "./families.ts";
import type { Recognition, RecognitionFacts } from "./recognition.ts";
import type { HeadSource, HeadView, Piece } from "./view.ts";

/** Beyond what any detector has. */
const mostAnchors = 16;

interface Relative {
  readonly title: string;
  /** Of the three levels 8, 16, 32. */
  readonly anchors: readonly (readonly number[])[];
  readonly size: string;
  formula(stride: number, levels: number): Pick<Yolov5Head, "centerScale" | "size">;
}

/** Anchors in ultralytics/yolov5's model files (v5.0 to v7.0, models/yolov5s.yaml), which YOLOv3's are too. */
const anchors = [
  [10, 13, 16, 30, 33, 23],
  [30, 61, 62, 45, 59, 119],
  [116, 90, 156, 198, 373, 326],
];
const yolov5: Relative = { title: "YOLOv5", anchors, size: "(2·sigmoid)²·anchor", formula: () => ({}) };
/** What the caller may say that it is; nothing in logits tells them apart. */
const relatives: { readonly [name in FamilyName]?: Relative } = {
  yolov3: {
    ...{ title: "YOLOv3", anchors, size: "exp(t)·anchor" },
    formula: () => ({ centerScale: 1, size: "exp" }),
  },
  yolov4: {
    title: "YOLOv4",
    // Anchors and scales of cfg/yolov4.cfg in AlexeyAB/darknet; its two-level models have 1.05 everywhere.
    anchors: [
      [12, 16, 19, 36, 40, 28],
      [36, 75, 76, 55, 72, 146],
      [142, 110, 192, 243, 459, 401],
    ],
    size: "exp(t)·anchor",
    formula: (stride, levels) => ({
      centerScale: levels < 3 || stride >= 32 ? 1.05 : stride === 16 ? 1.1 : 1.2,
      size: "exp",
    }),
  },
};

/** That outputs of logits are heads of YOLOv5 is told by their layout alone. */
export function recogniseLogits(
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
  const relative = relatives[facts.family ?? "yolov5"] ?? yolov5;
  const [{ anchorCount, classes }] = levels;
  const isUsual = view.tables.every(
    ({ shape, isRowMajor, columns }) => isRowMajor && shape.length === 3 && columns === boxValues + classes,
  );
  if (!isUsual) {
    notes.push(
      `the outputs ${names} are the last convolutions of ${relative.title} heads with ${anchorCount} anchors and ${classes} classes, whose boxes are ${relative.size} large${relative === yolov5 ? " (--family yolov3 or yolov4 tells otherwise)" : ""}${isCut}`,
    );
  } else if (isCut) notes.push(`the outputs ${names} are heads of ${relative.title}${isCut}`);
  const known = facts.anchors ?? statedAnchors(levels, facts) ?? assumedAnchors(levels, relative, notes);
  if (!known) {
    const counts = levels.map(({ anchorCount }) => anchorCount).join(", ");
    return {
      near: `the anchors of ${levels.length} heads with ${counts} anchors are not known; give them with --anchors to detect`,
    };
  }
  const formed = levels.map((level) => ({
    ...level,
    formula: relative.formula(level.source.stride, levels.length),
  }));
  return { ...headsOf(formed, known), isRaw: true, notes };
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

function assumedAnchors(
  levels: readonly Level[],
  { title, anchors }: Relative,
  notes: string[],
): RecognitionFacts["anchors"] {
  if (!fits(levels, anchors)) return undefined;
  notes.push(
    `the anchors are the defaults of ${title} (${anchors.map((list) => list.join(",")).join(" ")}); if the boxes have wrong sizes, give the right ones with --anchors`,
  );
  return anchors;
}
