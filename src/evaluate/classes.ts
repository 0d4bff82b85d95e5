/** Models that sort pictures: how often the right class is the first or among the first five, and how often two models agree. */

import type { Accuracy } from "./accuracy.ts";
import { type Change, changeOf } from "./bootstrap.ts";
import type { Fidelity, ScoreChange, ScorePair } from "./fidelity.ts";
import type { DetectionRow, GroundTruth, ImageId } from "./rows.ts";

const bestFirst = (rows: readonly DetectionRow[]): DetectionRow[] =>
  rows.toSorted((a, b) => b.score - a.score);

/** The right class of a picture, and its place among those found, 0 the first. */
interface Sorted {
  readonly category: number;
  readonly rank: number;
}

/** Collects pictures of one model: each with the one class that it is labelled with, and the scores of all classes. */
export class ClassAccuracy {
  private readonly pictures: Sorted[] = [];

  /** What a picture says, as plain data; of equal scores those first that come first. Nothing without a label. */
  of(_image: ImageId, [truth]: readonly GroundTruth[], found: readonly DetectionRow[]): Sorted | undefined {
    if (!truth) return undefined;
    const rank = bestFirst(found).findIndex(({ category }) => category === truth.category);
    return { category: truth.category, rank: rank < 0 ? Number.POSITIVE_INFINITY : rank };
  }

  /** Adds a picture that `of` was asked about, here or elsewhere. */
  take(picture: Sorted | undefined): void {
    if (picture) this.pictures.push(picture);
  }

  result(): Accuracy {
    const share = (places: number, of = this.pictures) =>
      of.length ? of.filter(({ rank }) => rank < places).length / of.length : -1;
    const categories = [...new Set(this.pictures.map(({ category }) => category))].sort((a, b) => a - b);
    const perClass = categories.map((category) => {
      const of = this.pictures.filter((picture) => picture.category === category);
      return { category, pictures: of.length, top1: share(1, of), top5: share(5, of) };
    });
    return { top: { top1: share(1), top5: share(5), perClass } };
  }

  /** Top-1 less that of another model, on the same pictures. */
  changeFrom(first: this): Change | undefined {
    const differences = this.pictures.map(
      ({ rank }, i) => Number(rank === 0) - Number(first.pictures[i].rank === 0),
    );
    const count = differences.length;
    if (count < 2) return undefined;
    const mean = (times: Float64Array) =>
      differences.reduce((sum, each, i) => sum + each * times[i], 0) / count;
    return changeOf(mean, mean(new Float64Array(count).fill(1)), count);
  }
}

/**
 * How often two models put a picture into the same class, as `Fidelity`: its objects are the pictures, and a score change is that of the
 * reference's class in pictures on which they agree.
 */
export class ClassAgreement {
  private readonly pairs: ScorePair[] = [];
  private missing = 0;

  /** What a picture says, as plain data; nothing where the reference has no class. */
  of(
    image: ImageId,
    reference: readonly DetectionRow[],
    candidate: readonly DetectionRow[],
  ): ScorePair | "other" | undefined {
    const [first] = bestFirst(reference);
    const [second] = bestFirst(candidate);
    if (!first) return undefined;
    const { category, score } = first;
    if (second?.category !== category) return "other";
    return { image, category, size: "large", reference: score, candidate: second.score };
  }

  /** Adds a picture that `of` was asked about, here or elsewhere. */
  take(picture: ScorePair | "other" | undefined): void {
    if (picture === "other") this.missing++;
    else if (picture) this.pairs.push(picture);
  }

  result(): Fidelity {
    const { pairs, missing } = this;
    const objects = pairs.length + missing;
    const sum = pairs.reduce((total, pair) => total + (pair.candidate - pair.reference) / pair.reference, 0);
    const none: ScoreChange = { change: null, matched: 0, missing: 0 };
    return {
      ...{ objects, pairs, small: none, medium: none, large: none },
      fidelity: objects ? pairs.length / objects : -1,
      all: { change: pairs.length ? sum / pairs.length : null, matched: pairs.length, missing },
    };
  }
}
