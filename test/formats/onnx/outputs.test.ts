/** Outputs of a graph that its own nodes read on: none is lost, though ncnn's outputs are blobs that nobody reads. */
import { expect, test } from "vitest";
import { importOnnx } from "../../../src/formats/onnx/index.ts";
import { optimizePasses, runPasses } from "../../../src/passes/index.ts";
import { makeModel, type NodeLine } from "./_model.ts";

const chain: NodeLine[] = [
  ["Relu", ["x"], ["a"]],
  ["Exp", ["a"], ["b"]],
  ["Tanh", ["b"], ["c"]],
];

test.each([
  ["all of a chain", ["a", "b", "c"]],
  ["in another order", ["c", "a"]],
  ["the first two", ["b", "a"]],
])("%s", (_, outputs) => {
  const { graph } = importOnnx(makeModel({ nodes: chain, outputs }));
  expect([...graph.outputs].sort()).toEqual([...outputs].sort());
  runPasses(graph, optimizePasses({ inputShapes: { x: [3, 8, 8] } }));
  expect([...graph.outputs].sort()).toEqual([...outputs].sort());
  for (const name of outputs) {
    const above: string[] = [];
    for (let at = graph.producers().get(name); at; at = graph.producers().get(at.inputs[0]))
      above.push(at.type);
    const types = { a: ["ReLU"], b: ["UnaryOp", "ReLU"], c: ["UnaryOp", "UnaryOp", "ReLU"] }[name];
    const isReal = (type: string): boolean => type !== "Noop" && type !== "Split" && type !== "Input";
    expect(above.filter(isReal).map((type) => (type === "TanH" ? "UnaryOp" : type))).toEqual(types);
  }
});
