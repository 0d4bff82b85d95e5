/**
 * Last convolutions of YOLOv8 to 12 that do more than boxes, which no code makes anything of: 64 bins, class scores, and mask coefficients,
 * points or an angle, each a convolution of its own. Their formula is not in the graph; which is which must follow from the numbers.
 */
import { isPlane } from "./_decoded.ts";
import type { DistancesHead } from "./_distances.ts";
import { joinLevels, type Recognition, type RecognitionFacts } from "./recognition.ts";
import type { HeadSource, HeadView, Piece } from "./view.ts";

/** 16 for each side. */
const binChannels = 64;

export function recogniseRawExtras(
  view: HeadView,
  { labels }: RecognitionFacts,
): Recognition<DistancesHead> | undefined {
  const levels = joinLevels(view)?.map(({ stride, ...level }) => ({ stride, sources: wholeSources(level) }));
  const [plane, ...more] = view.computed;
  if (!levels || levels.length < 2 || more.length || (plane && !isPlane(view, plane))) return undefined;
  const channels = levels.map(({ sources }) => sources?.map((source) => source.channels).join());
  const [first] = levels;
  if (!first.sources || channels.some((list) => list !== channels[0])) return undefined;
  const counts = first.sources.map((source) => source.channels);
  const boxes = counts.indexOf(binChannels);
  const others = [0, 1, 2].filter((i) => i !== boxes);
  if (counts.length !== 3 || boxes < 0) return undefined;
  // What the graph tells are the prototypes; else the caller has to say how many classes there are.
  const isClasses = (i: number): boolean =>
    plane ? counts[others[0] + others[1] - i] === plane.shape[0] : counts[i] === labels?.length;
  const [scores, ambiguous] = others.filter(isClasses);
  const extra = others.find((i) => i !== scores)!;
  const list = `${counts[others[0]]} and ${counts[others[1]]} numbers a cell beside 64 bins, as YOLOv8's last convolutions of masks, points or turned boxes`;
  if (scores === undefined || ambiguous !== undefined) {
    return {
      near: `there are ${list} are, but not which are class scores${plane ? "" : ": give the names with --labels"}`,
    };
  }
  const parts = partsOf(counts[extra], plane?.blob);
  if (!parts) return { near: `there are ${list} are, but ${counts[extra]} are neither points nor an angle` };
  const heads = levels.map(({ stride, sources }): DistancesHead => {
    const [score, box, more] = [scores, boxes, extra].map((i) => sources![i].blob);
    const found = { kind: "distances" as const, scores: score, boxes: box, stride, bins: 16, point: 0.5 };
    return { ...found, ...parts.at(more) };
  });
  return {
    heads,
    classes: counts[scores],
    family: "ultralytics",
    notes: [
      `the outputs are taken for ${counts[scores]} class scores, distances of 16 bins a side and ${parts.words}, as YOLOv8 to 12 have them`,
    ],
  };
}

/** The convolutions whose channels a level is, each whole and as it is. */
function wholeSources({ columns }: Pick<Piece, "columns">): HeadSource[] | undefined {
  const sources: HeadSource[] = [];
  let next = 0;
  for (const column of columns) {
    if (column.origin !== "raw" || column.source.activation !== "none") return undefined;
    if (next === 0) sources.push(column.source);
    if (column.source !== sources.at(-1) || column.channel !== next) return undefined;
    next = next + 1 === column.source.channels ? 0 : next + 1;
  }
  return next === 0 ? sources : undefined;
}

interface Parts {
  readonly words: string;
  at(blob: string): Pick<DistancesHead, "mask" | "points" | "angle">;
}

function partsOf(count: number, prototypes: string | undefined): Parts | undefined {
  if (prototypes !== undefined) {
    return { words: `${count} mask coefficients`, at: (blob) => ({ mask: { blob, count, prototypes } }) };
  }
  if (count === 1) return { words: "an angle", at: (blob) => ({ angle: { blob } }) };
  if (count % 3) return undefined;
  const points = { count: count / 3, visibility: true, scale: 2, point: 0 };
  return { words: `${points.count} points`, at: (blob) => ({ points: { blob, ...points } }) };
}
