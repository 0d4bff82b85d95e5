/** BinaryOp with a constant of one value → BinaryOp with a scalar parameter. */
import { match, type Node } from "../ir/graph.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { binaryOp, binaryOpTypes } from "../ops/binary-op.ts";
import { memoryData } from "../ops/memory-data.ts";
import { eachNode } from "./_fold.ts";
import { num, setParams } from "./_params.ts";
import type { Wiring } from "./_wiring.ts";
import type { Pass } from "./pass.ts";

const commutative = ["add", "mul", "max", "min", "logaddexp"];

/** The operation that computes `b op a`, or -1. */
function swapped(opType: number): number {
  const name: string | undefined = binaryOpTypes[opType];
  if (name === undefined) return -1; // a wrong op_type: running the layer says so
  if (commutative.includes(name)) return opType;
  const names: readonly string[] = binaryOpTypes;
  return names.indexOf(name.startsWith("r") && name !== "remainder" ? name.slice(1) : `r${name}`);
}

/** A constant that is one value of rank 1, so that it changes no shape. */
function scalarValue(node: Node | undefined): number | undefined {
  const p = match(node, memoryData);
  if (!node || !p || p.w !== 1 || p.h || p.d || p.c) return undefined;
  return weightToFloat32(node.weights.data)[0];
}

function fuse(node: Node, wiring: Wiring): void {
  for (const constantIndex of [1, 0]) {
    const memory = wiring.producer(node.inputs[constantIndex]);
    const b = scalarValue(memory);
    const opType = num(node, "op_type");
    const op_type = constantIndex === 1 ? opType : swapped(opType);
    if (b === undefined || op_type < 0) continue;
    wiring.setInputs(node, [node.inputs[1 - constantIndex]]);
    if (memory) wiring.removeIfUnread(memory);
    setParams(node, { op_type, with_scalar: 1, b });
    wiring.rewrote();
    return;
  }
}

export const fuseScalarOperand: Pass = {
  name: "fuse-scalar-operand",
  run: (graph) =>
    eachNode(graph, [binaryOp], (node, wiring) => {
      if (!num(node, "with_scalar") && node.inputs.length === 2) fuse(node, wiring);
    }),
};
