/** Which ONNX nodes do nothing, as far as shapes, types and constants tell. */
import { sliceArguments } from "./arguments.ts";
import type { ElementType } from "./elements.ts";
import type { OnnxShape } from "./infer.ts";
import { intsAttribute, type OnnxNode, type OnnxTensor, tensorNumbers } from "./model.ts";

/** What is known of the values of a graph. */
export interface KnownValues {
  shape(name: string): OnnxShape | undefined;
  type(name: string): ElementType | undefined;
  constant(name: string | undefined): OnnxTensor | undefined;
}

/** Whether a node hands its first input on as it is. */
export function isNoOp(node: OnnxNode, known: KnownValues): boolean {
  const shape = known.shape(node.inputs[0]);
  const result = known.shape(node.outputs[0]);
  const isSameShape =
    shape !== undefined && shape.length === result?.length && shape.every((d, i) => d === result[i]);
  switch (node.opType) {
    case "Identity":
      return true;
    case "Dropout": {
      const training = known.constant(node.inputs[2]);
      return !training || tensorNumbers(training)[0] === 0;
    }
    case "Cast":
      return known.type(node.inputs[0]) === known.type(node.outputs[0]);
    case "CastLike":
      return known.type(node.inputs[0]) === known.type(node.inputs[1]);
    case "Reshape":
    case "Flatten":
    case "Expand":
    case "Tile":
    case "Squeeze":
    case "Unsqueeze":
      return isSameShape;
    case "Transpose":
      return intsAttribute(node, "perm")?.every((axis, i) => axis === i) ?? false;
    case "Mul":
    case "Div":
      return isSameShape && isConstantOf(known.constant(node.inputs[1]), 1);
    case "Add":
    case "Sub":
      return isSameShape && isConstantOf(known.constant(node.inputs[1]), 0);
    case "Concat":
    case "Sum":
    case "Max":
    case "Min":
      return node.inputs.length === 1;
    case "Slice":
      return isSameShape && stepsAreOne(node, known, shape.length);
    case "Pad":
      return isSameShape && padsAreZero(node, known);
    default:
      return false;
  }
}

function isConstantOf(tensor: OnnxTensor | undefined, value: number): boolean {
  return (
    tensor !== undefined &&
    tensor.data.length > 0 &&
    Array.from(tensorNumbers(tensor)).every((v) => v === value)
  );
}

function padsAreZero(node: OnnxNode, known: KnownValues): boolean {
  const pads = known.constant(node.inputs[1]);
  const values = pads ? Array.from(tensorNumbers(pads)) : (intsAttribute(node, "pads") ?? [1]);
  return values.every((v) => v === 0);
}

function stepsAreOne(node: OnnxNode, known: KnownValues, rank: number): boolean {
  const ends = (i: number): number[] | undefined => {
    const tensor = known.constant(node.inputs[i]);
    return tensor && Array.from(tensorNumbers(tensor));
  };
  const given = sliceArguments(node, ends, rank);
  return given?.steps.every((step) => step === 1) ?? false;
}
