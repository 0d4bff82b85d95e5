/** x · sigmoid(x) → Swish; x · hardsigmoid(x) → HardSwish, with the same alpha and beta. */
import type { Node } from "../ir/graph.ts";
import { binaryOpTypes } from "../ops/binary-op.ts";
import { eltwiseTypes } from "../ops/eltwise.ts";
import { eachNode } from "./_fold.ts";
import { become, num } from "./_params.ts";
import type { Pass } from "./pass.ts";

const gates: Record<string, string> = { Sigmoid: "Swish", HardSigmoid: "HardSwish" };

function isProduct(node: Node): boolean {
  if (node.inputs.length !== 2) return false;
  return node.type === "Eltwise"
    ? num(node, "op_type") === eltwiseTypes.product
    : !num(node, "with_scalar") && binaryOpTypes[num(node, "op_type")] === "mul";
}

export const fuseSelfGate: Pass = {
  name: "fuse-self-gate",
  run: (graph, log) =>
    eachNode(graph, ["BinaryOp", "Eltwise"], (node, wiring) => {
      if (!isProduct(node)) return;
      const [a, b] = node.inputs;
      for (const [x, gated] of [
        [a, b],
        [b, a],
      ]) {
        const gate = wiring.producer(gated);
        if (!gate || !(gate.type in gates) || gate.inputs[0] !== x) continue;
        if (wiring.soleReader(gate) !== node) {
          log?.(`"${node.name}" stays: ${gate.type} "${gate.name}" has other readers`);
          continue;
        }
        wiring.remove(gate);
        wiring.setInputs(node, [x]);
        become(node, gates[gate.type], gate.params);
        wiring.rewrote();
        return;
      }
    }),
};
