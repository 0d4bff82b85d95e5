/** Samples for `eq`, by the numbers of their pictures. */
import { EqSamples, quantizableLayers } from "../quantize/index.ts";
import type { Numbered, Output, Subject, Tally } from "./tally.ts";

export class EqTally<P> implements Tally<P> {
  readonly kind = "eq";
  readonly settings = undefined;
  readonly graphs: readonly [Subject<P>];
  readonly blobs: readonly [readonly string[]];
  readonly samples: EqSamples;

  constructor(subject: Subject<P>) {
    const layers = quantizableLayers(subject.graph);
    this.graphs = [subject];
    this.blobs = [layers.map(({ input }) => input)];
    this.samples = new EqSamples(layers);
  }

  add([{ values }]: readonly Output[], { index }: Numbered<P>): void {
    this.samples.add(values, index);
  }

  merge(other: EqTally<P>): void {
    for (const [index, patches] of other.samples.pictures) this.samples.pictures.set(index, patches);
  }

  write(): [number, readonly Float32Array[]][] {
    return [...this.samples.pictures];
  }

  read(written: [number, readonly Float32Array[]][]): this {
    const like = new EqTally(this.graphs[0]);
    for (const [index, patches] of written) like.samples.pictures.set(index, patches);
    return like as this;
  }
}
