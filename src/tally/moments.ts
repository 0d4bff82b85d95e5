/** What weight rounding and bias correction need: samples of what each layer reads, chosen by the number of the picture. */
import type { CalibrationTable } from "../formats/table.ts";
import { CorrectionStatistics, type Focus, type OfHeads, quantizableLayers } from "../quantize/index.ts";
import { focusMapOf } from "./_focus.ts";
import type { Numbered, Output, Subject, Tally } from "./tally.ts";

type Written = ReturnType<CorrectionStatistics["write"]>;

export class Moments<P> implements Tally<P> {
  readonly kind: string | undefined;
  readonly borrows = true;
  readonly settings: { readonly of: OfHeads | undefined; readonly activations: readonly [string, number][] };
  readonly graphs: readonly [Subject<P>];
  readonly blobs: readonly [readonly string[]];
  readonly statistics: CorrectionStatistics;
  private readonly focus: Focus | undefined;

  /** `activations`: scale of each layer's input. */
  constructor(subject: Subject<P>, activations: CalibrationTable["activations"], focus: Focus | undefined) {
    const layers = quantizableLayers(subject.graph);
    this.kind = focus && !focus.of ? undefined : "moments";
    this.settings = { of: focus?.of, activations: [...activations] };
    this.graphs = [subject];
    this.blobs = [[...layers.map(({ input }) => input), ...(focus?.blobs ?? [])]];
    this.statistics = new CorrectionStatistics(layers, activations);
    this.focus = focus;
  }

  add([output]: readonly Output[], { index }: Numbered<P>): void {
    this.statistics.add(output.values, index, focusMapOf(this.focus, output));
  }

  merge(other: Moments<P>): void {
    this.statistics.merge(other.statistics);
  }

  write(): Written {
    return this.statistics.write();
  }

  read(written: Written): this {
    const like = new Moments(this.graphs[0], new Map(this.settings.activations), this.focus);
    like.statistics.read(written);
    return like as this;
  }
}
