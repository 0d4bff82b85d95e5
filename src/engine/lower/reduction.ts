import { elementCount } from "../../ir/tensor.ts";
import { reductionTypes } from "../../ops/reduction.ts";
import { resolveAxis } from "../../ops/shapes.ts";
import { fullAxis } from "../windows.ts";
import type { Layer } from "./layer.ts";

/** The mean of each channel, by the kernel of pooling. */
export function reduction({ views, node, p, inputShapes: [shape], outputShapes: [means] }: Layer): boolean {
  if (reductionTypes[p.operation] !== "mean" || p.coeff !== 1) return false;
  if (shape.length !== 3 || p.reduce_all || views.isInteger(node.inputs[0])) return false;
  const axes = p.axes.map((axis) => resolveAxis(axis, 3)).sort();
  if (axes.join() !== "1,2" || elementCount(means) !== means[0]) return false;
  const input = views.whole(node.inputs[0]);
  const [to] = node.outputs;
  const output = views.value(to, means[0], 1, 1);
  output.order.tie(input.order);
  views.add({
    kind: "pooling",
    nodes: [node.name],
    input,
    operator: "average",
    y: fullAxis(input.height),
    x: fullAxis(input.width),
    divisor: "kernel",
    fused: [],
    output,
  });
  views.setPicture(to, output);
  return true;
}
