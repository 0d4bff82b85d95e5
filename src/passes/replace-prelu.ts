/** PReLU with one slope → ReLU with that slope. */
import { weightToFloat32 } from "../ir/weight.ts";
import { prelu } from "../ops/prelu.ts";
import { relu } from "../ops/relu.ts";
import { eachNode } from "./_fold.ts";
import { become, num } from "./_params.ts";
import type { Pass } from "./pass.ts";

export const replacePrelu: Pass = {
  name: "replace-prelu",
  run: (graph) =>
    eachNode(graph, [prelu], (node, wiring) => {
      if (num(node, "num_slope") !== 1) return;
      const [slope] = weightToFloat32(node.weights.slope);
      become(node, relu, { slope });
      wiring.rewrote();
    }),
};
