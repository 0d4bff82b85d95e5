/** Small ONNX models from a few lines. */
import type { Dim, OnnxAttribute, OnnxModel, OnnxTensor } from "../../../src/formats/onnx/model.ts";

export type NodeLine = [
  opType: string,
  inputs: string[],
  outputs: string[],
  attributes?: Record<string, OnnxAttribute>,
];

export interface ModelLines {
  readonly nodes: readonly NodeLine[];
  /** Shapes by name. */
  readonly inputs?: Record<string, readonly Dim[]>;
  readonly outputs?: readonly string[];
  readonly constants?: Record<string, OnnxTensor>;
  readonly opset?: number;
  readonly metadata?: Record<string, string>;
}

export function makeModel(lines: ModelLines): OnnxModel {
  return {
    irVersion: 8,
    producer: "test",
    opsets: { "": lines.opset ?? 17 },
    metadata: lines.metadata ?? {},
    graph: {
      name: "g",
      nodes: lines.nodes.map(([opType, inputs, outputs, attributes = {}]) => ({
        name: "",
        opType,
        domain: "",
        inputs,
        outputs,
        attributes,
      })),
      initializers: new Map(Object.entries(lines.constants ?? {})),
      inputs: Object.entries(lines.inputs ?? { x: [1, 3, 8, 8] }).map(([name, shape]) => ({
        name,
        type: "float32",
        shape,
      })),
      outputs: (lines.outputs ?? ["y"]).map((name) => ({ name, type: "float32" })),
      valueInfo: [],
    },
  };
}

export const floats = (dims: readonly number[], data?: readonly number[]): OnnxTensor => ({
  type: "float32",
  dims,
  data: Float32Array.from(data ?? new Array<number>(dims.reduce((a, b) => a * b, 1)).fill(0.5)),
});
export const int64s = (...data: number[]): OnnxTensor => ({
  type: "int64",
  dims: [data.length],
  data: Float64Array.from(data),
});
