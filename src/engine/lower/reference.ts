import { GraphError } from "../../base/errors.ts";
import type { Layer } from "./layer.ts";

/** Any layer: the reference kernel of `ops/`, from and to dense tensors. Throws GraphError for integers. */
export function reference({ views, node, inputShapes, outputShapes }: Layer): boolean {
  const inputs = node.inputs.map((blob, i) => {
    if (views.isInteger(blob)) {
      throw new GraphError(`node ${node.type} "${node.name}": cannot read the int8 blob "${blob}"`);
    }
    return { value: views.linear(blob), shape: inputShapes[i] };
  });
  const outputs = node.outputs.map((blob, i) => ({
    value: views.dense(blob, outputShapes[i]),
    shape: outputShapes[i],
  }));
  views.add({ kind: "reference", nodes: [node.name], node, inputs, outputs, output: outputs[0].value });
  node.outputs.forEach((blob, i) => views.setDense(blob, outputs[i].value));
  return true;
}
