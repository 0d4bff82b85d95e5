/** Ranges of the channels of blobs, what counts at objects included; and the sizes of pictures. */

import type { Shape } from "../ir/tensor.ts";
import { addRanges, ChannelRanges, type Focus, type OfHeads, type Ranges } from "../quantize/index.ts";
import { focusMapOf } from "./_focus.ts";
import type { Numbered, Output, Subject, Tally } from "./tally.ts";

interface Written {
  readonly ranges: Record<string, ReturnType<ChannelRanges["write"]>>;
  readonly first: First | undefined;
}
/** The picture with the least number. */
interface First {
  readonly index: number;
  readonly shapes: Record<string, Shape>;
}

export class RangesTally<P> implements Tally<P> {
  readonly kind: string | undefined;
  readonly borrows = true;
  readonly settings: { readonly of: OfHeads | undefined; readonly wanted: readonly string[] };
  readonly graphs: readonly [Subject<P>];
  readonly blobs: readonly [readonly string[]];
  readonly ranges: Ranges = new Map();
  private readonly focus: Focus | undefined;
  private first: First | undefined;

  constructor(subject: Subject<P>, wanted: readonly string[], focus: Focus | undefined) {
    this.kind = focus && !focus.of ? undefined : "ranges";
    this.settings = { of: focus?.of, wanted };
    this.graphs = [subject];
    this.blobs = [[...wanted, ...(focus?.blobs ?? [])]];
    this.focus = focus;
  }

  /** Shapes of the inputs of the first picture; none without one. */
  get shapes(): Record<string, Shape> {
    return this.first?.shapes ?? {};
  }

  add([output]: readonly Output[], { index }: Numbered<P>): void {
    const { values, inputs } = output;
    const read = Object.fromEntries(this.settings.wanted.map((blob) => [blob, values[blob]]));
    addRanges(this.ranges, read, focusMapOf(this.focus, output));
    const shapes = Object.fromEntries(Object.entries(inputs).map(([blob, { shape }]) => [blob, shape]));
    this.begin({ index, shapes });
  }

  private begin(first: First | undefined): void {
    if (first && !(first.index >= (this.first?.index ?? Number.POSITIVE_INFINITY))) this.first = first;
  }

  merge(other: RangesTally<P>): void {
    for (const [blob, ranges] of other.ranges) {
      const known = this.ranges.get(blob) ?? new ChannelRanges();
      this.ranges.set(blob, known);
      known.merge(ranges);
    }
    this.begin(other.first);
  }

  write(): Written {
    const ranges = Object.fromEntries([...this.ranges].map(([blob, each]) => [blob, each.write()]));
    return { ranges, first: this.first };
  }

  read({ ranges, first }: Written): this {
    const like = new RangesTally(this.graphs[0], this.settings.wanted, this.focus);
    for (const [blob, each] of Object.entries(ranges)) like.ranges.set(blob, ChannelRanges.read(each));
    like.begin(first);
    return like as this;
  }
}
