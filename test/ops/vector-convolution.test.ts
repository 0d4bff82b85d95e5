/** Convolution of a vector: what native ncnn takes for an InnerProduct, and what it makes nothing sensible of. */
import { describe, expect, it } from "vitest";
import { runReference } from "../../src/engine/reference/index.ts";
import { quantizeModel } from "../../src/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { tensor } from "../../src/ir/tensor.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import { parseTable, printParam } from "../../src/steps.ts";
import { tinyModel } from "../cli/_run.ts";
import { floatMachines, graphOf, randomInputs, runEngine } from "../engine/harness.ts";

const vector = { x: tensor([4], Float32Array.of(0.1, 0.2, 0.3, 0.4)) };

function layer(params: string): Graph {
  const graph = graphOf(`Convolution fc 1 1 x out 0=2 5=1 6=8 ${params}`, { x: [4] });
  const node = graph.node("fc")!;
  node.weights.weight = f32Weight([0, 1, 2, 3, 4, 5, 6, 7]);
  node.weights.bias = f32Weight([0.5, 1]);
  return graph;
}

describe("a 1x1 Convolution of a vector", () => {
  // Values of native ncnn 1.0.20261020.
  it.each(["1=1", "1=1 4=-233", "1=1 3=2"])("%s is an InnerProduct", async (params) => {
    const graph = layer(params);
    const [reference, engine] = [
      runReference(graph, vector),
      (await runEngine(graph, vector, floatMachines[0][1])).outputs,
    ];
    for (const { out } of [reference, engine]) {
      expect(out.shape).toEqual([2]);
      expect(out.data[0]).toBeCloseTo(2.5, 6);
      expect(out.data[1]).toBeCloseTo(7, 6);
    }
  });
  it("has its fused activation", async () => {
    const graph = layer("1=1 9=3 -23310=2,0.0,3.0");
    expect([...runReference(graph, vector).out.data]).toEqual([2.5, 3]);
    const { outputs } = await runEngine(graph, vector, floatMachines[0][1]);
    expect([...outputs.out.data]).toEqual([2.5, 3]);
  });
  it("follows global pooling and feeds what comes next", async () => {
    const shapes = { x: [5, 6, 7] };
    const graph = graphOf(
      "Pooling p 1 1 x v 0=1 4=1\nConvolution a 1 1 v b 0=6 1=1 5=1 9=1\nConvolution c 1 1 b out 0=3 1=1 5=1",
      shapes,
    );
    const inputs = randomInputs(shapes);
    const expected = runReference(graph, inputs).out;
    const found = (await runEngine(graph, inputs, floatMachines[0][1])).outputs.out;
    expect(found.shape).toEqual([3]);
    found.data.forEach((v, i) => {
      expect(v).toBeCloseTo(expected.data[i], 5);
    });
  });
  it("becomes an InnerProduct where it is quantized: native ncnn misreads it in int8", () => {
    const graph = layer("1=1");
    const table = parseTable("fc_param_0 10 20 \nfc 30 \n");
    const { manifest } = tinyModel();
    const int8 = quantizeModel({ graph, manifest }, table, { name: "m" }).graph;
    expect(printParam(int8)).toMatch(/^InnerProduct +fc .*8=2/m);
    expect(graph.node("fc")!.type).toBe("Convolution");
    const [value] = runReference(int8, vector).out.data;
    expect(value).toBeCloseTo(2.5, 1);
    int8.node("fc")!.type = "Convolution";
    int8.node("fc")!.params = { num_output: 2, kernel_w: 1, weight_data_size: 8, int8_scale_term: 2 };
    expect(() => runReference(int8, vector)).toThrow(/"fc" \(x 4\): an int8 Convolution of a vector/);
  });
});

describe("windows on blobs that are no picture", () => {
  it.each([
    ["Convolution c 1 1 x out 0=2 1=3 11=1 6=6", [4]],
    ["Convolution c 1 1 x out 0=2 1=1 4=1 6=8", [4]],
    ["ConvolutionDepthWise c 1 1 x out 0=4 1=1 7=4 6=4", [4]],
    ["Convolution c 1 1 x out 0=2 1=2 6=8", [4, 4]],
    ["Deconvolution c 1 1 x out 0=2 1=1 6=2", [4]],
    ["Pooling c 1 1 x out 0=0 1=2 2=2", [4, 4]],
  ])("%s is refused: native ncnn's result depends on its memory layout", (line, shape) => {
    expect(() => graphOf(line, { x: shape })).toThrow(/expected .*rank 3/);
  });
});
