import { describe, expect, it } from "vitest";
import { GraphError, UsageError } from "../../src/base/errors.ts";
import { parseParam, printParam, readNcnn, writeWeights } from "../../src/formats/ncnn/index.ts";
import { parseTable } from "../../src/formats/table.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import { quantizeGraph } from "../../src/quantize/rewrite.ts";
import { dataBytes, dataText, testData } from "../data.ts";

/** Three 1×1 convolutions of one channel: a -> relu -> b -> c. */
function chain(): Graph {
  const graph = parseParam(`7767517
5 5
Input        x    0 1 x 0=2 1=2 2=1
Convolution  a    1 1 x a 0=1 1=1 5=1 6=1
ReLU         r    1 1 a r
Convolution  b    1 1 r b 0=1 1=1 5=1 6=1 9=1
Convolution  c    1 1 b c 0=1 1=1 5=1 6=1
`);
  for (const node of graph.nodes) {
    if (node.type !== "Convolution") continue;
    node.weights = { weight: f32Weight([0.5]), bias: f32Weight([0.25]) };
  }
  return graph;
}
const table = parseTable("a_param_0 100\nb_param_0 100\nc_param_0 100\na 10\nb 20\nc 30\n");
const term = (graph: Graph, name: string) => graph.node(name)?.params.int8_scale_term;

describe("quantizeGraph", () => {
  it("makes weights, scales and terms, and leaves the graph that it was given alone", () => {
    const graph = chain();
    const before = printParam(graph);
    const out = quantizeGraph(graph, table);
    expect(printParam(graph)).toBe(before);
    const b = out.node("b")!;
    expect(b.weights.weight).toEqual({ storage: "i8", data: Int8Array.of(50) });
    expect(b.weights.bottom_scale.data[0]).toBe(20);
    expect(Object.keys(b.params)).toEqual([
      "num_output",
      "kernel_w",
      "bias_term",
      "weight_data_size",
      "int8_scale_term",
      "activation_type",
    ]);
  });

  it("requantizes only between convolutions that follow each other directly", () => {
    const out = quantizeGraph(chain(), table);
    expect([term(out, "a"), term(out, "b"), term(out, "c")]).toEqual([2, 102, 2]);
    expect(out.node("b")!.weights.top_scale.data[0]).toBe(30);
  });

  it("keeps layers float that have no activation scale or are named, with float16 weights", () => {
    const partial = parseTable("a_param_0 100\nb_param_0 100\nc_param_0 100\nb 20\nc 30\n");
    const out = quantizeGraph(chain(), partial, { keepFloat: ["c"] });
    expect([term(out, "a"), term(out, "b"), term(out, "c")]).toEqual([undefined, 2, undefined]);
    expect(out.node("a")!.weights.weight).toEqual({ storage: "f16", data: Uint16Array.of(0x3800) });
  });

  it("does not fuse where readers disagree about the scale", () => {
    const graph = chain();
    graph.node("c")!.inputs = ["r"];
    graph.node("b")!.inputs = ["a"];
    graph.node("c")!.inputs = ["a"];
    expect(term(quantizeGraph(graph, table), "a")).toBe(2);
    const same = parseTable("a_param_0 100\nb_param_0 100\nc_param_0 100\na 10\nb 20\nc 20\n");
    graph.remove([graph.node("r")!]);
    expect(term(quantizeGraph(graph, same), "a")).toBe(102);
  });

  it("refuses what does not fit", () => {
    const graph = chain();
    expect(() => quantizeGraph(quantizeGraph(graph, table), table)).toThrow(/"a" is int8 already/);
    expect(() => quantizeGraph(graph, parseTable("z_param_0 1\nz 1\n"))).toThrow(
      /another model.*\(z\).*a, b, c/,
    );
    expect(() => quantizeGraph(graph, parseTable("a_param_0 1 2\na 1\n"))).toThrow(/"a" has 1 weight scales/);
    expect(() => quantizeGraph(graph, parseTable("a 1\n"))).toThrow(/no weight scales \(a_param_0\)/);
    expect(() => quantizeGraph(graph, table, { keepFloat: ["zz"] })).toThrow(UsageError);
    graph.node("b")!.weights.weight = f32Weight([Number.NaN]);
    expect(() => quantizeGraph(graph, table)).toThrow(/layer "b": weight\[0\] is NaN/);
    expect(() => quantizeGraph(graph, table)).toThrow(GraphError);
  });

  testData("gives the official int8 file byte for byte from the official table", () => {
    const graph = readNcnn(dataText("models/yolov5ss.param"), dataBytes("models/yolov5ss.bin"));
    const out = quantizeGraph(graph, parseTable(dataText("golden/off-kl-320.table")));
    expect(printParam(out)).toBe(dataText("golden/off-kl-320.param"));
    expect(Buffer.compare(writeWeights(out), dataBytes("golden/off-kl-320.bin"))).toBe(0);
  });
});
