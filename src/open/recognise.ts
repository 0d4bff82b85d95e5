/** Finds out which kind of detector a graph is, and cuts it to the raw heads that decoding outside starts from. */

import { type FamilyName, families } from "../heads/families.ts";
import { blobsOf, type Head, isTask, recogniseHeads, strideOf, taskOf, withBlobs } from "../heads/index.ts";
import type { RecognitionFacts } from "../heads/recognition.ts";
import type { Graph } from "../ir/graph.ts";
import type { Shape } from "../ir/tensor.ts";
import { cutTo, groupedBlob, withoutSigmoids } from "./arrange.ts";
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
  /** It is in the graph still. */
  readonly isWhole: boolean;
}

/** What came nearest, or what it is that is no detector of boxes. */
export interface NearHeads {
  readonly near: string;
  readonly isSure?: true;
}

export const areHeads = (found: RecognisedHeads | NearHeads): found is RecognisedHeads => "heads" in found;

/** Sizes that are tried, where the graph runs at several; the first is mostly right. */
const mostSizes = 3;

/**
 * Heads among the outputs, told by what the graph computes. The graph is cut to them unless `keepDecode` is set. Else what came
 * nearest, or what the outputs are, in words.
 */
export function recognise(
  graph: Graph,
  known: KnownFacts &
    Pick<RecognitionFacts, "isEndToEnd" | "statedAnchors" | "task"> & {
      /** Those of the file, where the graph has more that nobody reads. */
      readonly outputs?: readonly string[];
      readonly keepDecode?: boolean;
    },
): RecognisedHeads | NearHeads {
  const sizes = [...take(runnableSizes(graph, known.size), mostSizes)];
  let near: NearHeads | undefined;
  let outputs: string | undefined;
  for (const { width, height, shapes } of sizes) {
    const view = viewHeads(graph, { width, height }, shapes, known.outputs);
    const found = view && recogniseHeads(view, known, known.keepDecode);
    if (view) outputs ??= describeOutputs(view);
    if (!found) continue;
    if ("near" in found) {
      near ??= found;
      continue;
    }
    const task = taskOf(found.heads);
    if (known.task !== undefined && isTask(known.task) && known.task !== task) {
      near ??= {
        near: `the file says that its task is "${known.task}", but its outputs are those of "${task}"`,
      };
      continue;
    }
    const { classes, labels, family, notes, isWhole = false, isRaw = false, groups } = found;
    const before = graph.nodes.length;
    const heads = isWhole ? found.heads : cutToHeads(graph, shapes, found.heads, groups);
    const stride = strideFor(graph, { width, height, shapes }, Math.max(...heads.map(strideOf)));
    const isFree = family !== undefined && sizes.length > 1;
    const size = isFree ? { width: families[family].side, height: families[family].side } : { width, height };
    const isCut = !isRaw && graph.nodes.length < before;
    const toldBy = cellsText(view);
    return {
      ...{ heads, classes, labels, family, notes, toldBy, ...size, stride },
      ...{ isCut, isWhole, isSizeFree: isFree },
    };
  }
  return near ?? { near: outputs ?? describeNoCells(graph, sizes[0]?.shapes) };
}

/** Makes the heads' blobs the outputs of the graph, and gives the heads with their names. */
function cutToHeads(
  graph: Graph,
  shapes: ReadonlyMap<string, Shape>,
  heads: readonly Head[],
  groups: ReadonlyMap<string, number> = new Map(),
): Head[] {
  withoutSigmoids(graph, blobsOf(heads));
  const grouped = new Map(
    [...groups].map(([blob, count]) => [blob, groupedBlob(graph, shapes, blob, count)]),
  );
  const named = heads.map((head) => withBlobs(head, (blob) => grouped.get(blob) ?? blob));
  cutTo(graph, blobsOf(named));
  return named;
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
