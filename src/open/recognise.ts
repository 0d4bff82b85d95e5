/** Finds out which kind of detector a graph is, and cuts it to the raw heads that decoding outside starts from. */

import { type FamilyName, families } from "../heads/families.ts";
import { blobsOf, type Head, recogniseHeads, strideOf } from "../heads/index.ts";
import type { Graph, Node } from "../ir/graph.ts";
import { paramsOf } from "../ir/graph.ts";
import type { Shape } from "../ir/tensor.ts";
import { activationTypes } from "../ops/activations.ts";
import { ops } from "../ops/index.ts";
import { runnableSizes, shapesAt } from "./assume.ts";
import type { KnownFacts } from "./facts.ts";
import { cellsText, describeNoCells, describeOutputs } from "./nearest.ts";
import { viewHeads } from "./view.ts";

export interface RecognisedHeads {
  readonly heads: Head[];
  readonly classes: number;
  readonly labels?: readonly string[];
  readonly family?: FamilyName;
  /** What was taken for granted, a sentence each. */
  readonly notes: readonly string[];
  /** What it was told by. */
  readonly toldBy: string;
  /** Input size that they are meant for as far as graph or family tell, and what sizes must be multiples of. */
  readonly width: number;
  readonly height: number;
  readonly stride: number;
  /** The graph runs at other sizes too, so that the size is the family's. */
  readonly isSizeFree: boolean;
  /** Decoding code was in the graph and has been cut off. */
  readonly isCut: boolean;
}

/** Sizes that are tried, where the graph runs at several; the first is mostly right. */
const mostSizes = 3;

/**
 * Heads among the outputs, told by what the graph computes. The graph is cut to them unless `keepDecode` is set. Else what came
 * nearest, or what the outputs are, in words.
 */
export function recognise(
  graph: Graph,
  known: KnownFacts & { readonly keepDecode?: boolean; readonly isEndToEnd?: boolean },
): RecognisedHeads | { readonly near: string } {
  const sizes = [...take(runnableSizes(graph, known.size), mostSizes)];
  let near: string | undefined;
  let outputs: string | undefined;
  for (const { width, height, shapes } of sizes) {
    const view = viewHeads(graph, { width, height }, shapes);
    const found = view && recogniseHeads(view, known, known.keepDecode);
    if (view) outputs ??= describeOutputs(view);
    if (!found) continue;
    if ("near" in found) {
      near ??= found.near;
      continue;
    }
    const { heads, classes, labels, family, notes, isWhole = false } = found;
    const isCut = !isWhole && cutTo(graph, blobsOf(heads));
    const stride = strideFor(graph, { width, height, shapes }, Math.max(...heads.map(strideOf)));
    const isFree = family !== undefined && sizes.length > 1;
    const size = isFree ? { width: families[family].side, height: families[family].side } : { width, height };
    const toldBy = cellsText(view);
    return { heads, classes, labels, family, notes, toldBy, ...size, stride, isCut, isSizeFree: isFree };
  }
  return { near: near ?? outputs ?? describeNoCells(graph, sizes[0]?.shapes) };
}

function* take<T>(values: Iterable<T>, count: number): Generator<T> {
  let taken = 0;
  for (const value of values) {
    if (taken++ === count) return;
    yield value;
  }
}

/** The least multiple of the heads' stride by a power of two that the graph runs at: some networks go coarser than their heads. */
function strideFor(
  graph: Graph,
  { width, height, shapes }: { width: number; height: number; shapes: ReadonlyMap<string, Shape> },
  stride: number,
): number {
  const [blob] = graph.inputs;
  const [channels] = shapes.get(blob)!;
  const runs = (more: number): boolean =>
    shapesAt(graph, blob, [channels, height + more, width + more]) !== undefined;
  const coarser = [1, 2, 4, 8, 16].map((factor) => factor * stride);
  return coarser.find((each) => width % each === 0 && height % each === 0 && runs(each)) ?? stride;
}

/** Makes `blobs` the outputs, without a sigmoid that their convolutions have. Gives whether anything went. */
function cutTo(graph: Graph, blobs: readonly string[]): boolean {
  const producers = graph.producers();
  const needed = new Set<Node>();
  const wanted = new Set(blobs);
  for (const blob of wanted) {
    const node = producers.get(blob);
    if (!node) continue;
    needed.add(node);
    for (const input of node.inputs) wanted.add(input);
  }
  const gone = graph.nodes.filter((node) => !needed.has(node));
  graph.remove(gone);
  for (const blob of blobs) {
    const node = producers.get(blob)!;
    if (paramsOf(node, ops).activation_type !== activationTypes.sigmoid) continue;
    delete node.params.activation_type;
    delete node.params.activation_params;
  }
  return gone.length > 0;
}
