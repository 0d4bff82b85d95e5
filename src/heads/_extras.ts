/** What decoded boxes have besides: points, mask coefficients or an angle, told by what computes them (`_decoded.ts`). */
import { fitTo } from "../base/fit.ts";
import { angleFrom, type HeadAngle } from "./_angles.ts";
import type { DecodedPiece } from "./_decoded.ts";
import type { PlacedPoints } from "./_distances.ts";
import type { HeadMask } from "./_masks.ts";
import {
  type HeadSource,
  type HeadView,
  isNear,
  numberAt,
  type OutputTable,
  type Piece,
  sampleCells,
} from "./view.ts";

/** Parts of a head, in blobs of their own. */
export interface Extras {
  readonly points?: PlacedPoints;
  readonly mask?: HeadMask;
  readonly angle?: HeadAngle;
  /** Of a cell, in the values of the first probe. */
  readonly angleAt?: (cell: number) => number;
}

/**
 * The parts of a piece whose columns `extras` stand behind the scores. `planes` are the outputs that are none of the boxes'. Nothing
 * where there is none of both, else what it is or what came nearest.
 */
export function extrasOf(
  view: HeadView,
  found: DecodedPiece,
  planes: readonly OutputTable[],
): Extras | { readonly near: string } {
  const { extras, piece } = found;
  const columns = extras.map((at) => piece.columns[at]);
  const count = `${extras.length} numbers behind the class scores`;
  if (!extras.length) {
    return planes.length
      ? { near: `${planes.map(({ blob }) => blob).join(", ")} belongs to none of the boxes` }
      : {};
  }
  if (extras.length === 1 && !planes.length) {
    const angle = angleOf(view, found);
    return angle ?? { near: "the number behind the class scores is no angle as YOLOv8 to 26 have it" };
  }
  if (columns.every(({ origin }) => origin === "raw")) {
    const mask = maskOf(piece, extras);
    const [prototypes, more] = planes.filter(({ shape }) => shape[0] === extras.length);
    if (mask && prototypes && !more && planes.length === 1) {
      return { mask: { ...mask, count: extras.length, prototypes: prototypes.blob } };
    }
    return {
      near: `${count} are like mask coefficients, but ${prototypes ? "not one convolution's alone" : `no output has ${extras.length} prototypes for them: export the prototypes too`}`,
    };
  }
  const points = planes.length ? undefined : pointsOf(view, found);
  return points
    ? { points }
    : { near: `${count} are neither points as YOLOv8 to 26 have them, nor mask coefficients` };
}

/** The blob of columns that are consecutive channels. */
function maskOf({ columns }: Piece, extras: readonly number[]): Pick<HeadMask, "blob" | "from"> | undefined {
  const [first] = extras.map((at) => columns[at]);
  if (first.origin === "other") return undefined;
  const { source, channel } = first;
  const isRun = extras.every((at, k) => {
    const column = columns[at];
    return column.origin === "raw" && column.source === source && column.channel === channel + k;
  });
  return isRun ? { blob: source.blob, ...(channel && { from: channel }) } : undefined;
}

function angleOf(
  view: HeadView,
  { piece, extras }: DecodedPiece,
): Pick<Extras, "angle" | "angleAt"> | undefined {
  const column = piece.columns[extras[0]];
  const probe = view.probe();
  const partsOf = (source: HeadSource, channel: number, radians: boolean): Extras => ({
    angle: { blob: source.blob, ...(channel && { from: channel }), ...(radians && { radians }) },
    angleAt: (cell) => angleFrom(probe.source(source, channel, cell), radians),
  });
  if (column.origin === "raw") return partsOf(column.source, column.channel, true);
  const known = view.sources.filter(
    ({ stride, channels, activation }) => stride === piece.stride && channels === 1 && activation === "none",
  );
  const source = known.find((each) =>
    sampleCells(piece).every((cell) =>
      isNear(numberAt(probe, piece, cell, extras[0]), angleFrom(probe.source(each, 0, cell), false), 2e-4),
    ),
  );
  return source && partsOf(source, 0, false);
}

/** More than a formula has unknowns. */
const leastSamples = 12;

/** Points `(scale·v + cell + point)·stride`, two numbers each, or three of which the last is a sigmoid. */
function pointsOf(view: HeadView, { piece, extras }: DecodedPiece): PlacedPoints | undefined {
  const third = piece.columns[extras[2]];
  const visibility = third?.origin === "sigmoid";
  const step = visibility ? 3 : 2;
  const count = extras.length / step;
  if (!Number.isInteger(count)) return undefined;
  const from = visibility ? third.channel - 2 : 0;
  const isRow = (at: number, k: number): boolean => {
    const column = piece.columns[at];
    if (k % step < 2) return column.origin === "other";
    return (
      column.origin === "sigmoid" &&
      column.source === (third as { source: HeadSource }).source &&
      column.channel === from + k
    );
  };
  if (from < 0 || !extras.every(isRow)) return undefined;
  const sources = visibility
    ? [third.source]
    : view.sources.filter(({ stride, channels }) => stride === piece.stride && channels === extras.length);
  for (const source of sources) {
    const forms = extras.flatMap((at, k) =>
      k % step < 2 ? [formOf(view, piece, at, source, from + k, k % step)] : [],
    );
    const [form] = forms;
    if (!form || forms.some((each) => each?.scale !== form.scale || each.point !== form.point)) continue;
    return {
      ...{ blob: source.blob, ...(from && { from }), count },
      ...(visibility && { visibility }),
      ...form,
    };
  }
  return undefined;
}

/** Scale and point of one number of a point: of x (axis 0) or y. */
function formOf(
  view: HeadView,
  piece: Piece,
  column: number,
  source: HeadSource,
  channel: number,
  axis: number,
): { scale: number; point: number } | undefined {
  const cells = sampleCells(piece);
  const seeds = Array.from({ length: Math.ceil(leastSamples / cells.length) }, (_, seed) => seed);
  const samples = seeds.flatMap((seed) => cells.map((cell) => ({ probe: view.probe(seed), cell })));
  const numbers = samples.map(({ probe, cell }) => numberAt(probe, piece, cell, column));
  const values = samples.map(({ probe, cell }) => probe.source(source, channel, cell));
  const { gridWidth, gridHeight, stride } = piece;
  const grid = samples.map(({ cell }) => (axis ? Math.floor(cell / gridWidth) : cell % gridWidth));
  const hasGrid = (axis ? gridHeight : gridWidth) > 1;
  const ones = numbers.map(() => 1);
  const fit = fitTo(numbers, hasGrid ? [values, ones, grid] : [values, ones], 2e-5);
  if (!fit) return undefined;
  const [slope, offset, unit = stride] = fit;
  // Only pixels: the boxes of these exports are in pixels.
  if (!isNear(unit / stride, 1) || !(slope > 0)) return undefined;
  const tidy = (value: number): number => Number((value / stride).toFixed(3));
  return { scale: tidy(slope), point: tidy(offset) };
}

/** Whether the parts of two levels differ in nothing but where they are. */
export function areAlike(a: Extras, b: Extras): boolean {
  const form = ({ points, mask, angle }: Extras): string =>
    JSON.stringify([
      points && [points.count, points.visibility, points.scale, points.point],
      mask && [mask.count, mask.prototypes],
      angle && [angle.radians],
    ]);
  return form(a) === form(b);
}
