/** a·x + b·y, one or both factors scalar → Eltwise sum with coefficients. Only where x and y provably have one shape. */
import type { Node } from "../ir/graph.ts";
import { binaryOp } from "../ops/binary-op.ts";
import { eltwise, eltwiseTypes } from "../ops/eltwise.ts";
import { eachNode } from "./_fold.ts";
import { arithmetic, become } from "./_params.ts";
import { provablySame } from "./_sketch.ts";
import type { Wiring } from "./_wiring.ts";
import type { Pass } from "./pass.ts";

/** The multiplication by a scalar that makes a blob for `sum` alone, and the scalar. */
function scaled(blob: string, sum: Node, wiring: Wiring): { node: Node; factor: number } | undefined {
  const node = wiring.producer(blob);
  const { operator, scalar } = arithmetic(node) ?? {};
  if (!node || operator !== "mul" || scalar === undefined) return undefined;
  return wiring.soleReader(node) === sum ? { node, factor: scalar } : undefined;
}

export const fuseWeightedSum: Pass = {
  name: "fuse-weighted-sum",
  run: (graph, log) =>
    eachNode(graph, [binaryOp], (node, wiring, sketches) => {
      const { operator, scalar } = arithmetic(node) ?? {};
      if (operator !== "add" || scalar !== undefined || node.inputs.length !== 2) return;
      const factors = node.inputs.map((blob) => scaled(blob, node, wiring));
      if (!factors.some(Boolean)) return;
      const [a, b] = node.inputs.map((blob) => sketches.get(blob));
      if (!provablySame(a, b)) {
        log?.(`"${node.name}" stays: its inputs may differ in shape`);
        return;
      }
      const inputs = node.inputs.map((blob, i) => factors[i]?.node.inputs[0] ?? blob);
      const coeffs = factors.map((scaling) => scaling?.factor ?? 1);
      for (const scaling of factors) if (scaling) wiring.remove(scaling.node);
      wiring.setInputs(node, inputs);
      become(node, eltwise, { op_type: eltwiseTypes.sum, coeffs });
      wiring.rewrote();
    }),
};
