/** Nodes whose results nobody wants. */

import { GraphError } from "../base/errors.ts";
import { brief } from "../base/text.ts";
import { type Node, opOf } from "../ir/graph.ts";
import { ops } from "../ops/index.ts";
import type { Pass } from "./pass.ts";

/**
 * Constants without a reader. (Any other blob without a reader is an output of the graph; where there is none, not
 * counting inputs that nobody reads, the constants are all that the graph gives, and stay.)
 */
export const dropUnreadConstants: Pass = {
  name: "drop-unread-constants",
  run(graph) {
    const unread = new Set(graph.outputs);
    const ends = graph.nodes.filter((node) => node.outputs.some((blob) => unread.has(blob)));
    const sourceOf = (node: Node) => opOf(node, ops).source;
    const idle = ends.filter((node) => sourceOf(node) === "constant");
    if (ends.every(sourceOf)) return 0;
    graph.remove(idle);
    return idle.length;
  },
};

/**
 * Keeps only what is needed for the given output blobs. Input nodes stay. Other blobs may become outputs where a
 * node makes several. Throws GraphError when there is no such blob.
 */
export function keepOutputs(outputs: readonly string[]): Pass {
  return {
    name: "keep-outputs",
    run(graph) {
      const wanted = new Set(outputs);
      const producers = graph.producers();
      const missing = outputs.find((blob) => !producers.has(blob));
      if (missing !== undefined) {
        throw new GraphError(`no blob "${missing}"; the outputs are ${brief(graph.outputs.join(", "))}`);
      }
      const dead = graph.nodes.toReversed().filter((node) => {
        if (opOf(node, ops).source === "caller" || node.outputs.some((blob) => wanted.has(blob))) {
          for (const blob of node.inputs) wanted.add(blob);
          return false;
        }
        return true;
      });
      graph.remove(dead);
      return dead.length;
    },
  };
}
