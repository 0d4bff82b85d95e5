/** A model that was exported for several pictures at once, made for one. */

import { UnsupportedError } from "../../base/errors.ts";
import { elementCount } from "../../ir/tensor.ts";

import type { OnnxShape } from "./infer.ts";
import {
  cloneModel,
  makeTensor,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  tensorNumbers,
} from "./model.ts";
import { simplify } from "./simplify.ts";

/** Operators whose second input is a shape, and Resize with its fourth. */
const shapeInputs: Record<string, number> = { Reshape: 1, Expand: 1, ConstantOfShape: 0, Resize: 3 };

/** The batch that the first input is made for, where it is more than one. */
export function fixedBatch({ graph }: OnnxModel): number | undefined {
  const [input] = graph.inputs;
  const batch = input?.shape?.length === 4 ? input.shape[0] : undefined;
  return typeof batch === "number" && batch > 1 ? batch : undefined;
}

/** The model, simplified before, with 1 in place of `batch` in shapes of inputs and in constants that say it. */
export function withoutBatch(model: OnnxModel, batch: number): OnnxModel {
  const copy = cloneModel(model);
  const { graph } = copy;
  graph.inputs = graph.inputs.map((info) => ({
    ...info,
    shape: info.shape?.map((extent, axis) => (axis === 0 && extent === batch ? 1 : extent)),
  }));
  // They are inferred anew.
  graph.valueInfo = [];
  graph.outputs = graph.outputs.map(({ name, type }) => ({ name, type }));
  for (const node of graph.nodes) {
    for (const [i, name] of node.inputs.entries()) {
      const constant = graph.initializers.get(name);
      const single = constant && singleOf(node, i, constant, batch);
      if (!single) continue;
      const own = `${name}/single/${node.outputs[0]}`;
      graph.initializers.set(own, single);
      node.inputs[i] = own;
    }
  }
  return copy;
}

/**
 * Results that had the batch first have 1 there: constants that differ from picture to picture would bring the batch back.
 * `shapes` are those of the whole batch. Throws UnsupportedError.
 */
export function checkResults(single: OnnxModel, shapes: ReadonlyMap<string, OnnxShape>, batch: number): void {
  const found = simplify(single).shapes;
  for (const { name } of single.graph.outputs) {
    const shape = found.get(name);
    if (shapes.get(name)?.[0] !== batch || shape?.[0] !== batch) continue;
    throw new UnsupportedError(
      `the output "${name}" is [${shape.join(", ")}] all the same: constants of the file differ from picture to picture`,
    );
  }
}

/** What an input of a node is for one picture; nothing where it is the same. */
function singleOf(
  node: OnnxNode,
  input: number,
  constant: OnnxTensor,
  batch: number,
): OnnxTensor | undefined {
  const numbers = tensorNumbers(constant);
  if (shapeInputs[node.opType] === input && constant.dims.length === 1) {
    return numbers[0] === batch
      ? makeTensor(constant.type, constant.dims, [1, ...Array.from(numbers).slice(1)])
      : undefined;
  }
  const isPointwise = ["Add", "Concat", "Div", "Mul", "Sub"].includes(node.opType);
  if (!isPointwise || constant.dims.length < 3 || constant.dims[0] !== batch) return undefined;
  // A grid or the like that was written out for every picture.
  const part = elementCount(constant.dims.slice(1));
  const first = constant.data.slice(0, part);
  const isAlike = constant.data.every((value, i) => value === first[i % part]);
  return isAlike ? { ...constant, dims: [1, ...constant.dims.slice(1)], data: first } : undefined;
}
