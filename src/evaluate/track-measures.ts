/**
 * How well things were followed: CLEAR MOT (Bernardin and Stiefelhagen 2008), identity measures (Ristani et al. 2016) and HOTA (Luiten et
 * al. 2020), as trackeval counts them.
 */
import { assign } from "../base/assignment.ts";
import { epsilon, pairs, type TrackSequence } from "./track-sequence.ts";

/** CLEAR MOT at an overlap of 0.5. Shares are 0..1, MOTA and its kin also below 0. */
export interface ClearMot {
  /** 1 − (missed + wrong + switches) / labelled boxes. */
  MOTA: number;
  /** Mean overlap of what was found. */
  MOTP: number;
  /** As MOTA, without switches. */
  MODA: number;
  /** As MOTA, with overlap instead of the number of boxes found. */
  sMOTA: number;
  /** As MOTA, with the logarithm of the number of switches. */
  MOTAL: number;
  recall: number;
  precision: number;
  F1: number;
  TP: number;
  FN: number;
  FP: number;
  /** How often a labelled thing got another identity than it had last. */
  IDSW: number;
  /** Labelled things that were followed for more than 0.8 of their boxes, between, and for less than 0.2. */
  MT: number;
  PT: number;
  ML: number;
  /** How often following a labelled thing was interrupted and began again. */
  Frag: number;
}

/** Identities brought together once for the whole sequence. */
export interface IdentityMeasures {
  IDF1: number;
  IDR: number;
  IDP: number;
  IDTP: number;
  IDFN: number;
  IDFP: number;
}

/** At overlaps of 0.05 to 0.95. */
export const hotaThresholds: readonly number[] = Array.from({ length: 19 }, (_, i) => 0.05 + i * 0.05);

export type HotaName = "HOTA" | "DetA" | "AssA" | "DetRe" | "DetPr" | "AssRe" | "AssPr" | "LocA" | "OWTA";

/** Means over the 19 overlaps, 0..1. */
export interface Hota extends Record<HotaName, number> {
  /** At the least overlap, 0.05. */
  HOTA0: number;
  LocA0: number;
  HOTALocA0: number;
  /** At each of the overlaps. */
  readonly at: Readonly<Record<HotaName | "TP" | "FN" | "FP", readonly number[]>>;
}

/** What of CLEAR MOT adds up over sequences. */
export type ClearCounts = Pick<ClearMot, "TP" | "FN" | "FP" | "IDSW" | "MT" | "PT" | "ML" | "Frag"> & {
  overlap: number;
};

/** The same for HOTA, of each overlap; the association parts and `LocA` are sums over what was found. */
export interface HotaCounts {
  readonly TP: Float64Array;
  readonly FN: Float64Array;
  readonly FP: Float64Array;
  readonly AssA: Float64Array;
  readonly AssRe: Float64Array;
  readonly AssPr: Float64Array;
  readonly LocA: Float64Array;
}

const clearThreshold = 0.5;
/** More than any overlap, so that who was matched in the picture before stays matched. */
const stayBonus = 1000;

export function countClear(sequence: TrackSequence): ClearCounts {
  const { frames, truthIds, truthBoxes, foundBoxes } = sequence;
  const counts = { TP: 0, FN: truthBoxes, FP: foundBoxes, IDSW: 0, MT: 0, PT: 0, ML: 0, Frag: 0, overlap: 0 };
  if (!foundBoxes || !truthBoxes) return { ...counts, ML: foundBoxes ? 0 : truthIds };
  const [present, matched, begun] = [0, 0, 0].map(() => new Float64Array(truthIds));
  /** Whom a labelled thing was last, and in the picture before; −1 for nobody. */
  const last = new Int32Array(truthIds).fill(-1);
  let before = new Int32Array(truthIds).fill(-1);
  for (const { truths, found, overlaps } of frames) {
    for (const truth of truths) present[truth]++;
    if (!truths.length || !found.length) continue;
    const scores = overlaps.map((overlap, i) => {
      if (overlap < clearThreshold - epsilon) return 0;
      const stays = before[truths[Math.floor(i / found.length)]] === found[i % found.length];
      return -(stays ? stayBonus + overlap : overlap);
    });
    const now = new Int32Array(truthIds).fill(-1);
    for (const [i, k] of pairs(assign(scores, truths.length, found.length))) {
      if (!(scores[i * found.length + k] < -epsilon)) continue;
      const [truth, id] = [truths[i], found[k]];
      if (last[truth] >= 0 && last[truth] !== id) counts.IDSW++;
      if (before[truth] < 0) begun[truth]++;
      last[truth] = id;
      now[truth] = id;
      matched[truth]++;
      counts.TP++;
      counts.overlap += overlaps[i * found.length + k];
    }
    before = now;
  }
  counts.FN -= counts.TP;
  counts.FP -= counts.TP;
  for (let truth = 0; truth < truthIds; truth++) {
    const share = matched[truth] / present[truth];
    if (share > 0.8) counts.MT++;
    else if (share >= 0.2) counts.PT++;
    else counts.ML++;
    if (begun[truth]) counts.Frag += begun[truth] - 1;
  }
  return counts;
}

export function clearOf(counts: ClearCounts): ClearMot {
  const { overlap, ...whole } = counts;
  const { TP, FN, FP, IDSW } = counts;
  const part = (value: number, of: number): number => value / Math.max(1, of);
  return {
    MOTA: part(TP - FP - IDSW, TP + FN),
    MOTP: part(overlap, TP),
    MODA: part(TP - FP, TP + FN),
    sMOTA: part(overlap - FP - IDSW, TP + FN),
    MOTAL: part(TP - FP - (IDSW > 0 ? Math.log10(IDSW) : 0), TP + FN),
    recall: part(TP, TP + FN),
    precision: part(TP, TP + FP),
    F1: part(TP, TP + 0.5 * FN + 0.5 * FP),
    ...whole,
  };
}

export type IdentityCounts = Pick<IdentityMeasures, "IDTP" | "IDFN" | "IDFP">;

export function countIdentity(sequence: TrackSequence): IdentityCounts {
  const { frames, truthIds, foundIds, truthBoxes, foundBoxes } = sequence;
  const together = new Float64Array(truthIds * foundIds);
  for (const { truths, found, overlaps } of frames) {
    truths.forEach((truth, i) => {
      found.forEach((id, k) => {
        if (overlaps[i * found.length + k] >= clearThreshold) together[truth * foundIds + id]--;
      });
    });
  }
  // Fewest missed and wrong boxes together is most right ones.
  const matches = pairs(assign(together, truthIds, foundIds));
  const IDTP = matches.reduce((sum, [truth, id]) => sum - together[truth * foundIds + id], 0);
  return { IDTP, IDFN: truthBoxes - IDTP, IDFP: foundBoxes - IDTP };
}

export function identityOf(counts: IdentityCounts): IdentityMeasures {
  const { IDTP, IDFN, IDFP } = counts;
  return {
    IDF1: IDTP / Math.max(1, IDTP + 0.5 * IDFP + 0.5 * IDFN),
    IDR: IDTP / Math.max(1, IDTP + IDFN),
    IDP: IDTP / Math.max(1, IDTP + IDFP),
    ...{ IDTP, IDFN, IDFP },
  };
}

/** How much each labelled thing and each identity go together over the sequence, 0..1, `[truths, found]`. */
function alignment({ frames, truthIds, foundIds }: TrackSequence, present: Present): Float64Array {
  const together = new Float64Array(truthIds * foundIds);
  for (const { truths, found, overlaps } of frames) {
    const [down, across] = [new Float64Array(found.length), new Float64Array(truths.length)];
    overlaps.forEach((overlap, i) => {
      down[i % found.length] += overlap;
      across[Math.floor(i / found.length)] += overlap;
    });
    overlaps.forEach((overlap, at) => {
      const [i, k] = [Math.floor(at / found.length), at % found.length];
      const all = down[k] + across[i] - overlap;
      if (all > epsilon) together[truths[i] * foundIds + found[k]] += overlap / all;
    });
  }
  return together.map((both, i) => {
    const all = present.truth[Math.floor(i / foundIds)] + present.found[i % foundIds];
    return both / (all - both);
  });
}

/** In how many pictures each identity is. */
interface Present {
  readonly truth: Float64Array;
  readonly found: Float64Array;
}

export function countHota(sequence: TrackSequence): HotaCounts {
  const { frames, truthIds, foundIds, truthBoxes, foundBoxes } = sequence;
  const zeros = (): Float64Array => new Float64Array(hotaThresholds.length);
  const counts = {
    ...{ TP: zeros(), FN: zeros().fill(truthBoxes), FP: zeros().fill(foundBoxes) },
    ...{ AssA: zeros(), AssRe: zeros(), AssPr: zeros(), LocA: zeros() },
  };
  const present = { truth: new Float64Array(truthIds), found: new Float64Array(foundIds) };
  for (const { truths, found } of frames) {
    for (const truth of truths) present.truth[truth]++;
    for (const id of found) present.found[id]++;
  }
  const aligned = alignment(sequence, present);
  const matches = hotaThresholds.map(() => new Map<number, number>());
  for (const { truths, found, overlaps } of frames) {
    const scores = overlaps.map((overlap, at) => {
      const [truth, id] = [truths[Math.floor(at / found.length)], found[at % found.length]];
      return -aligned[truth * foundIds + id] * overlap;
    });
    for (const [i, k] of pairs(assign(scores, truths.length, found.length))) {
      const overlap = overlaps[i * found.length + k];
      const both = truths[i] * foundIds + found[k];
      hotaThresholds.forEach((threshold, a) => {
        if (!(overlap >= threshold - epsilon)) return;
        counts.TP[a]++;
        counts.LocA[a] += overlap;
        matches[a].set(both, (matches[a].get(both) ?? 0) + 1);
      });
    }
  }
  matches.forEach((pairsOf, a) => {
    counts.FN[a] -= counts.TP[a];
    counts.FP[a] -= counts.TP[a];
    for (const [both, count] of pairsOf) {
      const truth = present.truth[Math.floor(both / foundIds)];
      const found = present.found[both % foundIds];
      counts.AssA[a] += (count * count) / Math.max(1, truth + found - count);
      counts.AssRe[a] += (count * count) / Math.max(1, truth);
      counts.AssPr[a] += (count * count) / Math.max(1, found);
    }
  });
  return counts;
}

export function hotaOf(counts: HotaCounts): Hota {
  const { TP, FN, FP } = counts;
  const each = (value: (a: number) => number): number[] => hotaThresholds.map((_, a) => value(a));
  const association = (sums: Float64Array): number[] => each((a) => sums[a] / Math.max(1, TP[a]));
  const [AssA, AssRe, AssPr] = [counts.AssA, counts.AssRe, counts.AssPr].map(association);
  const DetRe = each((a) => TP[a] / Math.max(1, TP[a] + FN[a]));
  const DetA = each((a) => TP[a] / Math.max(1, TP[a] + FN[a] + FP[a]));
  const at = {
    ...{ HOTA: each((a) => Math.sqrt(DetA[a] * AssA[a])), DetA, AssA, DetRe },
    DetPr: each((a) => TP[a] / Math.max(1, TP[a] + FP[a])),
    ...{ AssRe, AssPr },
    // Nothing found is nothing found in the wrong place.
    LocA: each((a) => (TP[a] ? counts.LocA[a] / TP[a] : 1)),
    OWTA: each((a) => Math.sqrt(DetRe[a] * AssA[a])),
    ...{ TP: [...TP], FN: [...FN], FP: [...FP] },
  };
  const mean = (name: HotaName): number =>
    at[name].reduce((sum, value) => sum + value, 0) / hotaThresholds.length;
  return {
    ...{
      HOTA: mean("HOTA"),
      DetA: mean("DetA"),
      AssA: mean("AssA"),
      DetRe: mean("DetRe"),
      DetPr: mean("DetPr"),
    },
    ...{ AssRe: mean("AssRe"), AssPr: mean("AssPr"), LocA: mean("LocA"), OWTA: mean("OWTA") },
    ...{ HOTA0: at.HOTA[0], LocA0: at.LocA[0], HOTALocA0: at.HOTA[0] * at.LocA[0] },
    at,
  };
}
