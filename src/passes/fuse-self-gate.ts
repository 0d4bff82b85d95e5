/** x · sigmoid(x) → Swish; x · hardsigmoid(x) → HardSwish, with the same alpha and beta. */
import type { Node } from "../ir/graph.ts";
import { binaryOp } from "../ops/binary-op.ts";
import { eltwise } from "../ops/eltwise.ts";
import { hardSigmoid } from "../ops/hard-sigmoid.ts";
import { hardSwish } from "../ops/hard-swish.ts";
import { sigmoid } from "../ops/sigmoid.ts";
import { swish } from "../ops/swish.ts";
import { eachNode } from "./_fold.ts";
import { arithmetic, become } from "./_params.ts";
import type { Pass } from "./pass.ts";

const gates = new Map([
  [sigmoid.type, swish],
  [hardSigmoid.type, hardSwish],
]);

function isProduct(node: Node): boolean {
  const { operator, scalar } = arithmetic(node) ?? {};
  return node.inputs.length === 2 && operator === "mul" && scalar === undefined;
}

export const fuseSelfGate: Pass = {
  name: "fuse-self-gate",
  run: (graph, log) =>
    eachNode(graph, [binaryOp, eltwise], (node, wiring) => {
      if (!isProduct(node)) return;
      const [a, b] = node.inputs;
      for (const [x, gated] of [
        [a, b],
        [b, a],
      ]) {
        const gate = wiring.producer(gated);
        const whole = gate && gates.get(gate.type);
        if (!gate || !whole || gate.inputs[0] !== x) continue;
        if (wiring.soleReader(gate) !== node) {
          log?.(`"${node.name}" stays: ${gate.type} "${gate.name}" has other readers`);
          continue;
        }
        wiring.remove(gate);
        wiring.setInputs(node, [x]);
        become(node, whole, gate.params);
        wiring.rewrote();
        return;
      }
    }),
};
