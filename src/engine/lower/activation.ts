import type { FusedStep } from "../steps.ts";
import type { Layer } from "./layer.ts";

/** Layers that are activations: done by the step that makes their input, or by one of their own. */
export function activation({ views, node, op, p, inputShapes: [shape] }: Layer): boolean {
  const kind = op.activation?.(p);
  if (!kind) return false;
  const [from] = node.inputs;
  const [to] = node.outputs;
  const view = views.view(from);
  const int8Scale = view.kind === "picture" ? view.int8Scale : undefined;
  // relu(quantized x) is quantized relu(x), so integers stay a matter of the readers; of other activations that is not so.
  if (int8Scale !== undefined && kind.kind !== "relu") return false;
  const done: FusedStep = { kind: "activation", activation: kind };
  const producer = views.fusable(from);
  if (producer) return views.fuse(producer, node, done, int8Scale);
  const isPicture = view.kind === "picture" || shape.length === 3 || views.knownMatrix(from) !== undefined;
  const a = isPicture ? views.whole(from) : views.linear(from);
  const output = isPicture ? views.like(a, to) : views.dense(to, shape);
  output.order.tie(a.order);
  const nodes = [node.name];
  views.add({ kind: "elementwise", nodes, operator: "add", a, b: { kind: "none" }, fused: [done], output });
  if (isPicture) views.setPicture(to, output, int8Scale);
  else views.setDense(to, output);
  return true;
}
