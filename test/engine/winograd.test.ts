/** 3×3 convolutions in tiles: the matrices, every border and rest, and what lies beside the channels that are read. */
import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { runReference } from "../../src/engine/reference/index.ts";
import type { Plan } from "../../src/engine/wasm/records.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Shape, Tensor } from "../../src/ir/tensor.ts";
import { integerMatrices, winogradMatrices } from "../../src/kernels/wasm/index.ts";
import {
  expectClose,
  expectEqual,
  floatMachines,
  graphOf,
  int8Machines,
  largest,
  randomInputs,
  runEngine,
} from "./harness.ts";

describe.each([2, 4] as const)("matrices of tiles of %i", (size) => {
  const { input, weight, output } = winogradMatrices(size);
  it("give the filter's results", () => {
    const random = new Random(size);
    const [d, g] = [random.floats(size + 2), random.floats(3)];
    const times = (matrix: readonly (readonly number[])[], v: ArrayLike<number>): number[] =>
      matrix.map((row) => row.reduce((sum, x, i) => sum + x * v[i], 0));
    const transformed = times(input, d);
    const products = times(weight, g).map((x, i) => x * transformed[i]);
    times(output, products).forEach((y, i) => {
      expect(y).toBeCloseTo(d[i] * g[0] + d[i + 1] * g[1] + d[i + 2] * g[2], 12);
    });
  });
  it("have numbers that float32 holds exactly, but for those of the weights", () => {
    for (const x of [...input, ...output].flat()) expect(Math.fround(x)).toBe(x);
  });
});

it("matrices of integers give the filter's results, and leave room in 16 bits", () => {
  const { input, weight, output, scale } = integerMatrices();
  const times = (matrix: readonly (readonly number[])[], v: ArrayLike<number>): number[] =>
    matrix.map((row) => row.reduce((sum, x, i) => sum + x * v[i], 0));
  const [d, g] = [
    [-127, 3, 90, -20, 127, 64],
    [127, -128, 5],
  ];
  const transformed = times(input, d);
  const results = times(
    output,
    times(weight, g).map((x, i) => x * transformed[i]),
  );
  expect(results).toEqual([0, 1, 2, 3].map((i) => scale * (d[i] * g[0] + d[i + 1] * g[1] + d[i + 2] * g[2])));
  expect([...input, ...weight, ...output].flat().every(Number.isInteger)).toBe(true);
  const most = (matrix: readonly (readonly number[])[]): number =>
    Math.max(...matrix.map((row) => row.reduce((sum, x) => sum + Math.abs(x), 0)));
  expect(most(input) ** 2 * 255).toBeLessThan(2 ** 15);
  expect(most(weight) ** 2 * 128).toBeLessThan(2 ** 15);
});

const tiled = ({ steps }: Plan): string[] =>
  steps.flatMap(({ label }) => /winograd\d/.exec(label)?.slice(0, 1) ?? []);

/** No result is further from the reference than this part of the largest. */
const bound = 1e-5;

async function check(
  graph: Graph,
  inputs: Record<string, Tensor>,
  expected: readonly string[],
): Promise<void> {
  const reference = runReference(graph, inputs, graph.outputs);
  for (const [name, target] of floatMachines) {
    const { outputs, program } = await runEngine(graph, inputs, target);
    expect(tiled(program.plan), name).toEqual(expected.map((size) => `winograd${size}`));
    for (const blob of graph.outputs) {
      const most = bound * largest(reference[blob]);
      expectClose(outputs[blob], reference[blob], () => most, `${name}, ${blob}`);
    }
  }
}

const layer = (outputs: number, rest: string): string => `Convolution a 1 1 x y 0=${outputs} 1=3 ${rest}`;

describe("layers", () => {
  it.each<[size: number, line: string, shape: Shape]>([
    [4, layer(17, "4=1 5=1"), [13, 9, 11]],
    [4, layer(8, "4=1 5=1 9=1"), [8, 16, 16]],
    [4, layer(12, "4=1 5=0 9=2 -23310=1,0.1"), [30, 7, 13]],
    [2, layer(9, "4=1 5=1 9=4"), [20, 2, 7]],
    [4, layer(64, "4=1 5=1 9=5"), [60, 10, 10]],
    [4, layer(5, "4=0 15=1 14=2 16=0 5=1"), [17, 8, 10]],
    [4, layer(13, "5=1 9=6 -23310=2,0.2,0.5"), [12, 10, 15]],
    [4, layer(6, "4=2 5=1 9=3 -23310=2,-0.5,0.75"), [16, 5, 6]],
    [2, layer(24, "4=1 5=1"), [20, 2, 9]],
    [4, layer(3, "4=1 5=1"), [60, 12, 4]],
    [4, layer(32, "4=1 5=1 18=1.5"), [9, 13, 17]],
    [4, layer(16, "4=1"), [6, 40, 40]],
  ])("tiles of %i: %s on %j", async (size, line, shape) => {
    await check(graphOf(line, { x: shape }), randomInputs({ x: shape }), [String(size)]);
  });

  it("of a single pixel are not", async () => {
    await check(graphOf(layer(8, ""), { x: [8, 3, 3] }), randomInputs({ x: [8, 3, 3] }), []);
  });
});

const conv = (name: string, from: string, to: string, outputs: number, rest: string): string =>
  `Convolution ${name} 1 1 ${from} ${to} 0=${outputs} 5=1 ${rest}`;
const three = (name: string, from: string, to: string, outputs: number, rest = ""): string =>
  conv(name, from, to, outputs, `1=3 4=1 ${rest}`);

describe("networks", () => {
  it.each<[title: string, text: string, expected: string[]]>([
    ["one after the other", `${three("a", "x", "p", 13, "9=1")}\n${three("b", "p", "y", 10)}`, ["4", "4"]],
    [
      "parts of several pictures",
      `${conv("a", "x", "p", 13, "1=1")}\n${conv("b", "x", "q", 7, "1=1 9=1")}\nSlice s 1 2 p r t -23300=2,6,-233\nConcat k 2 1 r q m\n${three("c", "m", "y", 10)}\n${conv("d", "t", "z", 5, "1=1")}`,
      ["4"],
    ],
    [
      "a picture in too many pieces",
      `${[0, 1, 2, 3, 4].map((i) => conv(`a${i}`, "x", `p${i}`, 5, "1=1")).join("\n")}\nConcat k 5 1 p0 p1 p2 p3 p4 m\n${three("c", "m", "y", 10)}`,
      [],
    ],
    [
      "residual",
      `${three("a", "x", "p", 13, "9=1")}\n${three("b", "p", "q", 13)}\nBinaryOp s 2 1 q p r 0=0\nReLU t 1 1 r u\n${conv("c", "u", "y", 6, "1=1")}`,
      ["4", "4"],
    ],
    [
      "a factor a channel behind the activation",
      `${three("a", "x", "p", 13)}\nSwish s 1 1 p q\nScale f 1 1 q y 0=13 1=1`,
      ["4"],
    ],
    [
      "upsampled and pooled",
      `${three("a", "x", "p", 12)}\nInterp u 1 1 p q 0=1 1=2.0 2=2.0\n${three("b", "q", "y", 9)}\nPooling f 1 1 p r 0=0 1=2 2=1\n${three("c", "r", "z", 13)}`,
      ["4", "4", "4"],
    ],
    [
      "read as a matrix too",
      `${three("a", "x", "p", 12)}\n${conv("b", "p", "y", 9, "1=3")}\nReshape r 1 1 p z 0=-1 1=12`,
      ["4"],
    ],
    [
      "grouped",
      `ConvolutionDepthWise a 1 1 x p 0=26 7=2 1=3 4=1 5=1\n${conv("c", "p", "y", 6, "1=1")}`,
      ["4", "4"],
    ],
  ])("%s", async (_, text, expected) => {
    const shapes = { x: [12, 11, 14] };
    await check(graphOf(text, shapes), randomInputs(shapes), expected);
  });

  it("what lies beside the channels that are read does not matter", async () => {
    const shapes = { x: [21, 9, 10] };
    const [{ x }, graph] = [
      randomInputs(shapes),
      graphOf(`Slice s 1 2 x p q -23300=2,14,-233\n${three("a", "p", "y", 12)}`, shapes),
    ];
    x.data.fill(Number.POSITIVE_INFINITY, 14 * 90);
    await check(graph, { x }, ["4"]);
  });

  it("int8 layers read what comes of them", async () => {
    const shapes = { x: [12, 11, 14] };
    const graph = graphOf(
      `${three("a", "x", "p", 13, "9=1")}\n${three("b", "p", "y", 6, "8=2")}\n${three("c", "p", "z", 7)}`,
      shapes,
    );
    const inputs = randomInputs(shapes);
    const reference = runReference(graph, inputs, graph.outputs);
    for (const [name, target] of floatMachines) {
      const { outputs, program } = await runEngine(graph, inputs, target);
      expect(tiled(program.plan)).toEqual(["winograd4", "winograd4", "winograd4"]);
      // An integer may have been rounded the other way.
      for (const blob of graph.outputs)
        expectClose(
          outputs[blob],
          reference[blob],
          () => 0.01 * largest(reference[blob]),
          `${name}, ${blob}`,
        );
    }
  });

  it("any number of threads gives the same", async () => {
    const shapes = { x: [12, 21, 30] };
    const graph = graphOf(`${three("a", "x", "p", 13, "9=1")}\n${three("b", "p", "y", 10)}`, shapes);
    const inputs = randomInputs(shapes);
    for (const [name, target] of floatMachines) {
      const { outputs: one } = await runEngine(graph, inputs, target);
      for (const threads of [2, 3]) {
        const { outputs } = await runEngine(graph, inputs, { ...target, threads });
        expectEqual(outputs.y, one.y, `${name}, ${threads} threads`);
      }
    }
  });
});

/** Bit for bit, in tiles wherever products of 16 bits are not slow. */
async function checkIntegers(graph: Graph, inputs: Record<string, Tensor>, count: number): Promise<void> {
  const reference = runReference(graph, inputs, graph.outputs);
  for (const [name, target] of int8Machines) {
    const { outputs, program } = await runEngine(graph, inputs, target);
    const expected = target.dot === "signed" ? 0 : count;
    expect(tiled(program.plan), name).toEqual(new Array(expected).fill("winograd4"));
    for (const blob of graph.outputs) expectEqual(outputs[blob], reference[blob], `${name}, ${blob}`);
  }
}

describe("int8 layers", () => {
  it.each<[line: string, shape: Shape]>([
    [layer(17, "4=1 5=1 8=2"), [60, 12, 16]],
    [layer(40, "4=1 5=1 9=1 8=102"), [33, 16, 16]],
    [layer(24, "4=1 5=0 9=2 -23310=1,0.1 8=2"), [46, 12, 16]],
    [layer(36, "4=0 15=1 14=2 16=0 5=1 8=101"), [47, 14, 17]],
    [layer(28, "5=1 8=2"), [64, 14, 18]],
    [layer(32, "4=1 5=1 18=1.5 8=2"), [45, 12, 15]],
  ])("%s on %j", async (line, shape) => {
    await checkIntegers(graphOf(line, { x: shape }), randomInputs({ x: shape }, 7, 2), 1);
  });

  it("behind each other, in pieces, and with a residual", async () => {
    const shapes = { x: [40, 11, 14] };
    const text = `${three("a", "x", "p", 37, "8=2 9=1")}
Split s 1 2 p p0 p1
${three("b", "p0", "q", 37, "8=2")}
BinaryOp t 2 1 q p1 r 0=0
ReLU u 1 1 r v
Slice w 1 2 v v0 v1 -23300=2,26,-233
Concat k 2 1 v1 v0 m
${three("c", "m", "y", 30, "8=2")}`;
    await checkIntegers(graphOf(text, shapes), randomInputs(shapes), 3);
  });

  /** All weights the largest, and inputs of their sign or the other: the largest sums that there are. */
  const extreme = (channels: number, before: string): [Graph, Record<string, Tensor>] => {
    const shapes = { x: [channels, 8, 12] };
    const graph = graphOf(`${before}\n${three("c", before ? "p" : "x", "y", 32, "8=2")}`, shapes);
    const { weight } = graph.nodes.at(-1)!.weights;
    for (let k = 0; k < weight.data.length; k++) weight.data[k] = k % 2 ? 127 : -127;
    const inputs = randomInputs(shapes);
    inputs.x.data.forEach((_, i) => {
      inputs.x.data[i] = (Math.floor(i / 96) + (i % 96)) % 2 ? 1e4 : -1e4;
    });
    return [graph, inputs];
  };
  it.each([
    [231, "", 1],
    [232, "", 0],
    [462, "ReLU r 1 1 x p", 1],
    [466, "ReLU r 1 1 x p", 0],
  ])("sums just within and beyond 26 bits: %i channels %s", async (channels, before, count) => {
    await checkIntegers(...extreme(channels, before), count);
  });

  it("any number of threads gives the same", async () => {
    const shapes = { x: [40, 21, 30] };
    const graph = graphOf(three("a", "x", "y", 33, "8=2"), shapes);
    const inputs = randomInputs(shapes);
    const [[, target]] = int8Machines;
    const { outputs: one } = await runEngine(graph, inputs, target);
    for (const threads of [2, 3]) {
      const { outputs } = await runEngine(graph, inputs, { ...target, threads });
      expectEqual(outputs.y, one.y, `${threads} threads`);
    }
  });
});
