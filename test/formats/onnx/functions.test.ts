/** Models whose nodes call functions of the file. */
import { describe, expect, test } from "vitest";
import { GraphError, UnsupportedError } from "../../../src/base/errors.ts";
import { runReference } from "../../../src/engine/reference/index.ts";
import { inlineFunctions, type OnnxFunction } from "../../../src/formats/onnx/functions.ts";
import { importOnnx, readOnnx } from "../../../src/formats/onnx/index.ts";
import type { OnnxAttribute, OnnxModel, OnnxNode } from "../../../src/formats/onnx/model.ts";
import { makeModel, type NodeLine } from "./_model.ts";

/**
 * Made by onnx 1.23 (helper.make_function): a function that calls another twice, once with an attribute of its own caller and once with
 * the default, called twice itself; and one whose attribute decides between branches that refer to attributes too.
 */
const nested = Buffer.from(
  [
    "CAk6zgEKDAoBeBIBdSIEUmVsdQowCgF4CgF1EgF0EgNuL3QaAW4iBU91dGVyKgsKAXMVzcxMPqABAToJcGtnLmlubmVyCjAKAXQKA24vdBIBdh",
    "IBdxoBbSIFT3V0ZXIqCwoBcxXNzMw+oAEBOglwa2cuaW5uZXIKDgoBdgoBdxIBeiIDU3ViCh0KAXoSAXkiBENvbmQqCwoEZmxhZxgAoAECOgJt",
    "eRIBZ1oTCgF4Eg4KDAgBEggKAggBCgIIBGITCgF5Eg4KDAgBEggKAggBCgIIBEIECgAQEkIGCgJteRABQg0KCXBrZy5pbm5lchABygGUAQoFT3",
    "V0ZXIiAUEiAUIqAUMqAUQyAXM6IQoBQRIBdCIFTGVha3kqDgoFc2xvcGWgAQGqAQFzOgJteToRCgF0EgF1IgVMZWFreToCbXk6DgoBdQoBQhIB",
    "QyIDQWRkOg4KAXUKAUISAUQiA011bEoECgAQEkoGCgJteRABSg0KCXBrZy5pbm5lchABUglwa2cuaW5uZXLKAXMKBUxlYWt5IgFYKgFZOiUKAV",
    "gSAXQiCUxlYWt5UmVsdSoSCgVhbHBoYaABAaoBBXNsb3BlOgsKAXQSAVkiA05lZ0oECgAQEkoGCgJteRABSg0KCXBrZy5pbm5lchABUgJteVoP",
    "CgVzbG9wZRWamZk+oAEBygGvAgoEQ29uZCIBWCoBWTIEZmxhZzokEgFrIghDb25zdGFudCoVCgl2YWx1ZV9pbnSgAQKqAQRmbGFnOhcKAWsSAW",
    "MiBENhc3QqCQoCdG8YCaABAjoPCgFYEgFzIgdTaWdtb2lkOpgBCgFjEgFZIgJJZipaCgtlbHNlX2JyYW5jaDJICiUKAXMSAXIiCUxlYWt5UmVs",
    "dSoSCgVhbHBoYaABAaoBBXNsb3BlChEKAXISAXEiBUxlYWt5OgJteRIBZWIJCgFxEgQKAggBoAEFKjAKC3RoZW5fYnJhbmNoMh4KDgoBcwoBWB",
    "IBciIDQWRkEgF0YgkKAXISBAoCCAGgAQVKBAoAEBJKBgoCbXkQAUoNCglwa2cuaW5uZXIQAVICbXlaDwoFc2xvcGUVAAAAP6ABAQ==",
  ].join(""),
  "base64",
);

test("nested functions, attributes by reference and defaults give what onnxruntime gives", () => {
  const { graph } = readOnnx(nested, "nested.onnx");
  const data = Float32Array.of(-2, -0.5, 0.25, 3);
  const { y } = runReference(graph, { x: { shape: [4], data } });
  const expected = [-0.46008512, -0.49000132, -0.5285743, -0.6706221];
  expected.forEach((v, i) => {
    expect(y.data[i]).toBeCloseTo(v, 6);
  });
});

const nodesOf = (lines: readonly NodeLine[], domain: (opType: string) => string): OnnxNode[] =>
  lines.map(([opType, inputs, outputs, attributes = {}]) => ({
    ...{ name: "", opType, domain: domain(opType), inputs, outputs, attributes },
  }));

/** Functions have names in small letters, and so are called. */
const domain = (opType: string): string => (/^[a-z]/.test(opType) ? "my" : "");
function makeFunction(
  name: string,
  inputs: string[],
  outputs: string[],
  lines: NodeLine[],
  opset = 17,
): OnnxFunction {
  return {
    ...{ name, domain: "my", overload: "", inputs, outputs, defaults: {}, opsets: { "": opset } },
    nodes: nodesOf(lines, domain),
  };
}
function inlined(lines: NodeLine[], functions: OnnxFunction[], outputs = ["y"]): OnnxModel {
  const model = makeModel({ nodes: [], outputs });
  model.graph.nodes = nodesOf(lines, domain);
  inlineFunctions(model, functions);
  return model;
}
const spelled = (model: OnnxModel): string[] =>
  model.graph.nodes.map(({ opType, inputs, outputs }) => `${opType} ${inputs} > ${outputs}`);

describe("names", () => {
  test("of two calls and of the model do not clash", () => {
    const f = makeFunction(
      "f",
      ["a"],
      ["b"],
      [
        ["Relu", ["a"], ["t"]],
        ["Neg", ["t"], ["b"]],
      ],
    );
    const lines: NodeLine[] = [
      ["Abs", ["x"], ["y/t"]],
      ["f", ["y/t"], ["t"]],
      ["f", ["t"], ["y"]],
    ];
    expect(spelled(inlined(lines, [f]))).toEqual([
      "Abs x > y/t",
      "Relu y/t > t/t",
      "Neg t/t > t",
      "Relu t > y/t_1",
      "Neg y/t_1 > y",
    ]);
  });
  test("results that are an input, or one result twice, are copied; inputs that are not given are empty", () => {
    const f = makeFunction("f", ["a", "low"], ["a", "b", "b"], [["Clip", ["a", "low"], ["b"]]]);
    expect(spelled(inlined([["f", ["x"], ["p", "q", "y"]]], [f]))).toEqual([
      "Clip x, > q",
      "Identity x > p",
      "Identity q > y",
    ]);
  });
  test("an attribute that nobody gives is left to the operator", () => {
    const alpha: OnnxAttribute = { kind: "reference", value: "slope" };
    const f = makeFunction("f", ["a"], ["b"], [["LeakyRelu", ["a"], ["b"], { alpha }]]);
    const model = inlined([["f", ["x"], ["y"]]], [f]);
    expect(model.graph.nodes[0].attributes).toEqual({});
    expect(importOnnx(model).graph.nodes[1].params.slope).toBeCloseTo(0.01);
  });
});

describe("what is refused", () => {
  const failing =
    (lines: NodeLine[], ...functions: OnnxFunction[]) =>
    () =>
      inlined(lines, functions);
  test("functions that call themselves, also through others", () => {
    const f = makeFunction("f", ["a"], ["b"], [["g", ["a"], ["b"]]]);
    const g = makeFunction("g", ["a"], ["b"], [["f", ["a"], ["b"]]]);
    expect(failing([["f", ["x"], ["y"]]], f, g)).toThrow(GraphError);
    expect(failing([["f", ["x"], ["y"]]], f, g)).toThrow(/my.f node .*: the function "my.f" calls itself/);
  });
  test("functions that grow without bound", () => {
    const level = (n: number): OnnxFunction => {
      const next = n === 0 ? "Relu" : `f${n - 1}`;
      const lines = Array.from({ length: 10 }, (_, i): NodeLine => [next, [`t${i}`], [`t${i + 1}`]]);
      return makeFunction(`f${n}`, ["t0"], ["t10"], lines);
    };
    const levels = Array.from({ length: 9 }, (_, n) => level(n));
    expect(failing([["f8", ["x"], ["y"]]], ...levels)).toThrow(/expand to more than 100000 nodes/);
  });
  test("functions nested too deep, defined twice, called with too many inputs", () => {
    const chain = Array.from({ length: 70 }, (_, n) =>
      makeFunction(`f${n}`, ["a"], ["b"], [[`f${n + 1}`, ["a"], ["b"]]]),
    );
    expect(failing([["f0", ["x"], ["y"]]], ...chain)).toThrow(/nested more than 64 deep/);
    const f = makeFunction("f", ["a"], ["b"], [["Relu", ["a"], ["b"]]]);
    expect(failing([["f", ["x"], ["y"]]], f, f)).toThrow(/"my.f" is defined twice/);
    expect(failing([["f", ["x", "x"], ["y"]]], f)).toThrow(
      /2 inputs and 1 outputs, the function has 1 and 1/,
    );
  });
  test("another operator set, where an operator means something else in it", () => {
    const softmax = makeFunction("f", ["a"], ["b"], [["Softmax", ["a"], ["b"]]], 11);
    expect(failing([["f", ["x"], ["y"]]], softmax)).toThrow(UnsupportedError);
    expect(failing([["f", ["x"], ["y"]]], softmax)).toThrow(
      /Softmax in the function "my.f" is of operator set 11/,
    );
    const relu = makeFunction("f", ["a"], ["b"], [["Relu", ["a"], ["b"]]], 11);
    expect(failing([["f", ["x"], ["y"]]], relu)).not.toThrow();
  });
});
