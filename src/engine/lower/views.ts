/** What every blob of the graph is a view of, the steps made so far, and the steps that turn one kind of view into another. */
import { UnsupportedError } from "../../base/errors.ts";
import type { Graph, Node } from "../../ir/graph.ts";
import { elementCount, type Shape } from "../../ir/tensor.ts";
import type { PoolingOperator } from "../../kernels/operators.ts";
import { stridesOf } from "../../ops/shapes.ts";
import { type FusableStep, type FusedStep, outputsOf, type Step } from "../steps.ts";
import {
  type BlobView,
  type DenseView,
  type PictureView,
  Value,
  wholeMatrix,
  wholeValue,
} from "../values.ts";
import { fullAxis } from "../windows.ts";
import { isRowMajor } from "./_strides.ts";

/** How to read an output: a dense float32 value, or a picture of integers with rank 3. */
export type OutputView =
  | { readonly kind: "dense"; readonly value: Value; readonly shape: Shape }
  | { readonly kind: "int8"; readonly view: PictureView; readonly value: Value; readonly shape: Shape };

/** Where a gather's picture goes in its output, and how much larger it becomes. */
interface Placement {
  readonly scaleY?: number;
  readonly scaleX?: number;
  readonly nodes?: string[];
}

export interface LowerOptions {
  /** An input blob of rank 3 that is not fed, but made of pixels. */
  readonly placed?: string;
  /** Whether pictures may be given borders, so that strided readers want copies of those that are not theirs alone. Default true. */
  readonly hasBorders?: boolean;
}

export class Views {
  readonly steps: Step[] = [];
  readonly values: Value[] = [];
  readonly inputs = new Map<string, { value: Value; shape: Shape }>();
  /** The input blob that is made of pixels, if there is one, and its picture. */
  readonly placedBlob: string | undefined;
  placed: Value | undefined;
  private readonly views = new Map<string, BlobView>();
  /** The blobs that show (part of) a value. */
  private readonly blobsOf = new Map<Value, string[]>();
  private readonly pools = new Map<string, Value>();
  private readonly shapes: ReadonlyMap<string, Shape>;
  private readonly hasBorders: boolean;
  private readonly wanted: ReadonlySet<string>;
  private readonly readers: ReadonlyMap<string, readonly Node[]>;
  /** Blobs that some node reads as a strided tensor: their pictures must have no border. */
  private readonly stridedReads: Set<string>;

  constructor(
    graph: Graph,
    shapes: ReadonlyMap<string, Shape>,
    wanted: ReadonlySet<string>,
    stridedReads: Set<string>,
    { placed, hasBorders = true }: LowerOptions = {},
  ) {
    this.placedBlob = placed;
    this.hasBorders = hasBorders;
    this.shapes = shapes;
    this.wanted = wanted;
    this.readers = graph.consumers();
    this.stridedReads = stridedReads;
  }

  shapeOf(blob: string): Shape {
    return this.shapes.get(blob)!;
  }

  // ---- values and steps

  value(name: string, channels: number, height: number, width: number): Value {
    const value = new Value(this.values.length, name, channels, height, width);
    this.values.push(value);
    return value;
  }

  /** A new dense row-major tensor. */
  dense(name: string, shape: Shape): Value {
    const value = this.value(name, elementCount(shape), 1, 1);
    value.order.fix();
    value.pinned = true;
    return value;
  }

  /** A new picture for a matrix: width 1, a pixel for each row, a channel for each column. */
  matrixValue(name: string, [rows, columns]: Shape): Value {
    const value = this.value(name, columns, rows, 1);
    value.order.fix();
    value.pinned = true;
    return value;
  }

  /** A new picture of the same size, for `blob`. */
  like(value: Value, blob: string): Value {
    if (this.shapeOf(blob).length === 2) return this.matrixValue(blob, this.shapeOf(blob));
    return this.value(blob, value.channels, value.height, value.width);
  }

  add<S extends Step>(step: S): S {
    for (const value of outputsOf(step)) value.producer = this.steps.length;
    this.steps.push(step);
    return step;
  }

  // ---- what blobs show

  view(blob: string): BlobView {
    return this.views.get(blob)!;
  }

  setView(blob: string, view: BlobView): void {
    this.views.set(blob, view);
    const values = view.kind === "dense" ? [view.value] : view.channels.map((ref) => ref.value);
    for (const value of new Set(values)) {
      const blobs = this.blobsOf.get(value);
      if (blobs) blobs.push(blob);
      else this.blobsOf.set(value, [blob]);
    }
  }

  /** Declares that `blob` is another name of `of`. */
  setAlias(blob: string, of: string): void {
    if (this.stridedReads.has(blob)) this.stridedReads.add(of);
    this.setView(blob, this.view(of));
  }

  /** Declares that `blob` is all of `value`, a picture of the blob's shape (for a matrix: see `matrixValue`). */
  setPicture(blob: string, value: Value, int8Scale?: number): void {
    const shape = this.shapeOf(blob);
    if (shape.length === 2) {
      this.setView(blob, { kind: "dense", value, shape, strides: [value.slotCount, 1], offset: 0 });
      return;
    }
    if (this.stridedReads.has(blob)) value.pinned = true;
    const channels = Array.from({ length: value.channels }, (_, channel) => ({ value, channel }));
    this.setView(blob, {
      kind: "picture",
      rank: shape.length === 1 ? 1 : 3,
      height: value.height,
      width: value.width,
      channels,
      int8Scale,
    });
  }

  setDense(blob: string, value: Value): void {
    const shape = this.shapeOf(blob);
    this.setView(blob, { kind: "dense", value, shape, strides: stridesOf(shape), offset: 0 });
  }

  isInteger(blob: string): boolean {
    const view = this.view(blob);
    return view.kind === "picture" && view.int8Scale !== undefined;
  }

  /** The picture that a blob of rank 2 lies in already, if there is one. */
  knownMatrix(blob: string): Value | undefined {
    const view = this.view(blob);
    return view.kind === "dense" && view.shape.length === 2 ? wholeMatrix(view) : undefined;
  }

  /** The step that makes all of a private blob and can still take work along. */
  fusable(blob: string): FusableStep | undefined {
    const view = this.view(blob);
    const value = view.kind === "picture" ? wholeValue(view) : this.knownMatrix(blob);
    if (!value || value.producer < 0) return undefined;
    // The blob may be another name of one that has other readers.
    if (!this.blobsOf.get(value)?.every((other) => this.isPrivate(other))) return undefined;
    const step = this.steps[value.producer];
    return "fused" in step ? step : undefined;
  }

  /** Does the work of `node` in the step that makes its input, whose output is then the node's. */
  fuse(step: FusableStep, node: Node, done: FusedStep, int8Scale?: number): true {
    step.fused.push(done);
    step.nodes.push(node.name);
    this.setPicture(node.outputs[0], step.output, int8Scale);
    return true;
  }

  /** Whether a single node, and nobody else, sees the blob. */
  private isPrivate(blob: string): boolean {
    return !this.wanted.has(blob) && this.readers.get(blob)!.length === 1;
  }

  // ---- one kind of view from another

  /** A blob of rank 1 or 3 as a picture. */
  picture(blob: string): PictureView {
    const view = this.view(blob);
    if (view.kind === "picture") return view;
    const [channels, height, width] = view.shape.length === 1 ? [view.shape[0], 1, 1] : view.shape;
    const input = this.linear(blob);
    const output = this.value(`${blob}.picture`, channels, height, width);
    output.order.fix();
    this.add({ kind: "import", nodes: [], input, output });
    this.setPicture(blob, output);
    return this.view(blob) as PictureView;
  }

  /** A blob of rank 2 as a picture of its rows (`matrixValue`). */
  matrix(blob: string): Value {
    const known = this.knownMatrix(blob);
    if (known) return known;
    const view = this.strided(blob);
    const [rows, columns] = view.shape;
    const output = this.matrixValue(`${blob}.matrix`, view.shape);
    if (columns % 4 === 0) {
      this.add({ kind: "copy", nodes: [], input: view, output });
      return output;
    }
    const [rowStride, columnStride] = view.strides;
    const shape = [columns, rows, 1];
    const planes = this.dense(`${blob}.planes`, shape);
    const input: DenseView = { ...view, shape, strides: [columnStride, rowStride, 0] };
    this.add({ kind: "copy", nodes: [], input, output: planes });
    this.add({ kind: "import", nodes: [], input: planes, output });
    return output;
  }

  /** A picture or matrix blob as one value in natural channel order; channels from elsewhere are copied together. */
  whole(blob: string): Value {
    if (this.shapeOf(blob).length === 2) return this.matrix(blob);
    const view = this.picture(blob);
    return wholeValue(view) ?? this.gather(view, `${blob}.gathered`);
  }

  /** Channels copied into a value of their own, each pixel repeated by whole factors. */
  gather(view: PictureView, name: string, { scaleY = 1, scaleX = 1, nodes = [] }: Placement = {}): Value {
    const output = this.value(name, view.channels.length, view.height * scaleY, view.width * scaleX);
    this.add({ kind: "gather", nodes, input: view, scaleY, scaleX, output });
    return output;
  }

  /** A number for each channel of a value. What shows parts of values shares them: nothing is ever fused into these. */
  pooled(value: Value, operator: PoolingOperator, node: Node, isWhole: boolean): Value {
    const key = `${value.id} ${operator}`;
    const known = isWhole ? undefined : this.pools.get(key);
    if (known) return known;
    const output = this.value(node.outputs[0], value.channels, 1, 1);
    output.order.tie(value.order);
    const [y, x] = [fullAxis(value.height), fullAxis(value.width)];
    const nodes = [node.name];
    this.add({ kind: "pooling", nodes, input: value, operator, y, x, divisor: "kernel", fused: [], output });
    if (!isWhole) this.pools.set(key, output);
    return output;
  }

  /** Any blob as a strided float32 tensor. Throws UnsupportedError for integers. */
  strided(blob: string): DenseView {
    const view = this.view(blob);
    if (view.kind === "dense") return view;
    if (view.int8Scale !== undefined) {
      throw new UnsupportedError(
        `the int8 blob "${blob}" cannot be reshaped; let its layer give floats (8=2)`,
      );
    }
    let value = wholeValue(view);
    if (!value || (this.hasBorders && !value.pinned)) {
      value = this.gather(view, `${blob}.strided`);
      value.pinned = true;
    }
    value.order.fix();
    const shape = this.shapeOf(blob);
    const slots = value.slotCount;
    const strides = shape.length === 1 ? [1] : [1, value.width * slots, slots];
    return { kind: "dense", value, shape, strides, offset: 0 };
  }

  /** Any blob as a dense row-major value of its own. */
  linear(blob: string): Value {
    const view = this.strided(blob);
    const isVector = view.value.width === 1 && view.value.height === 1;
    const isAll = view.offset === 0 && elementCount(view.shape) === view.value.channels;
    if (isVector && isAll && isRowMajor(view)) return view.value;
    const output = this.dense(`${blob}.dense`, view.shape);
    this.add({ kind: "copy", nodes: [], input: view, output });
    return output;
  }

  output(blob: string): OutputView {
    const view = this.view(blob);
    const shape = this.shapeOf(blob);
    if (view.kind === "picture" && view.int8Scale !== undefined) {
      const value = wholeValue(view) ?? this.gather(view, `${blob}.integers`);
      return { kind: "int8", view, value, shape };
    }
    return { kind: "dense", value: this.linear(blob), shape };
  }
}
