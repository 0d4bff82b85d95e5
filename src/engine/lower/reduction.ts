import { elementCount } from "../../ir/tensor.ts";
import type { PoolingOperator } from "../../kernels/operators.ts";
import { reductionTypes } from "../../ops/reduction.ts";
import { resolveAxis } from "../../ops/shapes.ts";
import { wholeValue } from "../values.ts";
import type { Layer } from "./layer.ts";

const operators: { readonly [reduction: string]: PoolingOperator } = {
  mean: "average",
  max: "greatest",
  min: "least",
};

/** The mean, greatest or least number of each channel, by the kernel of pooling. */
export function reduction({ views, node, p, inputShapes: [shape], outputShapes: [reduced] }: Layer): boolean {
  const operator = operators[reductionTypes[p.operation]];
  if (!operator || p.coeff !== 1) return false;
  if (shape.length !== 3 || p.reduce_all || views.isInteger(node.inputs[0])) return false;
  const axes = p.axes.map((axis) => resolveAxis(axis, 3)).sort();
  if (axes.join() !== "1,2" || elementCount(reduced) !== reduced[0]) return false;
  const view = views.picture(node.inputs[0]);
  const whole = wholeValue(view);
  const [to] = node.outputs;
  if (whole) views.setPicture(to, views.pooled(whole, operator, node, true));
  else {
    const channels = view.channels.map(({ value, channel }) => ({
      value: views.pooled(value, operator, node, false),
      channel,
    }));
    views.setView(to, { kind: "picture", rank: reduced.length === 1 ? 1 : 3, height: 1, width: 1, channels });
  }
  return true;
}
