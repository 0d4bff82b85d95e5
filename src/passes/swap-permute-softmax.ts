/** Permute → Softmax → Permute: the Softmax goes first, along the axis that it has there, so that the two Permutes meet. */
import { permutation } from "../ops/permute.ts";
import { eachNode } from "./_fold.ts";
import { num, setParams } from "./_params.ts";
import type { Pass } from "./pass.ts";

export const swapPermuteSoftmax: Pass = {
  name: "swap-permute-softmax",
  run: (graph, log) =>
    eachNode(graph, ["Permute"], (permute, wiring, sketches) => {
      const softmax = wiring.soleReader(permute);
      if (softmax?.type !== "Softmax" || wiring.soleReader(softmax)?.type !== "Permute") return;
      const rank = sketches.get(permute.inputs[0])?.rank;
      if (rank === undefined) {
        log?.(`"${softmax.name}" stays: the rank of "${permute.inputs[0]}" is not known`);
        return;
      }
      const axis = num(softmax, "axis");
      const [between] = permute.outputs;
      const [after] = softmax.outputs;
      setParams(softmax, {
        axis: permutation(num(permute, "order_type"), rank)[axis < 0 ? axis + rank : axis],
      });
      wiring.setInputs(softmax, permute.inputs);
      wiring.setOutput(softmax, between);
      wiring.setInputs(permute, [between]);
      wiring.setOutput(permute, after);
      wiring.moveBehind(softmax, permute);
      wiring.rewrote();
    }),
};
