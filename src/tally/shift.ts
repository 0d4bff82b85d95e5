/**
 * How far the outputs of an int8 network are from those of the float one where it matters. Values are traced to layers at one size of the
 * inputs, so that there is one measurement for each size; that of the picture with the least number counts.
 */
import type { Shape } from "../ir/tensor.ts";
import { type Corrections, type Importance, type OfHeads, OutputShift } from "../quantize/index.ts";
import type { Numbered, Output, Subject, Tally } from "./tally.ts";

interface Sized {
  /** Least number of a picture of this size. */
  first: number;
  readonly shapes: Record<string, Shape>;
  readonly shift: OutputShift;
}
type Written = { first: number; shapes: Record<string, Shape>; shift: ReturnType<OutputShift["write"]> }[];

export class Shift<P> implements Tally<P> {
  readonly kind: string | undefined;
  readonly settings: OfHeads | undefined;
  readonly graphs: readonly [float: Subject<P>, int8: Subject<P>];
  readonly blobs: readonly (readonly string[])[];
  private readonly importance: Importance;
  private readonly sizes = new Map<string, Sized>();

  constructor(float: Subject<P>, int8: Subject<P>, importance: Importance) {
    this.kind = importance.of && "shift";
    this.settings = importance.of;
    this.graphs = [float, int8];
    this.blobs = [float.graph.outputs, int8.graph.outputs];
    this.importance = importance;
  }

  add([float, int8]: readonly Output[], { index }: Numbered<P>): void {
    const shapes = Object.fromEntries(Object.entries(float.inputs).map(([blob, { shape }]) => [blob, shape]));
    this.of(shapes, index).add(float.values, int8.values);
  }

  private of(shapes: Record<string, Shape>, index: number): OutputShift {
    const key = JSON.stringify(shapes);
    let sized = this.sizes.get(key);
    if (!sized) {
      sized = { first: index, shapes, shift: new OutputShift(this.graphs[0].graph, shapes, this.importance) };
      this.sizes.set(key, sized);
    }
    sized.first = Math.min(sized.first, index);
    return sized.shift;
  }

  /** Whether no output leads to a layer whose bias could be changed. */
  isFull(): boolean {
    const sizes = [...this.sizes.values()];
    return sizes.length > 0 && sizes.every(({ shift }) => shift.outputs.length === 0);
  }

  merge(other: Shift<P>): void {
    for (const { first, shapes, shift } of other.sizes.values()) this.of(shapes, first).merge(shift);
  }

  write(): Written {
    return [...this.sizes.values()].map(({ shift, ...rest }) => ({ ...rest, shift: shift.write() }));
  }

  read(written: Written): this {
    const like = new Shift(...this.graphs, this.importance);
    for (const { first, shapes, shift } of written) like.of(shapes, first).read(shift);
    return like as this;
  }

  /** Adds the shifts to the biases of the last layers. */
  apply(corrections: Corrections): void {
    const [first] = [...this.sizes.values()].sort((a, b) => a.first - b.first);
    first?.shift.apply(corrections);
  }
}
