/** Arithmetic of a blob with another or with a constant. */
import { type Shape, sameShape } from "../../ir/tensor.ts";
import type { BinaryOperator } from "../../kernels/operators.ts";
import { broadcast } from "../../ops/binary-op.ts";
import type { ElementwiseOperand } from "../steps.ts";
import { type Value, wholeValue } from "../values.ts";
import type { Layer } from "./layer.ts";

type Broadcast = Extract<ElementwiseOperand, { kind: "value" }>["broadcast"];

/** The operator between both inputs of the layer. */
export function addBinary(layer: Layer, operator: BinaryOperator): boolean {
  const { views, node, inputShapes, outputShapes } = layer;
  if (node.inputs.length !== 2 || node.inputs.some((blob) => views.isInteger(blob))) return false;
  const [a, b] = node.inputs;
  const [shapeA, shapeB] = inputShapes;
  if (sameShape(shapeA, shapeB)) {
    if (operator === "add" && (fuseResidual(layer, a, b) || fuseResidual(layer, b, a))) return true;
    return addElementwise(layer, operator, a, b);
  }
  const [shape] = outputShapes;
  if (shape.length !== 3) return false;
  // The operand with the result's shape comes first; the other is broadcast.
  const swap = !sameShape(shapeA, shape);
  const low = swap ? broadcast(shapeA, shapeB).a : broadcast(shapeA, shapeB).b;
  if (!sameShape(swap ? shapeB : shapeA, shape)) return false;
  const kind = broadcastKind(low, shape);
  const { length: rank } = swap ? shapeA : shapeB;
  // A vector is held as channels of one pixel, which is not how it lies along w.
  if (!kind || rank === 2 || (kind === "pixel" && rank === 1)) return false;
  return swap
    ? addElementwise(layer, reversed[operator] ?? operator, b, a, kind)
    : addElementwise(layer, operator, a, b, kind);
}

function broadcastKind(low: Shape, shape: Shape): Broadcast | undefined {
  if (low[1] === 1 && low[2] === 1) return low[0] === shape[0] ? "channel" : undefined;
  return low[0] === 1 && low[1] === shape[1] && low[2] === shape[2] ? "pixel" : undefined;
}

const reversed: { readonly [operator in BinaryOperator]?: BinaryOperator } = {
  sub: "rsub",
  div: "rdiv",
  rsub: "sub",
  rdiv: "div",
};

/** conv + x with the addition done as the convolution stores its results. */
function fuseResidual({ views, node }: Layer, into: string, other: string): boolean {
  const step = views.fusable(into);
  if (!step || (step.kind !== "convolution" && step.kind !== "depthwise")) return false;
  if (step.fused.some((done) => done.kind === "residual")) return false;
  const view = views.view(other);
  const residual = view.kind === "picture" ? wholeValue(view) : views.knownMatrix(other);
  if (!residual || residual === step.output || residual.producer >= step.output.producer) return false;
  step.output.order.tie(residual.order);
  return views.fuse(step, node, { kind: "residual", value: residual });
}

/** The arithmetic done as the step before stores its results. */
export function fuseScalar({ views, node }: Layer, operator: BinaryOperator, value: number): boolean {
  const step = views.fusable(node.inputs[0]);
  return step !== undefined && views.fuse(step, node, { kind: "scalar", operator, value });
}

/** A step of its own. `other`: a blob or a constant; `kind`: how the blob is broadcast. */
export function addElementwise(
  { views, node }: Layer,
  operator: BinaryOperator,
  from: string,
  other: string | number,
  kind: Broadcast = "none",
): true {
  const [to] = node.outputs;
  const shape = views.shapeOf(from);
  const isPicture =
    shape.length === 3 ||
    views.view(from).kind === "picture" ||
    views.knownMatrix(from) !== undefined ||
    (typeof other === "string" && views.knownMatrix(other) !== undefined);
  const load = (blob: string): Value => (isPicture ? views.whole(blob) : views.linear(blob));
  const a = load(from);
  let b: ElementwiseOperand;
  if (typeof other === "string") {
    const value = load(other);
    if (kind !== "pixel") a.order.tie(value.order);
    else value.order.fix();
    b = { kind: "value", value, broadcast: kind };
  } else b = { kind: "constant", value: other };
  const output = isPicture ? views.like(a, to) : views.dense(to, shape);
  output.order.tie(a.order);
  views.add({ kind: "elementwise", nodes: [node.name], operator, a, b, fused: [], output });
  if (isPicture) views.setPicture(to, output);
  else views.setDense(to, output);
  return true;
}
