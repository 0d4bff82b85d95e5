/** Weights for a `.param` that comes without its `.bin`, as the official tools invent them for the file name `null`. */

import { expectKind } from "../base/arguments.ts";
import { Random } from "../base/random.ts";
import { parseParam } from "../formats/ncnn/index.ts";
import { type Graph, paramsOf } from "../ir/graph.ts";
import { f32Weight } from "../ir/weight.ts";
import { ops } from "../ops/index.ts";

/** The range of ncnn's own invention. */
const range = 1.2;

/** The graph of a `.param` text with seeded noise for weights: the same every time. Throws FormatError, GraphError. */
export function inventWeights(text: string, where = "param"): Graph {
  expectKind("inventWeights: text", text, "a string");
  const graph = parseParam(text, where);
  const random = new Random(7767517);
  for (const node of graph.nodes) {
    for (const { name, count } of ops.get(node.type)?.weights?.(paramsOf(node, ops)) ?? []) {
      // A variance of noise would be negative.
      const low = name === "variance" ? 0.5 : -range;
      node.weights[name] = f32Weight(random.floats(count, low, range));
    }
  }
  return graph;
}
