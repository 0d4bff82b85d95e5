/** The official ncnnmerge: several models side by side in one pair of files. */
import { expectKind } from "../base/arguments.ts";
import { GraphError } from "../base/errors.ts";
import { Graph } from "../ir/graph.ts";

/**
 * One graph that holds all of them, independent of each other; layers and blobs are called `NAMESPACE/NAME`.
 * The `.bin` of the result is the `.bin`s of the parts one after the other.
 * Throws GraphError for a namespace that occurs twice: its names would collide.
 */
export function mergeModels(parts: readonly { namespace: string; graph: Graph }[]): Graph {
  expectKind("mergeModels: parts", parts, "a list");
  for (const part of parts) {
    expectKind("mergeModels: parts[i]", part, "an object");
    expectKind("mergeModels: parts[i].graph", part.graph, "a graph");
  }
  const merged = new Graph();
  const seen = new Set<string>();
  for (const { namespace, graph } of parts) {
    if (seen.has(namespace)) {
      throw new GraphError(`two models are called "${namespace}": rename one, so that names stay apart`);
    }
    seen.add(namespace);
    const inside = (name: string): string => `${namespace}/${name}`;
    for (const node of graph.nodes) {
      merged.nodes.push({
        ...node,
        name: inside(node.name),
        inputs: node.inputs.map(inside),
        outputs: node.outputs.map(inside),
      });
    }
    for (const [blob, split] of graph.splits) {
      merged.splits.set(inside(blob), {
        ...split,
        name: inside(split.name),
        outputs: split.outputs.map(inside),
        readers: split.readers.map(inside),
      });
    }
  }
  return merged;
}
