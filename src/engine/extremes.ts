/** The least and the greatest number of every channel of blobs, found by layers that are put behind those that make them. */
import { freeName, Graph, inferShapes, type Node } from "../ir/graph.ts";
import { type Blobs, type Extremes, extremesOf, type Shape } from "../ir/tensor.ts";
import { ops } from "../ops/index.ts";
import { reduction, reductionTypes } from "../ops/reduction.ts";

/** A graph to run instead of another, and what its outputs say. */
export interface ExtremesGraph {
  readonly graph: Graph;
  readonly outputs: readonly string[];
  read(values: Blobs): Record<string, Extremes>;
}

/** Where the extremes of a blob are found; blobs that are no pictures are looked at themselves. */
type Found = { readonly shape: Shape; readonly least: string; readonly greatest: string } | undefined;

/** For inputs of such shapes. */
export function withExtremes(
  graph: Graph,
  inputShapes: Record<string, Shape>,
  blobs: readonly string[],
): ExtremesGraph {
  const shapes = inferShapes(graph, ops, inputShapes);
  const taken = new Set(graph.nodes.flatMap(({ name, outputs }) => [name, ...outputs]));
  const found = new Map<string, Found>();
  for (const blob of blobs) {
    const shape = shapes.get(blob);
    const [least, greatest] = ["least", "greatest"].map((what) => freeName(`${blob}.${what}`, taken));
    found.set(blob, shape?.length === 3 ? { shape, least, greatest } : undefined);
  }
  const extended = new Graph();
  extended.nodes = graph.nodes.flatMap((node) => [
    node,
    ...node.outputs.flatMap((blob) => {
      const names = found.get(blob);
      return names ? [reduced(blob, names.least, "min"), reduced(blob, names.greatest, "max")] : [];
    }),
  ]);
  return {
    graph: extended,
    outputs: [...found].flatMap(([blob, names]) => (names ? [names.least, names.greatest] : [blob])),
    read: (values) =>
      Object.fromEntries([...found].map(([blob, names]) => [blob, extremesAt(values, blob, names)])),
  };
}

const reduced = (blob: string, name: string, operation: "min" | "max"): Node => ({
  ...{ type: reduction.type, name, inputs: [blob], outputs: [name], weights: {} },
  params: { operation: reductionTypes.indexOf(operation), reduce_all: 0, axes: [1, 2], fixbug0: 1 },
});

function extremesAt(values: Blobs, blob: string, found: Found): Extremes {
  if (!found) return extremesOf(values[blob]);
  const { shape, least, greatest } = found;
  return { shape, least: values[least].data, greatest: values[greatest].data };
}
