/**
 * What is known of a blob's shape without the input's size: the rank, the channels, and whether two blobs have the same
 * plane. Detectors run at many sizes, so passes that depend on shapes ask this and leave alone what it cannot prove.
 */
import { type Graph, type Node, opOf } from "../ir/graph.ts";
import type { Op } from "../ir/op.ts";
import { batchNorm } from "../ops/batch-norm.ts";
import { bias } from "../ops/bias.ts";
import { binaryOp } from "../ops/binary-op.ts";
import { concat as concatOp } from "../ops/concat.ts";
import { convolution as convolutionOp } from "../ops/convolution.ts";
import { convolution1D } from "../ops/convolution-1d.ts";
import { convolutionDepthWise } from "../ops/convolution-depthwise.ts";
import { convolutionDepthWise1D } from "../ops/convolution-depthwise-1d.ts";
import { crop as cropOp } from "../ops/crop.ts";
import { deconvolution } from "../ops/deconvolution.ts";
import { deconvolutionDepthWise } from "../ops/deconvolution-depthwise.ts";
import { eltwise } from "../ops/eltwise.ts";
import { flatten } from "../ops/flatten.ts";
import { ops } from "../ops/index.ts";
import { innerProduct as innerProductOp } from "../ops/inner-product.ts";
import { input as inputOp } from "../ops/input.ts";
import { interp } from "../ops/interp.ts";
import { lrn } from "../ops/lrn.ts";
import { memoryData } from "../ops/memory-data.ts";
import { noop } from "../ops/noop.ts";
import { padding } from "../ops/padding.ts";
import { permute } from "../ops/permute.ts";
import { pixelShuffle } from "../ops/pixel-shuffle.ts";
import { pooling as poolingOp } from "../ops/pooling.ts";
import { prelu } from "../ops/prelu.ts";
import { reorg } from "../ops/reorg.ts";
import { absent, reshape as reshapeOp } from "../ops/reshape.ts";
import { scale } from "../ops/scale.ts";
import { shuffleChannel } from "../ops/shuffle-channel.ts";
import { slice as sliceOp } from "../ops/slice.ts";
import { softmax } from "../ops/softmax.ts";
import { padSameLower, padSameUpper } from "../ops/windows.ts";
import { yoloV5Focus } from "../ops/yolo-v5-focus.ts";
import { list, num } from "./_params.ts";

export interface Sketch {
  readonly rank: number | undefined;
  /** The outermost extent. */
  readonly channels: number | undefined;
  /** A number for all other extents: equal numbers are equal extents, whatever the input's size. */
  readonly plane: number;
}

/** Sketches of every blob. */
export function sketchShapes(graph: Graph): Map<string, Sketch> {
  const planes = new Planes();
  const sketches = new Map<string, Sketch>();
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((blob) => sketches.get(blob)!);
    const rule = ruleOf(node);
    node.outputs.forEach((blob, i) => {
      sketches.set(blob, rule?.(node, inputs, planes, i) ?? planes.unknown());
    });
  }
  return sketches;
}

/** Two blobs certainly have one shape. */
export function provablySame(a: Sketch | undefined, b: Sketch | undefined): boolean {
  return (
    a !== undefined &&
    b !== undefined &&
    a.rank !== undefined &&
    a.rank === b.rank &&
    a.channels !== undefined &&
    a.channels === b.channels &&
    a.plane === b.plane
  );
}

/** Numbers planes by how they came about, so that equal histories get equal numbers. */
class Planes {
  private readonly numbers = new Map<string, number>();
  private next = 0;
  fresh(): number {
    return this.next++;
  }
  of(history: string): number {
    let plane = this.numbers.get(history);
    if (plane === undefined) {
      plane = this.fresh();
      this.numbers.set(history, plane);
    }
    return plane;
  }
  unknown(): Sketch {
    return { rank: undefined, channels: undefined, plane: this.fresh() };
  }
}

type Rule = (node: Node, inputs: readonly Sketch[], planes: Planes, output: number) => Sketch | undefined;

/** A blob whose extents are given by parameters w, h, d, c; those that are not there are 0. */
const written: Rule = (node, _, planes) => {
  const extents = ["c", "d", "h", "w"].map((name) => num(node, name)).filter((extent) => extent > 0);
  if (extents.length === 0) return undefined;
  return { rank: extents.length, channels: extents[0], plane: planes.of(extents.slice(1).join("x")) };
};

const same: Rule = (_, [input]) => input;

/** The plane behind a sliding window; stride 1 with padding that makes up for the kernel keeps it. */
function windowPlane(node: Node, input: Sketch, planes: Planes): number {
  const axis = (
    kernel: string,
    dilation: string,
    stride: string,
    before: string,
    after: string,
  ): number[] => {
    const extent = num(node, dilation, 1) * (num(node, kernel) - 1) + 1;
    const [a, b] = [num(node, before), num(node, after)];
    const isSame = a === b && (a === padSameUpper || a === padSameLower);
    return [
      num(node, stride),
      isSame ? a : extent - a - b,
      isSame ? extent * Number(num(node, stride) > 1) : 0,
    ];
  };
  const y = axis("kernel_h", "dilation_h", "stride_h", "pad_top", "pad_bottom");
  const x = axis("kernel_w", "dilation_w", "stride_w", "pad_left", "pad_right");
  const keeps = [y, x].every(([stride, rest]) => stride === 1 && (rest === 1 || rest < -200));
  return keeps ? input.plane : planes.of(`window ${input.plane} ${y} ${x}`);
}

const convolution: Rule = (node, [input], planes) => {
  const channels = num(node, "num_output");
  if (input.rank === 1) return { rank: 1, channels, plane: planes.of("") };
  return { rank: 3, channels, plane: windowPlane(node, input, planes) };
};

/** Any layer whose plane follows from its parameters and the input's plane alone. */
const derived =
  (rank: number | "same", channels: (node: Node, input: Sketch) => number | undefined): Rule =>
  (node, [input], planes) => ({
    rank: rank === "same" ? input.rank : rank,
    channels: channels(node, input),
    plane: planes.of(`${node.type} ${input.plane} ${JSON.stringify(node.params)}`),
  });
const keepChannels = (_: Node, input: Sketch): number | undefined => input.channels;
const numOutput = (node: Node): number => num(node, "num_output");

const pooling: Rule = (node, inputs, planes, output) => {
  const [{ channels }] = inputs;
  if (num(node, "global_pooling")) return { rank: 1, channels, plane: planes.of("") };
  return derived(3, keepChannels)(node, inputs, planes, output);
};

const innerProduct: Rule = (node, [input], planes) => {
  if (input.rank === undefined || input.rank === 2) return undefined;
  return { rank: 1, channels: numOutput(node), plane: planes.of("") };
};

const concat: Rule = (node, inputs, planes) => {
  const [{ rank, plane }] = inputs;
  if (num(node, "axis") !== 0) return { rank, channels: inputs[0].channels, plane: planes.fresh() };
  const channels = inputs.map((input) => input.channels ?? Number.NaN).reduce((a, b) => a + b);
  return { rank, channels: Number.isNaN(channels) ? undefined : channels, plane };
};

const slice: Rule = (node, [{ rank, plane, channels }], planes, output) => {
  const onChannels = num(node, "axis") === 0;
  const size = list(node, "slices")[output];
  return {
    rank,
    channels: onChannels ? (size > 0 ? size : undefined) : channels,
    plane: onChannels ? plane : planes.fresh(),
  };
};

const crop: Rule = (node, [{ rank, plane }], planes) => {
  const [start, end] = [list(node, "starts"), list(node, "ends")];
  const axes = list(node, "axes");
  const onChannels = start.length === 1 && end.length === 1 && (axes[0] ?? 0) === 0;
  const isKnown = onChannels && start[0] >= 0 && end[0] > 0;
  return {
    rank,
    channels: isKnown ? end[0] - start[0] : undefined,
    plane: onChannels ? plane : planes.fresh(),
  };
};

const reshape: Rule = (node, _, planes) => {
  if (node.params.shape_expr) return undefined;
  const [w, h, d, c] = ["w", "h", "d", "c"].map((name) => num(node, name));
  const rank = c === absent ? (h === absent ? 1 : 2) : d === absent ? 3 : 4;
  const outermost = [w, h, c, c][rank - 1];
  const inner = [[], [w], [h, w], [d, h, w]][rank - 1];
  const isFixed = inner.every((extent) => extent > 0);
  return {
    rank,
    channels: outermost > 0 ? outermost : undefined,
    plane: isFixed ? planes.of(inner.join("x")) : planes.fresh(),
  };
};

const binary: Rule = (node, inputs, planes) => {
  const [a, b] = inputs;
  if (num(node, "with_scalar") || !b || provablySame(a, b)) return a;
  if (a.rank === undefined || b.rank === undefined) return undefined;
  const rank = Math.max(a.rank, b.rank);
  const high = a.rank >= b.rank ? a : b;
  const low = high === a ? b : a;
  // A vector of as many values as there are channels changes no extent.
  if (low.rank === 1 && low.channels === high.channels && high.channels !== undefined) return high;
  return { rank, channels: undefined, plane: planes.fresh() };
};

/** Layers whose result has the shape of their first input, besides the pointwise ones. */
const shapeKeeping: readonly Op[] = [
  batchNorm,
  bias,
  eltwise,
  lrn,
  noop,
  prelu,
  scale,
  shuffleChannel,
  softmax,
];

const resized = derived("same", keepChannels);
const flattened: Rule = (_, [input], planes) =>
  input.rank === 1 ? input : { rank: 1, channels: undefined, plane: planes.of("") };
const permuted: Rule = (_, [{ rank }], planes) => ({ rank, channels: undefined, plane: planes.fresh() });

const rules = new Map<string, Rule>(
  (
    [
      [inputOp, written],
      [memoryData, written],
      ...shapeKeeping.map((op) => [op, same] as const),
      [convolutionOp, convolution],
      [convolutionDepthWise, convolution],
      [convolution1D, derived(2, numOutput)],
      [convolutionDepthWise1D, derived(2, numOutput)],
      [deconvolution, derived(3, numOutput)],
      [deconvolutionDepthWise, derived(3, numOutput)],
      [innerProductOp, innerProduct],
      [poolingOp, pooling],
      [interp, (node, ...rest) => (node.inputs.length === 1 ? resized(node, ...rest) : undefined)],
      [reorg, derived(3, () => undefined)],
      [yoloV5Focus, derived(3, () => undefined)],
      [pixelShuffle, derived(3, () => undefined)],
      [padding, derived("same", () => undefined)],
      [concatOp, concat],
      [sliceOp, slice],
      [cropOp, crop],
      [reshapeOp, reshape],
      [flatten, flattened],
      [permute, permuted],
      [binaryOp, binary],
    ] as readonly (readonly [Op, Rule])[]
  ).map(([{ type }, rule]) => [type, rule]),
);

function ruleOf(node: Node): Rule | undefined {
  return rules.get(node.type) ?? (opOf(node, ops).pointwise ? same : undefined);
}
