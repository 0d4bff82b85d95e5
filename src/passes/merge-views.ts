/** Reshape → Reshape, Flatten → Reshape, Reshape → Flatten, …: the second alone decides the extents. */
import { match, type Node } from "../ir/graph.ts";
import type { Params } from "../ir/op.ts";
import { expandDims } from "../ops/expand-dims.ts";
import { flatten } from "../ops/flatten.ts";
import { reshape } from "../ops/reshape.ts";
import { squeeze } from "../ops/squeeze.ts";
import { eachNode } from "./_fold.ts";
import { num, setParams } from "./_params.ts";
import type { Pass } from "./pass.ts";

const views = [reshape, flatten, squeeze, expandDims].map(({ type }) => type);
const names = ["w", "h", "d", "c"];

/**
 * The parameters that `second` needs when it reads what `first` reads: extents that it copies (0) are written out.
 * Undefined where such an extent is not known.
 */
function withoutCopies(first: Node, second: Node): Params | undefined {
  if (match(second, flatten)) return {};
  const changes: Params = {};
  for (const name of names) {
    if (num(second, name) !== 0) continue;
    const extent = match(first, reshape) ? num(first, name) : 0;
    if (extent <= 0) return undefined;
    changes[name] = extent;
  }
  return changes;
}

/** Its expression takes sizes from what it reshapes. */
const readsView = ({ params }: Node): boolean => /(^|\D)0[whdc]/.test(String(params.shape_expr ?? ""));

export const mergeViews: Pass = {
  name: "merge-views",
  run: (graph, log) =>
    eachNode(graph, [reshape, flatten], (second, wiring) => {
      for (;;) {
        const first = wiring.producer(second.inputs[0]);
        if (!first || !views.includes(first.type)) return;
        const changes = withoutCopies(first, second);
        if (!changes || readsView(second)) {
          log?.(`"${second.name}" stays: it copies extents that "${first.name}" computes`);
          return;
        }
        // Further inputs give sizes to expressions only.
        wiring.setInputs(second, [first.inputs[0], ...second.inputs.slice(1)]);
        wiring.removeIfUnread(first);
        setParams(second, changes);
        wiring.rewrote();
      }
    }),
};
