/** Ranges and histograms of blobs. Counts and extremes are exact in any order. */
import { BlobObservation, mergeObservations, type Observations, observe } from "../quantize/index.ts";
import type { Output, Subject, Tally } from "./tally.ts";

type Written = Record<string, ReturnType<BlobObservation["write"]>>;

export class Histograms<P> implements Tally<P> {
  readonly kind = "histograms";
  readonly borrows = true;
  readonly settings: readonly string[];
  readonly graphs: readonly [Subject<P>];
  readonly blobs: readonly [readonly string[]];
  readonly observations: Observations = new Map();

  constructor(subject: Subject<P>, blobs: readonly string[]) {
    this.settings = blobs;
    this.graphs = [subject];
    this.blobs = [blobs];
  }

  add([{ values }]: readonly Output[]): void {
    observe(this.observations, Object.fromEntries(this.settings.map((blob) => [blob, values[blob]])));
  }

  merge(other: Histograms<P>): void {
    if (other.observations.size) mergeObservations(this.observations, other.observations);
  }

  write(): Written {
    return Object.fromEntries([...this.observations].map(([blob, each]) => [blob, each.write()]));
  }

  read(written: Written): this {
    const like = new Histograms(this.graphs[0], this.settings);
    for (const [blob, each] of Object.entries(written)) {
      like.observations.set(blob, BlobObservation.read(each));
    }
    return like as this;
  }
}
