/**
 * What a graph without a manifest lacks so that it can be used like any other: sizes that follow the input's, and heads in the
 * layout that the manifest knows, where the exporter stopped short of it (pnnx leaves the last convolutions as outputs) or went
 * on (a Sigmoid behind them). The graph is changed in place; nothing else has to know of such files.
 */
import { type Graph, match, type Node } from "../ir/graph.ts";
import type { Shape } from "../ir/tensor.ts";
import { activationTypes } from "../ops/activations.ts";
import { convolution } from "../ops/convolution.ts";
import { permutation, permute } from "../ops/permute.ts";
import { reshape } from "../ops/reshape.ts";
import { sigmoid } from "../ops/sigmoid.ts";
import { makeSizesDynamic } from "../passes/index.ts";
import { runnableSizes } from "./assume.ts";
import type { KnownFacts } from "./facts.ts";

/** Sizes in Reshape and Interp that were made for one input size follow it. Gives how many did. */
export function followInputSize(graph: Graph, known: KnownFacts): number {
  const [first] = runnableSizes(graph, known.size);
  return first ? makeSizesDynamic(first.inputs).run(graph) : 0;
}

/** An output that may be a head: its last convolution, or the Permute that gives heads their layout. */
interface End {
  readonly output: string;
  readonly node: Node;
  /** Layer, if it is one of its own, that puts a sigmoid on the result. */
  readonly sigmoid?: Node;
  readonly hasSigmoid: boolean;
  /** Reshape and Permute behind the convolution that set anchors, rows, columns and values apart, as training code has it. */
  readonly apart?: readonly [Node, Node];
}

/**
 * Brings heads of YOLOv5 to raw values in the layout `[anchors, cells, 5 + classes]`, if all outputs are such heads. Gives a
 * sentence on what was taken for what: that these are heads, and how many anchors they have, is not in the file.
 */
export function completeHeads(graph: Graph, known: KnownFacts): string[] {
  const ends = graph.outputs.map((output) => endOf(graph, output));
  if (!ends.length || ends.some((end) => !end || end.hasSigmoid !== ends[0]!.hasSigmoid)) return [];
  const all = ends as End[];
  const { hasSigmoid } = all[0];
  const names = all.map(({ output }) => output).join(", ");
  const isCut = hasSigmoid ? "; the sigmoid behind them is cut off, since decoding applies it" : "";
  if (all.every(({ node }) => node.type === permute.type)) {
    if (!hasSigmoid) return [];
    for (const end of all) cutSigmoid(graph, end);
    return [`the outputs ${names} are heads of YOLOv5${isCut}`];
  }
  if (all.some(({ node }) => node.type === permute.type)) return [];
  const levels = levelsOf(graph, all, known);
  if (!levels) return [];
  const { channels } = levels;
  const anchors = anchorCount(channels, all.length, known, levels.anchors);
  if (anchors === undefined) {
    return [
      `the outputs ${names} are convolutions of ${channels} channels, which are not 3 anchors of 5 values and classes; give --anchors and --labels if they are heads of YOLOv5`,
    ];
  }
  for (const end of all) {
    cutSigmoid(graph, end);
    graph.remove(end.apart ?? []);
    addLayout(graph, end, anchors, channels / anchors);
  }
  return [
    `the outputs ${names} are the last convolutions of YOLOv5 heads with ${anchors} anchors and ${channels / anchors - 5} classes, whose boxes are (2·sigmoid)²·anchor large${isCut}`,
  ];
}

function endOf(graph: Graph, output: string): End | undefined {
  const producers = graph.producers();
  const last = producers.get(output);
  const behind = match(last, sigmoid) ? last : undefined;
  const view = behind ? producers.get(behind.inputs[0]) : last;
  const apart = setApart(view, producers);
  const node = apart ? producers.get(apart[0].inputs[0]) : view;
  if (!node) return undefined;
  // What somebody else reads is no end.
  const tail = [...(apart ?? []), ...(behind ? [behind] : [])];
  const isRead = ({ inputs: [blob] }: Node): boolean =>
    graph.nodes.some((other) => !tail.includes(other) && other.inputs.includes(blob));
  if (tail.some(isRead)) return undefined;
  if (match(node, permute)?.order_type === 1) {
    return { output, node, sigmoid: behind, hasSigmoid: behind !== undefined };
  }
  const p = match(node, convolution);
  const isPointwise =
    p &&
    p.kernel_w * p.kernel_h * p.stride_w * p.stride_h === 1 &&
    p.pad_left <= 0 &&
    p.int8_scale_term < 100;
  if (!isPointwise) return undefined;
  const isFused = p.activation_type === activationTypes.sigmoid;
  if (p.activation_type !== activationTypes.none && (!isFused || behind)) return undefined;
  return { output, node, sigmoid: behind, hasSigmoid: isFused || behind !== undefined, apart };
}

/** Reshape and Permute to `[anchors, rows, columns, values]`. */
function setApart(last: Node | undefined, producers: ReadonlyMap<string, Node>): [Node, Node] | undefined {
  const order = match(last, permute)?.order_type;
  const view = last && producers.get(last.inputs[0]);
  const isLast = order !== undefined && order < 24 && permutation(order, 4).join() === "0,2,3,1";
  return isLast && match(view, reshape) ? [view!, last!] : undefined;
}

interface Levels {
  channels: number;
  /** Where the graph sets them apart. */
  anchors?: number;
}

/**
 * What the outputs have in common, if they look like the levels of one detector: as many channels each, and grids of strides
 * that double. A single output says too little, unless the anchors are known.
 */
function levelsOf(graph: Graph, ends: readonly End[], known: KnownFacts): Levels | undefined {
  if (ends.length < 2 && !known.anchors) return undefined;
  for (const { width, height, shapes } of runnableSizes(graph, known.size)) {
    const grids = ends.map(({ node }) => shapes.get(node.outputs[0])!);
    if (grids.some((grid) => grid.length !== 3 || grid[0] !== grids[0][0])) return undefined;
    const strides = grids.map(([, h, w]) => (width * h === height * w ? width / w : Number.NaN));
    strides.sort((a, b) => a - b);
    const [least] = strides;
    if (least >= 4 && strides.every((stride, i) => Number.isInteger(stride) && stride === least * 2 ** i)) {
      const [channels] = grids[0];
      const told = ends.map(({ apart }) => apart && anchorsApart(shapes.get(apart[0].outputs[0])!, channels));
      return told.every((count) => count === told[0] && count !== 0)
        ? { channels, anchors: told[0] }
        : undefined;
    }
  }
  return undefined;
}

/** Anchors of a head set apart as `[anchors, values, rows, columns]`; 0 where the shape is another. */
const anchorsApart = ([anchors, values, ...grid]: Shape, channels: number): number =>
  grid.length === 2 && anchors * values === channels ? anchors : 0;

/** Anchors of a cell: as known, else as the class names leave or the graph has them, else 3; undefined if that does not fit. */
function anchorCount(
  channels: number,
  levels: number,
  { anchors, labels }: KnownFacts,
  told: number | undefined,
): number | undefined {
  const count = anchors?.length
    ? anchors[0].length / 2
    : labels
      ? channels / (5 + labels.length)
      : (told ?? 3);
  if (told !== undefined && count !== told) return undefined;
  const isAlike =
    !anchors || (anchors.length === levels && anchors.every((list) => list.length === 2 * count));
  return isAlike && Number.isInteger(count) && channels % count === 0 && channels / count >= 6
    ? count
    : undefined;
}

function cutSigmoid(graph: Graph, { node, sigmoid: layer }: End): void {
  if (layer) graph.remove([layer]);
  if (match(node, convolution)) delete node.params.activation_type;
}

function addLayout(graph: Graph, { node }: End, anchors: number, values: number): void {
  const taken = new Set([...graph.nodes.flatMap(({ name, outputs }) => [name, ...outputs])]);
  const unique = (wanted: string): string => {
    let name = wanted;
    while (taken.has(name)) name += "_";
    taken.add(name);
    return name;
  };
  const [blob] = node.outputs;
  const [grid, head] = [unique(`${blob}_grid`), unique(`${blob}_head`)];
  graph.add({
    type: "Reshape",
    name: grid,
    inputs: [blob],
    outputs: [grid],
    params: { w: -1, h: values, c: anchors },
  });
  graph.add({ type: "Permute", name: head, inputs: [grid], outputs: [head], params: { order_type: 1 } });
}
