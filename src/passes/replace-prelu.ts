/** PReLU with one slope → ReLU with that slope. */
import { weightToFloat32 } from "../ir/weight.ts";
import { eachNode } from "./_fold.ts";
import { become, num } from "./_params.ts";
import type { Pass } from "./pass.ts";

export const replacePrelu: Pass = {
  name: "replace-prelu",
  run: (graph) =>
    eachNode(graph, ["PReLU"], (node, wiring) => {
      if (num(node, "num_slope") !== 1) return;
      const [slope] = weightToFloat32(node.weights.slope);
      become(node, "ReLU", { slope });
      wiring.rewrote();
    }),
};
