/** Tracks against labelled ones: sequence by sequence, and all together. */
import { described, expectKind } from "../base/arguments.ts";
import { UsageError, withContext } from "../base/errors.ts";
import type { TrackRow } from "./mot-text.ts";
import {
  type ClearCounts,
  type ClearMot,
  clearOf,
  countClear,
  countHota,
  countIdentity,
  type Hota,
  type HotaCounts,
  hotaOf,
  hotaThresholds,
  type IdentityCounts,
  type IdentityMeasures,
  identityOf,
} from "./track-measures.ts";
import { sequenceOf, type TrackRules, trackRules } from "./track-sequence.ts";

/** A sequence of pictures: who is where, and who was found where. */
export interface TrackedSequence {
  readonly name: string;
  readonly truth: readonly TrackRow[];
  readonly result: readonly TrackRow[];
}

/** How well things were followed. */
export interface TrackMeasures {
  readonly name: string;
  /** Labelled boxes and things, boxes and identities of the result. */
  readonly counts: { truthBoxes: number; truthIds: number; foundBoxes: number; foundIds: number };
  readonly clear: ClearMot;
  readonly identity: IdentityMeasures;
  readonly hota: Hota;
}

/** All sequences, and what their counts together give. */
export interface TrackEvaluation {
  readonly sequences: readonly TrackMeasures[];
  readonly combined: TrackMeasures;
}

/**
 * Measures tracks: MOTA and its parts, IDF1 and its parts, HOTA and its parts, equal to trackeval's. Rows may be in any order.
 *
 * ```ts
 * const truth = parseTracks(await readFile("gt.txt", "utf8"), "gt.txt");
 * const { combined } = evaluateTracks([{ name: "door", truth, result }]);
 * combined.clear.MOTA; // 0.97…
 * ```
 * Throws UsageError for wrong arguments, and where the rules need classes that the labels lack.
 */
export function evaluateTracks(
  sequences: readonly TrackedSequence[],
  options: { rules?: TrackRules } = {},
): TrackEvaluation {
  expectKind("evaluateTracks: sequences", sequences, "a list");
  expectKind("evaluateTracks: options", options, "an object of options");
  const { rules = "all" } = options;
  if (!trackRules.includes(rules)) {
    throw new UsageError(`rules is ${described(rules)}, expected ${trackRules.join(", ")}`);
  }
  const counted = sequences.map((each) => countsOf(each, rules));
  return {
    sequences: counted.map(({ name, counts, clear, identity, hota }) => ({
      ...{ name, counts, identity: identityOf(identity), hota: hotaOf(hota) },
      // As trackeval has it: where nothing is labelled or nothing found, there is nothing to measure.
      clear: counts.truthBoxes && counts.foundBoxes ? clearOf(clear) : nothing(clear),
    })),
    combined: {
      name: "all",
      counts: summed(counted.map(({ counts }) => counts)),
      clear: clearOf(summed(counted.map(({ clear }) => clear))),
      identity: identityOf(summed(counted.map(({ identity }) => identity))),
      hota: hotaOf(summedArrays(counted.map(({ hota }) => hota))),
    },
  };
}

interface Counted {
  readonly name: string;
  readonly counts: TrackMeasures["counts"];
  readonly clear: ClearCounts;
  readonly identity: IdentityCounts;
  readonly hota: HotaCounts;
}

function countsOf(given: TrackedSequence, rules: TrackRules): Counted {
  expectKind("evaluateTracks: a sequence", given, "an object");
  const { name, truth, result } = given;
  expectKind("evaluateTracks: truth", truth, "a list of boxes of tracks ({ frame, id, box, score })");
  expectKind("evaluateTracks: result", result, "a list of boxes of tracks ({ frame, id, box, score })");
  try {
    const sequence = sequenceOf(truth, result, rules);
    const { truthBoxes, truthIds, foundBoxes, foundIds } = sequence;
    const counts = { truthBoxes, truthIds, foundBoxes, foundIds };
    const clear = countClear(sequence);
    return { name, counts, clear, identity: countIdentity(sequence), hota: countHota(sequence) };
  } catch (error) {
    throw withContext(name, error);
  }
}

function nothing(counts: ClearCounts): ClearMot {
  const shares = { MOTA: 0, MOTP: 0, MODA: 0, sMOTA: 0, MOTAL: 0, recall: 0, precision: 0, F1: 0 };
  return { ...clearOf(counts), ...shares };
}

function summed<T extends object>(all: readonly T[]): T {
  const sums: Record<string, number> = {};
  for (const each of all) {
    for (const [name, value] of Object.entries(each)) sums[name] = (sums[name] ?? 0) + Number(value);
  }
  return sums as T;
}

function summedArrays(all: readonly HotaCounts[]): HotaCounts {
  const add = (name: keyof HotaCounts): Float64Array =>
    Float64Array.from(hotaThresholds, (_, a) => all.reduce((sum, each) => sum + each[name][a], 0));
  return {
    ...{ TP: add("TP"), FN: add("FN"), FP: add("FP"), LocA: add("LocA") },
    ...{ AssA: add("AssA"), AssRe: add("AssRe"), AssPr: add("AssPr") },
  };
}
