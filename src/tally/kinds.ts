/** All kinds of tallies, by name: what a process makes that another one asks for a part of a pass. */
import { UsageError } from "../base/errors.ts";
import { Detections } from "./detections.ts";
import { Differences } from "./differences.ts";
import { EqTally } from "./eq.ts";
import { Histograms } from "./histograms.ts";
import { focusBy, importanceBy } from "./importance.ts";
import { Moments } from "./moments.ts";
import type { EvaluationItem } from "./pictures.ts";
import { RangesTally } from "./ranges.ts";
import { Shift } from "./shift.ts";
import type { Subject, Tally } from "./tally.ts";

type Subjects = readonly Subject<EvaluationItem>[];
type Kind = (subjects: Subjects, settings: never) => Tally<EvaluationItem>;

const kinds: { readonly [name: string]: Kind } = {
  histograms: ([subject], { blobs, ...how }: Histograms<unknown>["settings"]) =>
    new Histograms(subject, blobs, how),
  ranges: ([subject], { wanted, of }: RangesTally<unknown>["settings"]) =>
    new RangesTally(subject, wanted, of && focusBy(of)),
  moments: ([subject], { activations, of }: Moments<unknown>["settings"]) =>
    new Moments(subject, new Map(activations), of && focusBy(of)),
  eq: ([subject]) => new EqTally(subject),
  shift: ([float, int8], of: NonNullable<Shift<unknown>["settings"]>) => {
    const importance = importanceBy(of);
    if (!importance) throw new UsageError("shift: no heads, expected those of a detector");
    return new Shift(float, int8, importance);
  },
  detections: (subjects, { detectors, sigmas }: Detections["settings"]) =>
    new Detections(subjects, detectors, sigmas),
  differences: ([reference, candidate]) => new Differences(reference, candidate),
};

/** An empty tally of a kind. Throws UsageError for an unknown one. */
export function tallyOf(kind: string, subjects: Subjects, settings: unknown): Tally<EvaluationItem> {
  if (!Object.hasOwn(kinds, kind)) {
    throw new UsageError(`a tally of kind "${kind}": expected one of ${Object.keys(kinds).join(", ")}`);
  }
  return kinds[kind](subjects, settings as never);
}
