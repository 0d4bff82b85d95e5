/** a·x + b·y, one or both factors scalar → Eltwise sum with coefficients. Only where x and y provably have one shape. */
import type { Node } from "../ir/graph.ts";
import { binaryOpTypes } from "../ops/binary-op.ts";
import { eltwiseTypes } from "../ops/eltwise.ts";
import { eachNode } from "./_fold.ts";
import { become, num } from "./_params.ts";
import { provablySame } from "./_sketch.ts";
import type { Wiring } from "./_wiring.ts";
import type { Pass } from "./pass.ts";

const isBinary = (node: Node, operation: string): boolean =>
  node.type === "BinaryOp" && binaryOpTypes[num(node, "op_type")] === operation;

/** The multiplication by a scalar that makes a blob for `sum` alone. */
function scaled(blob: string, sum: Node, wiring: Wiring): Node | undefined {
  const node = wiring.producer(blob);
  if (!node || !isBinary(node, "mul") || !num(node, "with_scalar")) return undefined;
  return wiring.soleReader(node) === sum ? node : undefined;
}

export const fuseWeightedSum: Pass = {
  name: "fuse-weighted-sum",
  run: (graph, log) =>
    eachNode(graph, ["BinaryOp"], (node, wiring, sketches) => {
      if (!isBinary(node, "add") || num(node, "with_scalar") || node.inputs.length !== 2) return;
      const factors = node.inputs.map((blob) => scaled(blob, node, wiring));
      if (!factors.some(Boolean)) return;
      const [a, b] = node.inputs.map((blob) => sketches.get(blob));
      if (!provablySame(a, b)) {
        log?.(`"${node.name}" stays: its inputs may differ in shape`);
        return;
      }
      const inputs = node.inputs.map((blob, i) => factors[i]?.inputs[0] ?? blob);
      const coeffs = factors.map((factor) => (factor ? num(factor, "b") : 1));
      for (const factor of factors) if (factor) wiring.remove(factor);
      wiring.setInputs(node, inputs);
      become(node, "Eltwise", { op_type: eltwiseTypes.sum, coeffs });
      wiring.rewrote();
    }),
};
