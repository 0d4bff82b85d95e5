/** 3×3 convolutions in tiles: the matrices, every border and rest, and what lies beside the channels that are read. */
import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { runReference } from "../../src/engine/reference/index.ts";
import type { Plan } from "../../src/engine/wasm/records.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Shape, Tensor } from "../../src/ir/tensor.ts";
import { winogradMatrices } from "../../src/kernels/wasm/index.ts";
import {
  expectClose,
  expectEqual,
  floatMachines,
  graphOf,
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
      expect(tiled(program.plan)).toEqual(["winograd4", "winograd4"]);
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
