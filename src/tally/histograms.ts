/** Ranges and histograms of blobs. Counts and extremes are exact in any order. */
import { type Extremes, extremesOf, type Tensor } from "../ir/tensor.ts";
import { BlobObservation, mergeObservations, type Observations, observe } from "../quantize/index.ts";
import type { Output, Subject, Tally } from "./tally.ts";

type Written = Record<string, ReturnType<BlobObservation["write"]>>;

export class Histograms<P> implements Tally<P> {
  readonly kind = "histograms";
  readonly borrows = true;
  readonly settings: { readonly blobs: readonly string[]; readonly rangesOnly: boolean };
  readonly graphs: readonly [Subject<P>];
  readonly blobs: readonly [readonly string[]];
  readonly observations: Observations = new Map();

  /** `rangesOnly`: no value is counted, which takes a fraction of the time. */
  constructor(subject: Subject<P>, blobs: readonly string[], { rangesOnly = false } = {}) {
    this.settings = { blobs, rangesOnly };
    this.graphs = [subject];
    this.blobs = [blobs];
  }

  get wantsExtremes(): boolean {
    return this.settings.rangesOnly;
  }

  add([{ values, extremes }]: readonly Output[]): void {
    const seen = (blob: string): Tensor | Extremes =>
      this.wantsExtremes ? (extremes?.[blob] ?? extremesOf(values[blob])) : values[blob];
    observe(this.observations, Object.fromEntries(this.settings.blobs.map((blob) => [blob, seen(blob)])));
  }

  merge(other: Histograms<P>): void {
    if (other.observations.size) mergeObservations(this.observations, other.observations);
  }

  write(): Written {
    return Object.fromEntries([...this.observations].map(([blob, each]) => [blob, each.write()]));
  }

  read(written: Written): this {
    const like = new Histograms(this.graphs[0], this.settings.blobs, this.settings);
    for (const [blob, each] of Object.entries(written)) {
      like.observations.set(blob, BlobObservation.read(each));
    }
    return like as this;
  }
}
