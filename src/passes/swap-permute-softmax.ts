/** Permute → Softmax → Permute: the Softmax goes first, along the axis that it has there, so that the two Permutes meet. */
import { match } from "../ir/graph.ts";
import { permutation, permute } from "../ops/permute.ts";
import { softmax } from "../ops/softmax.ts";
import { eachNode } from "./_fold.ts";
import { num, setParams } from "./_params.ts";
import type { Pass } from "./pass.ts";

export const swapPermuteSoftmax: Pass = {
  name: "swap-permute-softmax",
  run: (graph, log) =>
    eachNode(graph, [permute], (first, wiring, sketches) => {
      const middle = wiring.soleReader(first);
      const p = match(middle, softmax);
      if (!middle || !p || !match(wiring.soleReader(middle), permute)) return;
      const rank = sketches.get(first.inputs[0])?.rank;
      if (rank === undefined) {
        log?.(`"${middle.name}" stays: the rank of "${first.inputs[0]}" is not known`);
        return;
      }
      const [between] = first.outputs;
      const [after] = middle.outputs;
      const axis = p.axis < 0 ? p.axis + rank : p.axis;
      setParams(middle, { axis: permutation(num(first, "order_type"), rank)[axis] });
      wiring.setInputs(middle, first.inputs);
      wiring.setOutput(middle, between);
      wiring.setInputs(first, [between]);
      wiring.setOutput(first, after);
      wiring.moveBehind(middle, first);
      wiring.rewrote();
    }),
};
