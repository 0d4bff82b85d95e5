/**
 * Graph to steps: chooses a kernel for every node, turns data movement into views, and fuses activations and residual
 * additions into the steps that make their inputs. Nothing here knows an address or an order of channels.
 */
import type { Activation } from "../base/activation.ts";
import { GraphError, UnsupportedError } from "../base/errors.ts";
import { brief } from "../base/text.ts";
import { type Graph, inferShapes, type Node, opOf } from "../ir/graph.ts";
import { type Op, resolveParams } from "../ir/op.ts";
import { elementCount, type Shape, sameShape } from "../ir/tensor.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import type { BinaryOperator } from "../kernels/wasm/index.ts";
import { activationTypes } from "../ops/_activation.ts";
import { quantize } from "../ops/_int8.ts";
import { type WindowAxis, type WindowParams, windowAxes } from "../ops/_spatial.ts";
import { binaryOpTypes, broadcast } from "../ops/binary-op.ts";
import { cropBox } from "../ops/crop.ts";
import { eltwiseTypes } from "../ops/eltwise.ts";
import { ops } from "../ops/index.ts";
import { interpTaps, resizeTypes } from "../ops/interp.ts";
import { permutation } from "../ops/permute.ts";
import { padModes, poolingTypes } from "../ops/pooling.ts";
import {
  type BlobView,
  type DenseView,
  type PictureView,
  pictureOf,
  Value,
  wholeMatrix,
  wholeValue,
} from "./layout.ts";
import { moreLayers } from "./lower-dense.ts";
import type { ElementwiseOperand, FusableStep, FusedStep, Int8Scales, Step } from "./steps.ts";

/** What must be handed to and fetched from the network, by blob. */
export interface Lowered {
  readonly steps: Step[];
  readonly values: Value[];
  readonly inputs: ReadonlyMap<string, { value: Value; shape: Shape }>;
  readonly outputs: ReadonlyMap<string, OutputView>;
  readonly shapes: ReadonlyMap<string, Shape>;
}

/** How to read an output: a dense float32 value, or a picture of integers with rank 3. */
export type OutputView =
  | { readonly kind: "dense"; readonly value: Value; readonly shape: Shape }
  | { readonly kind: "int8"; readonly view: PictureView; readonly value: Value; readonly shape: Shape };

/** Any shape and parameter values of a node, as its description resolves them. */
type P = Record<string, number> & Record<"activation_params" | "slices" | "axes", readonly number[]>;

/**
 * Throws GraphError when the shapes do not fit. `outputs` are blobs to be kept; others may disappear by fusion.
 */
export function lower(graph: Graph, inputShapes: Record<string, Shape>, outputs: readonly string[]): Lowered {
  return new Lowering(graph, inferShapes(graph, ops, inputShapes), outputs).run();
}

/** What lowering one layer needs. */
export interface LayerLowering {
  readonly lowering: Lowering;
  readonly node: Node;
  readonly op: Op;
  readonly p: P;
  readonly inputShapes: readonly Shape[];
  readonly outputShapes: readonly Shape[];
}

export class Lowering {
  private readonly graph: Graph;
  private readonly shapes: Map<string, Shape>;
  private readonly wanted: ReadonlySet<string>;
  private readonly steps: Step[] = [];
  private readonly values: Value[] = [];
  private readonly views = new Map<string, BlobView>();
  /** The blobs that show (part of) a value. */
  private readonly blobsOf = new Map<Value, string[]>();
  private readonly readers: Map<string, Node[]>;
  private readonly inputs = new Map<string, { value: Value; shape: Shape }>();
  /** Blobs that some node reads as a strided tensor: their pictures must have no border. */
  private readonly stridedReads = new Set<string>();

  constructor(graph: Graph, shapes: Map<string, Shape>, outputs: readonly string[]) {
    this.graph = graph;
    this.shapes = shapes;
    this.wanted = new Set(outputs);
    this.readers = graph.consumers();
    for (const node of graph.nodes) {
      if (["Reshape", "Permute", "Flatten", "Squeeze", "ExpandDims"].includes(node.type)) {
        this.stridedReads.add(node.inputs[0]);
      }
    }
  }

  run(): Lowered {
    for (const blob of this.wanted) {
      if (!this.shapes.has(blob)) {
        throw new GraphError(`no blob "${blob}"; the outputs are ${brief(this.graph.outputs.join(", "))}`);
      }
    }
    const needed = neededNodes(this.graph, this.wanted);
    for (const node of this.graph.nodes) if (needed.has(node)) this.lowerNode(node);
    const outputs = new Map([...this.wanted].map((blob) => [blob, this.output(blob)]));
    return { steps: this.steps, values: this.values, inputs: this.inputs, outputs, shapes: this.shapes };
  }

  // ---- values, views and their conversions

  value(name: string, channels: number, height: number, width: number): Value {
    const value = new Value(this.values.length, name, channels, height, width);
    this.values.push(value);
    return value;
  }

  dense(name: string, shape: Shape): Value {
    const value = this.value(name, elementCount(shape), 1, 1);
    value.order.fix();
    value.pinned = true;
    return value;
  }

  add<S extends Step>(step: S): S {
    step.output.producer = this.steps.length;
    if (step.kind === "reference") for (const { value } of step.outputs) value.producer = this.steps.length;
    this.steps.push(step);
    return step;
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

  private view(blob: string): BlobView {
    return this.views.get(blob)!;
  }

  /** Declares that `blob` is all of `value`, a picture of the blob's shape (for a matrix: see `matrixValue`). */
  setPicture(blob: string, value: Value, int8Scale?: number): void {
    const shape = this.shapes.get(blob)!;
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
    const shape = this.shapes.get(blob)!;
    this.setView(blob, { kind: "dense", value, shape, strides: rowMajor(shape), offset: 0 });
  }

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

  /** A new picture for a matrix: width 1, a pixel for each row, a channel for each column. */
  matrixValue(name: string, [rows, columns]: Shape): Value {
    const value = this.value(name, columns, rows, 1);
    value.order.fix();
    value.pinned = true;
    return value;
  }

  /** A blob of rank 2 as such a picture. */
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
    this.add({
      kind: "copy",
      nodes: [],
      input: { ...view, shape, strides: [columnStride, rowStride, 0] },
      output: planes,
    });
    this.add({ kind: "import", nodes: [], input: planes, output });
    return output;
  }

  /** The picture that a blob of rank 2 lies in already, if there is one. */
  private knownMatrix(blob: string): Value | undefined {
    const view = this.view(blob);
    return view.kind === "dense" && view.shape.length === 2 ? wholeMatrix(view) : undefined;
  }

  /** A picture or matrix blob as one value in natural channel order; channels from elsewhere are copied together. */
  whole(blob: string, name = `${blob}.gathered`): Value {
    if (this.shapeOf(blob).length === 2) return this.matrix(blob);
    const view = this.picture(blob);
    return wholeValue(view) ?? this.gather(view, name);
  }

  private gather(view: PictureView, name: string, scaleY = 1, scaleX = 1, nodes: string[] = []): Value {
    const output = this.value(name, view.channels.length, view.height * scaleY, view.width * scaleX);
    this.add({ kind: "gather", nodes, input: view, scaleY, scaleX, output });
    return output;
  }

  /** Any blob as a strided float32 tensor. */
  strided(blob: string): DenseView {
    const view = this.view(blob);
    if (view.kind === "dense") return view;
    if (view.int8Scale !== undefined) {
      throw new UnsupportedError(
        `the int8 blob "${blob}" cannot be reshaped; let its layer give floats (8=2)`,
      );
    }
    let value = wholeValue(view);
    if (!value?.pinned) {
      value = this.gather(view, `${blob}.strided`);
      value.pinned = true;
    }
    value.order.fix();
    const shape = this.shapes.get(blob)!;
    const slots = value.slotCount;
    const strides = shape.length === 1 ? [1] : [1, value.width * slots, slots];
    return { kind: "dense", value, shape, strides, offset: 0 };
  }

  /** Any blob as a dense row-major value of its own. */
  private linear(blob: string): Value {
    const view = this.strided(blob);
    const isVector = view.value.width === 1 && view.value.height === 1;
    const isAll = view.offset === 0 && elementCount(view.shape) === view.value.channels;
    if (isVector && isAll && isRowMajor(view)) return view.value;
    const output = this.dense(`${blob}.dense`, view.shape);
    this.add({ kind: "copy", nodes: [], input: view, output });
    return output;
  }

  private output(blob: string): OutputView {
    const view = this.view(blob);
    const shape = this.shapes.get(blob)!;
    if (view.kind === "picture" && view.int8Scale !== undefined) {
      const value = wholeValue(view) ?? this.gather(view, `${blob}.integers`);
      return { kind: "int8", view, value, shape };
    }
    return { kind: "dense", value: this.linear(blob), shape };
  }

  // ---- nodes

  private lowerNode(node: Node): void {
    const op = opOf(node, ops);
    const p = resolveParams(op, node.params) as unknown as P;
    if (node.type === "Input") {
      const [blob] = node.outputs;
      const shape = this.shapes.get(blob)!;
      const value = this.dense(blob, shape);
      this.inputs.set(blob, { value, shape });
      this.setDense(blob, value);
      return;
    }
    const done =
      this.lowerAlias(node, p) ||
      this.lowerQuantize(node, p) ||
      this.lowerMovement(node, p) ||
      this.lowerReview(node, p) ||
      this.lowerConvolution(node, p) ||
      this.lowerPooling(node, p) ||
      this.lowerActivation(node, p) ||
      this.lowerArithmetic(node, p) ||
      this.lowerInterp(node, p) ||
      this.lowerSoftmax(node, p) ||
      this.lowerMore(node, op, p);
    if (!done) this.lowerReference(node);
  }

  private lowerMore(node: Node, op: Op, p: P): boolean {
    const layer: LayerLowering = {
      lowering: this,
      node,
      op,
      p,
      inputShapes: node.inputs.map((blob) => this.shapeOf(blob)),
      outputShapes: node.outputs.map((blob) => this.shapeOf(blob)),
    };
    return moreLayers.some((lower) => lower(layer));
  }

  private shapeOf(blob: string): Shape {
    return this.shapes.get(blob)!;
  }

  private lowerAlias(node: Node, p: P): boolean {
    const isAlias =
      node.type === "Noop" || node.type === "Split" || (node.type === "Dropout" && p.scale === 1);
    if (!isAlias || node.inputs.length === 0) return false;
    for (const blob of node.outputs) {
      if (this.stridedReads.has(blob)) this.stridedReads.add(node.inputs[0]);
      this.setView(blob, this.view(node.inputs[0]));
    }
    return true;
  }

  /** Quantize: the same numbers, to be read as integers. */
  private lowerQuantize(node: Node, p: P): boolean {
    if (node.type === "Requantize" || (node.type === "Quantize" && p.scale_data_size !== 1)) {
      throw new UnsupportedError(
        `node ${node.type} "${node.name}": only Quantize layers with one scale run here; use the reference backend`,
      );
    }
    const [from] = node.inputs;
    if (node.type !== "Quantize" || this.isInteger(from) || ![1, 3].includes(this.shapeOf(from).length)) {
      return false;
    }
    this.setView(node.outputs[0], {
      ...this.picture(from),
      int8Scale: weightToFloat32(node.weights.scale)[0],
    });
    return true;
  }

  /** Concat, Slice, Crop and ShuffleChannel along channels: a new list of references. */
  private lowerMovement(node: Node, p: P): boolean {
    if (!["Concat", "Slice", "Crop", "ShuffleChannel"].includes(node.type)) return false;
    const inputs = node.inputs.map((blob) => this.shapeOf(blob));
    const outputs = node.outputs.map((blob) => this.shapeOf(blob));
    const alongChannels = [...inputs, ...outputs].every(
      (shape) =>
        shape.length === inputs[0].length &&
        (shape.length === 1 ||
          (shape.length === 3 && shape[1] === inputs[0][1] && shape[2] === inputs[0][2])),
    );
    if (!alongChannels || (node.type === "Crop" && node.inputs.length > 1)) return false;
    // Long vectors are not taken apart into single channels.
    if (inputs[0].length === 1 && node.inputs.some((blob) => this.view(blob).kind === "dense")) return false;
    const views = node.inputs.map((blob) => this.picture(blob));
    const scales = new Set(views.map((view) => view.int8Scale));
    if (scales.size > 1) return false;
    let channels = views.flatMap((view) => [...view.channels]);
    if (node.type === "ShuffleChannel") {
      const groups = p.reverse ? channels.length / p.group : p.group;
      const perGroup = channels.length / groups;
      channels = channels.map((_, i) => channels[(i % groups) * perGroup + Math.floor(i / groups)]);
    }
    let start = node.type === "Crop" ? cropBox(inputs, p as never).starts[0] : 0;
    node.outputs.forEach((blob, i) => {
      const count = outputs[i][0];
      this.setView(blob, { ...views[0], channels: channels.slice(start, start + count) });
      start += count;
    });
    return true;
  }

  /** Reshape, Permute, Flatten, Squeeze, ExpandDims: new strides over the same numbers, where strides can say it. */
  private lowerReview(node: Node, p: P): boolean {
    const [from] = node.inputs;
    const [to] = node.outputs;
    const shape = this.shapeOf(to);
    if (node.type === "Permute") {
      const view = this.strided(from);
      if (view.shape.length > 4) return false;
      const axes = permutation(p.order_type, view.shape.length);
      this.setView(to, { ...view, shape, strides: axes.map((axis) => view.strides[axis]) });
      return true;
    }
    if (!["Reshape", "Flatten", "Squeeze", "ExpandDims"].includes(node.type)) return false;
    const view = this.view(from);
    // A picture of one pixel flattens to itself.
    if (view.kind === "picture" && view.height * view.width === 1 && shape.length === 1) {
      this.setView(to, { ...view, rank: 1 });
      return true;
    }
    const strides = reshapeStrides(this.strided(from), shape);
    if (strides) this.setView(to, { ...this.strided(from), shape, strides });
    else this.setDense(to, this.linear(from));
    return true;
  }

  private lowerConvolution(node: Node, p: P): boolean {
    const inputShape = this.shapeOf(node.inputs[0]);
    const isFull = node.type === "InnerProduct" || (node.type === "Convolution" && inputShape.length === 1);
    if (node.type !== "Convolution" && node.type !== "ConvolutionDepthWise" && !isFull) return false;
    if (isFull && inputShape.length === 2) return false;
    if (p.pad_value) return false;
    const [from] = node.inputs;
    let input: PictureView;
    let axes: { y: WindowAxis; x: WindowAxis };
    if (isFull) {
      input = this.flattenedPicture(from);
      axes = { y: fullAxis(input.height), x: fullAxis(input.width) };
    } else {
      if (inputShape.length !== 3) return false;
      input = this.picture(from);
      axes = windowAxes(inputShape, p as unknown as WindowParams);
    }
    const isGrouped = node.type === "ConvolutionDepthWise";
    const group = isGrouped ? p.group : 1;
    const channels = input.channels.length;
    const perGroup = channels / group;
    const scales = this.int8Scales(node, p, input, group);
    const weight = this.convolutionWeight(node, p.num_output, scales);
    const bias = p.bias_term ? weightToFloat32(node.weights.bias) : undefined;
    const fused = (): FusedStep[] => this.fusedBy(p);
    const [to] = node.outputs;
    const topScale =
      p.int8_scale_term > 100 && !isFull ? weightToFloat32(node.weights.top_scale)[0] : undefined;
    const nodes = [node.name];
    if (isGrouped && group === channels && p.num_output === group) {
      const source = this.depthwiseInput(input, from, axes);
      const output = this.value(to, group, axes.y.output, axes.x.output);
      output.order.tie(source.order);
      this.add({
        kind: "depthwise",
        nodes,
        input: source,
        weight,
        bias,
        ...axes,
        int8: scales,
        fused: fused(),
        output,
      });
      this.setPicture(to, output, topScale);
      return true;
    }
    // A border can only be had around values that nobody reads with plain strides.
    if (hasPadding(axes) && input.channels.some((ref) => ref.value.pinned)) {
      input = pictureOf(this.gather(input, `${from}.gathered`), input.int8Scale);
    }
    const groupOutputs = p.num_output / group;
    const groupWeights = weight.length / group;
    const parts = Array.from({ length: group }, (_, g) => {
      const name = group > 1 ? `${to}.group${g}` : to;
      const output = this.value(name, groupOutputs, axes.y.output, axes.x.output);
      const slice = <T extends { subarray(a: number, b: number): T }>(all: T, size: number): T =>
        all.subarray(g * size, (g + 1) * size);
      const part: Int8Scales | undefined = scales && {
        ...scales,
        weight: slice(scales.weight, groupOutputs),
      };
      this.add({
        kind: "convolution",
        nodes,
        input: { ...input, channels: input.channels.slice(g * perGroup, (g + 1) * perGroup) },
        weight: weight instanceof Int8Array ? slice(weight, groupWeights) : slice(weight, groupWeights),
        bias: bias && slice(bias, groupOutputs),
        ...axes,
        int8: part,
        roundOnce: !isFull,
        fused: fused(),
        output,
      });
      return output;
    });
    if (group === 1) this.setPicture(to, parts[0], topScale);
    else {
      const refs = parts.flatMap((value) =>
        Array.from({ length: groupOutputs }, (_, channel) => ({ value, channel })),
      );
      const { height, width } = parts[0];
      this.setView(to, { kind: "picture", rank: 3, height, width, channels: refs, int8Scale: topScale });
    }
    return true;
  }

  /** The activation among a layer's own parameters. */
  fusedBy(p: P): FusedStep[] {
    const activation = fusedActivation(p.activation_type, p.activation_params);
    return activation ? [{ kind: "activation", activation }] : [];
  }

  /** The picture whose flattening a fully connected layer reads. */
  private flattenedPicture(blob: string): PictureView {
    const view = this.view(blob);
    if (view.kind === "picture") return view;
    // A flattened picture in natural order: go back to the picture instead of copying it.
    const { value } = view;
    const isPlain = value.height * value.width === 1 || view.shape.length === 1;
    const whole = isPlain && elementCount(view.shape) === value.channels * value.height * value.width;
    const expected = [1, value.width * value.slotCount, value.slotCount];
    if (
      whole &&
      value.height * value.width > 1 &&
      view.shape.length === 3 &&
      view.strides.every((s, i) => s === expected[i])
    ) {
      return pictureOf(value);
    }
    return pictureOf(this.linear(blob));
  }

  /**
   * The value that a depthwise convolution reads: whole, in one piece, and free to have a border where there is padding.
   */
  private depthwiseInput(input: PictureView, blob: string, axes: { y: WindowAxis; x: WindowAxis }): Value {
    const value = wholeValue(input);
    const padded = hasPadding(axes);
    return value && !(padded && value.pinned) ? value : this.gather(input, `${blob}.gathered`);
  }

  private int8Scales(node: Node, p: P, input: PictureView, group: number): Int8Scales | undefined {
    if (!p.int8_scale_term) return undefined;
    const stored = weightToFloat32(node.weights.weight_scales);
    const perScale = p.num_output / stored.length;
    const bottom = weightToFloat32(node.weights.bottom_scale)[0];
    const weight = Float32Array.from(
      { length: p.num_output },
      (_, k) => stored[stored.length === group || group === 1 ? Math.floor(k / perScale) : 0],
    );
    return { bottom, weight, inputScale: input.int8Scale ?? bottom };
  }

  private convolutionWeight(
    node: Node,
    outputs: number,
    scales: Int8Scales | undefined,
  ): Float32Array | Int8Array {
    const { weight } = node.weights;
    if (!scales) return weightToFloat32(weight);
    if (weight.storage === "i8") return weight.data;
    const values = weightToFloat32(weight);
    const perOutput = values.length / outputs;
    return Int8Array.from(values, (v, i) => quantize(v, scales.weight[Math.floor(i / perOutput)]));
  }

  private lowerPooling(node: Node, p: P): boolean {
    if (node.type !== "Pooling" || (p.adaptive_pooling && !p.global_pooling)) return false;
    const [from] = node.inputs;
    const [to] = node.outputs;
    const view = this.picture(from);
    const operator = p.pooling_type === poolingTypes.max ? "max" : "average";
    if (view.int8Scale !== undefined && operator === "average") return false;
    let axes: { y: WindowAxis; x: WindowAxis };
    let divisor: "kernel" | "inside" = "inside";
    if (p.global_pooling) {
      axes = { y: fullAxis(view.height), x: fullAxis(view.width) };
    } else {
      const same = { [padModes.sameUpper]: -233, [padModes.sameLower]: -234 }[p.pad_mode];
      const pads =
        same === undefined ? {} : { pad_left: same, pad_right: same, pad_top: same, pad_bottom: same };
      axes = windowAxes(this.shapeOf(from), {
        ...(p as unknown as WindowParams),
        ...pads,
        dilation_w: 1,
        dilation_h: 1,
      });
      const [, height, width] = this.shapeOf(to);
      axes = { y: { ...axes.y, output: height }, x: { ...axes.x, output: width } };
      if (p.avgpool_count_include_pad || same !== undefined) divisor = "kernel";
    }
    const input = this.whole(from);
    const output = this.value(to, input.channels, axes.y.output, axes.x.output);
    output.order.tie(input.order);
    this.add({ kind: "pooling", nodes: [node.name], input, operator, ...axes, divisor, fused: [], output });
    this.setPicture(to, output, view.int8Scale);
    return true;
  }

  /** The mean of each channel of a node's only input. */
  addMean(node: Node, shape: Shape): void {
    const input = this.whole(node.inputs[0]);
    const [to] = node.outputs;
    const output = this.value(to, shape[0], 1, 1);
    output.order.tie(input.order);
    this.add({
      kind: "pooling",
      nodes: [node.name],
      input,
      operator: "average",
      y: fullAxis(input.height),
      x: fullAxis(input.width),
      divisor: "kernel",
      fused: [],
      output,
    });
    this.setPicture(to, output);
  }

  /** Whether nobody but `node` sees the blob. */
  private isPrivate(blob: string): boolean {
    return !this.wanted.has(blob) && this.readers.get(blob)!.length === 1;
  }

  /** The step that makes all of a private blob and can still take work along. */
  private fusable(blob: string): FusableStep | undefined {
    const view = this.view(blob);
    const value = view.kind === "picture" ? wholeValue(view) : this.knownMatrix(blob);
    if (!value || value.producer < 0) return undefined;
    // The blob may be another name of one that has other readers.
    if (!this.blobsOf.get(value)?.every((other) => this.isPrivate(other))) return undefined;
    const step = this.steps[value.producer];
    return "fused" in step ? step : undefined;
  }

  private lowerActivation(node: Node, p: P): boolean {
    const activation = nodeActivation(node.type, p);
    if (!activation) return false;
    const [from] = node.inputs;
    const [to] = node.outputs;
    const shape = this.shapeOf(from);
    const view = this.view(from);
    const int8Scale = view.kind === "picture" ? view.int8Scale : undefined;
    if (int8Scale !== undefined && activation.kind !== "relu") return false;
    const producer = this.fusable(from);
    if (producer) {
      producer.fused.push({ kind: "activation", activation });
      producer.nodes.push(node.name);
      this.setPicture(to, producer.output, int8Scale);
      return true;
    }
    // relu(quantized x) is quantized relu(x), so integers stay a matter of the readers.
    const isPicture = view.kind === "picture" || shape.length === 3 || this.knownMatrix(from) !== undefined;
    const a = isPicture ? this.whole(from) : this.linear(from);
    const output = isPicture ? this.like(a, to) : this.dense(to, shape);
    output.order.tie(a.order);
    const fused: FusedStep[] = [{ kind: "activation", activation }];
    this.add({
      kind: "elementwise",
      nodes: [node.name],
      operator: "add",
      a,
      b: { kind: "none" },
      fused,
      output,
    });
    if (isPicture) this.setPicture(to, output, int8Scale);
    else this.setDense(to, output);
    return true;
  }

  private lowerArithmetic(node: Node, p: P): boolean {
    const operator = arithmeticOperator(node, p);
    if (!operator) return false;
    if (node.inputs.some((blob) => this.isInteger(blob))) return false;
    const [to] = node.outputs;
    if (node.type === "BinaryOp" && p.with_scalar) {
      return this.addElementwise(node, operator, node.inputs[0], { kind: "constant", value: p.b });
    }
    if (node.inputs.length !== 2) return false;
    const [a, b] = node.inputs;
    const [shapeA, shapeB] = [this.shapeOf(a), this.shapeOf(b)];
    if (sameShape(shapeA, shapeB)) {
      if (operator === "add" && (this.fuseResidual(node, a, b) || this.fuseResidual(node, b, a))) return true;
      return this.addElementwise(node, operator, a, b);
    }
    const shape = this.shapeOf(to);
    if (shape.length !== 3) return false;
    // The operand with the result's shape comes first; the other is broadcast.
    const swap = !sameShape(shapeA, shape);
    const [full, other] = swap ? [b, a] : [a, b];
    const low = swap ? broadcast(shapeA, shapeB).a : broadcast(shapeA, shapeB).b;
    if (!sameShape(this.shapeOf(full), shape)) return false;
    const kind = low[1] === 1 && low[2] === 1 ? "channel" : low[0] === 1 ? "pixel" : undefined;
    if (!kind || (kind === "channel" && low[0] !== shape[0]) || this.shapeOf(other).length === 2)
      return false;
    if (kind === "pixel" && (low[1] !== shape[1] || low[2] !== shape[2])) return false;
    const effective = swap ? reversedOperator(operator) : operator;
    return effective !== undefined && this.addElementwise(node, effective, full, other, kind);
  }

  isInteger(blob: string): boolean {
    const view = this.view(blob);
    return view.kind === "picture" && view.int8Scale !== undefined;
  }

  /** conv + x with the addition done as the convolution stores its results. */
  private fuseResidual(node: Node, into: string, other: string): boolean {
    const step = this.fusable(into);
    if (!step || (step.kind !== "convolution" && step.kind !== "depthwise")) return false;
    if (step.fused.some((done) => done.kind === "residual")) return false;
    const view = this.view(other);
    const residual = view.kind === "picture" ? wholeValue(view) : this.knownMatrix(other);
    if (!residual || residual === step.output || residual.producer >= step.output.producer) return false;
    step.output.order.tie(residual.order);
    step.fused.push({ kind: "residual", value: residual });
    step.nodes.push(node.name);
    this.setPicture(node.outputs[0], step.output);
    return true;
  }

  /** A new picture of the same size, for `blob`. */
  private like(value: Value, blob: string): Value {
    if (this.shapeOf(blob).length === 2) return this.matrixValue(blob, this.shapeOf(blob));
    return this.value(blob, value.channels, value.height, value.width);
  }

  private addElementwise(
    node: Node,
    operator: BinaryOperator,
    from: string,
    other: string | Extract<ElementwiseOperand, { kind: "constant" }>,
    kind: "none" | "channel" | "pixel" = "none",
  ): boolean {
    const [to] = node.outputs;
    const shape = this.shapeOf(from);
    const isPicture =
      shape.length === 3 ||
      this.view(from).kind === "picture" ||
      this.knownMatrix(from) !== undefined ||
      (typeof other === "string" && this.knownMatrix(other) !== undefined);
    const load = (blob: string): Value => (isPicture ? this.whole(blob) : this.linear(blob));
    const a = load(from);
    let b: ElementwiseOperand;
    if (typeof other === "string") {
      const value = load(other);
      if (kind !== "pixel") a.order.tie(value.order);
      else value.order.fix();
      b = { kind: "value", value, broadcast: kind };
    } else b = other;
    const output = isPicture ? this.like(a, to) : this.dense(to, shape);
    output.order.tie(a.order);
    this.add({ kind: "elementwise", nodes: [node.name], operator, a, b, fused: [], output });
    if (isPicture) this.setPicture(to, output);
    else this.setDense(to, output);
    return true;
  }

  private lowerInterp(node: Node, p: P): boolean {
    if (node.type !== "Interp" || this.shapeOf(node.inputs[0]).length !== 3) return false;
    const [from] = node.inputs;
    const [to] = node.outputs;
    const [, height, width] = this.shapeOf(from);
    const [channels, outH, outW] = this.shapeOf(to);
    const view = this.picture(from);
    const [y, x] = interpTaps(p as never, [height, width], [outH, outW]);
    const isCopy = height === outH && width === outW;
    if (p.resize_type === resizeTypes.nearest || isCopy) {
      const [scaleY, scaleX] = [outH / height, outW / width];
      const isWhole =
        Number.isInteger(scaleY) &&
        Number.isInteger(scaleX) &&
        y.index.every((at, o) => at === Math.floor(o / scaleY)) &&
        x.index.every((at, o) => at === Math.floor(o / scaleX));
      if (!isWhole) return false;
      const output = this.gather(view, to, scaleY, scaleX, [node.name]);
      this.setPicture(to, output, view.int8Scale);
      return true;
    }
    if (p.resize_type !== resizeTypes.bilinear || view.int8Scale !== undefined) return false;
    const input = this.whole(from);
    const output = this.value(to, channels, outH, outW);
    output.order.tie(input.order);
    const taps = (t: typeof y, count: number): [number, number, number][] =>
      Array.from({ length: count }, (_, o) => [t.index[o * 2], t.index[o * 2 + 1], t.weight[o * 2 + 1]]);
    this.add({
      kind: "resize",
      nodes: [node.name],
      input,
      rowTaps: taps(y, outH),
      columnTaps: taps(x, outW),
      fused: [],
      output,
    });
    this.setPicture(to, output);
    return true;
  }

  private lowerSoftmax(node: Node, p: P): boolean {
    const [from] = node.inputs;
    const shape = this.shapeOf(from);
    if (node.type !== "Softmax" || this.isInteger(from)) return false;
    const axis = shape.length === 1 ? 0 : p.axis < 0 ? p.axis + shape.length : p.axis;
    if (axis !== 0 || (shape.length !== 1 && shape.length !== 3)) return false;
    const input = this.whole(from);
    input.order.fix();
    const output = this.value(node.outputs[0], input.channels, input.height, input.width);
    output.order.fix();
    this.add({ kind: "softmax", nodes: [node.name], input, output });
    this.setPicture(node.outputs[0], output);
    return true;
  }

  private lowerReference(node: Node): void {
    const inputs = node.inputs.map((blob) => {
      if (this.isInteger(blob)) {
        throw new GraphError(`node ${node.type} "${node.name}": cannot read the int8 blob "${blob}"`);
      }
      return { value: this.linear(blob), shape: this.shapeOf(blob) };
    });
    const outputs = node.outputs.map((blob) => ({
      value: this.dense(blob, this.shapeOf(blob)),
      shape: this.shapeOf(blob),
    }));
    this.add({ kind: "reference", nodes: [node.name], node, inputs, outputs, output: outputs[0].value });
    node.outputs.forEach((blob, i) => this.setDense(blob, outputs[i].value));
  }
}

// ---- small helpers

/** Nodes that the wanted blobs depend on. */
function neededNodes(graph: Graph, wanted: ReadonlySet<string>): Set<Node> {
  const blobs = new Set(wanted);
  const needed = new Set<Node>();
  for (const node of [...graph.nodes].reverse()) {
    if (node.type !== "Input" && !node.outputs.some((blob) => blobs.has(blob))) continue;
    needed.add(node);
    for (const blob of node.inputs) blobs.add(blob);
  }
  return needed;
}

export function hasPadding({ y, x }: { y: WindowAxis; x: WindowAxis }): boolean {
  return y.padBefore > 0 || y.padAfter > 0 || x.padBefore > 0 || x.padAfter > 0;
}

/** A window over the whole axis. */
function fullAxis(extent: number): WindowAxis {
  return { kernel: extent, stride: 1, dilation: 1, padBefore: 0, padAfter: 0, input: extent, output: 1 };
}

function rowMajor(shape: Shape): number[] {
  const strides = shape.map(() => 1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

function isRowMajor(view: DenseView): boolean {
  const expected = rowMajor(view.shape);
  return view.strides.every((stride, i) => stride === expected[i] || view.shape[i] === 1);
}

/** Strides of the same elements under a new shape, if strides can express it: axes are split and merged like numpy does. */
export function reshapeStrides(view: DenseView, shape: Shape): number[] | undefined {
  const old = view.shape
    .map((extent, i) => ({ extent, stride: view.strides[i] }))
    .filter(({ extent }) => extent !== 1);
  const strides: number[] = new Array(shape.length).fill(0);
  let o = 0;
  let n = 0;
  while (n < shape.length) {
    if (shape[n] === 1) {
      strides[n++] = 1;
      continue;
    }
    // Gather the smallest groups of old and new axes with equal products.
    let [oldEnd, newEnd] = [o + 1, n + 1];
    if (o >= old.length) return undefined;
    let [oldCount, newCount] = [old[o].extent, shape[n]];
    while (oldCount !== newCount) {
      if (oldCount < newCount) {
        if (oldEnd >= old.length) return undefined;
        oldCount *= old[oldEnd++].extent;
      } else {
        if (newEnd >= shape.length) return undefined;
        newCount *= shape[newEnd++];
      }
    }
    for (let i = o; i < oldEnd - 1; i++) {
      if (old[i].stride !== old[i + 1].stride * old[i + 1].extent) return undefined;
    }
    let stride = old[oldEnd - 1].stride;
    for (let i = newEnd - 1; i >= n; i--) {
      strides[i] = stride;
      stride *= shape[i];
    }
    [o, n] = [oldEnd, newEnd];
  }
  return strides;
}

function fusedActivation(type: number, params: readonly number[]): Activation | undefined {
  const [a = 0, b = 0] = params;
  switch (type) {
    case activationTypes.relu:
      return { kind: "relu" };
    case activationTypes.leakyRelu:
      return { kind: "leakyRelu", slope: a };
    case activationTypes.clip:
      return { kind: "clip", min: a, max: b };
    case activationTypes.sigmoid:
      return { kind: "sigmoid" };
    case activationTypes.mish:
      return { kind: "mish" };
    case activationTypes.hardSwish:
      return { kind: "hardSwish", alpha: a, beta: b };
    default:
      return undefined;
  }
}

function nodeActivation(type: string, p: P): Activation | undefined {
  switch (type) {
    case "ReLU":
      return p.slope ? { kind: "leakyRelu", slope: p.slope } : { kind: "relu" };
    case "Clip":
      return { kind: "clip", min: p.min, max: p.max };
    case "Sigmoid":
      return { kind: "sigmoid" };
    case "Swish":
      return { kind: "swish" };
    case "Mish":
      return { kind: "mish" };
    case "TanH":
      return { kind: "tanh" };
    case "HardSwish":
      return { kind: "hardSwish", alpha: p.alpha, beta: p.beta };
    case "HardSigmoid":
      return { kind: "hardSigmoid", alpha: p.alpha, beta: p.beta };
    case "GELU":
      return p.fast_gelu ? { kind: "gelu" } : undefined;
    default:
      return undefined;
  }
}

function arithmeticOperator(node: Node, p: P): BinaryOperator | undefined {
  if (node.type === "Eltwise") {
    if (node.inputs.length !== 2 || (p.coeffs as unknown as readonly number[]).length > 0) return undefined;
    return { [eltwiseTypes.product]: "mul", [eltwiseTypes.sum]: "add", [eltwiseTypes.max]: "max" }[
      p.op_type
    ] as BinaryOperator | undefined;
  }
  if (node.type !== "BinaryOp") return undefined;
  const name = binaryOpTypes[p.op_type];
  const known: readonly string[] = ["add", "sub", "mul", "div", "max", "min", "rsub", "rdiv"];
  return known.includes(name) ? (name as BinaryOperator) : undefined;
}

function reversedOperator(operator: BinaryOperator): BinaryOperator {
  const reversed: Partial<Record<BinaryOperator, BinaryOperator>> = {
    sub: "rsub",
    div: "rdiv",
    rsub: "sub",
    rdiv: "div",
  };
  return reversed[operator] ?? operator;
}
