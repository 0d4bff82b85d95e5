/** What layers do together: heads, outputs that are asked for, several names of one blob, borders, sizes. */
import { describe, expect, it, test } from "vitest";
import { runReference } from "../../src/engine/reference/index.ts";
import { createSession } from "../../src/engine/session.ts";
import { synthesize } from "../../src/zoo/weights.ts";
import { conv, describeNetworks, type Network, picture, shuffleNet, small } from "./_layers.ts";
import {
  expectClose,
  expectEqual,
  floatMachines,
  graphOf,
  graphTolerance,
  int8Machines,
  largest,
  randomInputs,
  runEngine,
} from "./harness.ts";

const squeeze = (pool: string, gate: string): string =>
  `${conv("c", "x", "p", 14, "1=3 4=1 9=1")}\n${pool}\n${gate}\nBinaryOp s 2 1 p g m 0=2\n${conv("d", "m", "y", 5)}`;
const globalPool = "Pooling f 1 1 p q 0=1 4=1";
describeNetworks("squeeze and excite", [
  {
    title: "fully connected",
    text: squeeze(
      globalPool,
      "InnerProduct i 1 1 q r 0=4 1=1 9=1\nInnerProduct j 1 1 r t 0=14 1=1\nHardSigmoid h 1 1 t g",
    ),
    shapes: small,
  },
  {
    title: "fused sigmoid",
    text: squeeze(globalPool, "InnerProduct i 1 1 q r 0=4 1=1 9=1\nInnerProduct j 1 1 r g 0=14 1=1 9=4"),
    shapes: small,
  },
  {
    title: "reshaped, convolutions",
    text: squeeze(
      `${globalPool}\nReshape v 1 1 q w 0=1 1=1 2=-1`,
      `${conv("i", "w", "r", 4, "1=1 9=1")}\n${conv("j", "r", "g", 14, "1=1 9=4")}`,
    ),
    shapes: small,
  },
  {
    title: "gate first",
    text: squeeze(globalPool, "InnerProduct i 1 1 q g 0=14 1=1 9=4").replace("p g m", "g p m"),
    shapes: small,
  },
  {
    title: "on a shuffled picture",
    text: `${conv("c", "x", "p", 14)}\nShuffleChannel h 1 1 p n 0=2\nPooling f 1 1 n q 0=1 4=1\nInnerProduct i 1 1 q g 0=14 1=1 9=4\nBinaryOp s 2 1 n g y 0=2`,
    shapes: small,
  },
]);

describeNetworks("heads", [
  {
    title: "YOLO",
    text: `${conv("c", "x", "p", 21)}\nReshape r 1 1 p q 0=-1 1=7 2=3\nPermute t 1 1 q y 0=1`,
    shapes: small,
  },
  {
    title: "YOLO, two scales",
    text: `${conv("c", "x", "p", 21)}\nReshape r 1 1 p q 0=-1 1=7 2=3\nPermute t 1 1 q m 0=1\n${conv("d", "x", "n", 21, "1=3 3=2 4=1")}\nReshape s 1 1 n o 0=-1 1=7 2=3\nPermute u 1 1 o v 0=1\nConcat k 2 1 m v y 0=1`,
    shapes: small,
    inJavaScript: ["Concat"],
  },
  {
    title: "matrix",
    text: `${conv("c", "x", "p", 10)}\nPermute t 1 1 p q 0=3\nReshape r 1 1 q y 0=10 1=-1`,
    shapes: small,
  },
  {
    title: "the picture is read by a padded convolution too",
    text: `${conv("c", "x", "p", 6)}\nReshape r 1 1 p y 0=-1 1=6\n${conv("d", "p", "z", 5, "1=3 4=1")}`,
    shapes: small,
  },
  {
    title: "flattened, two consumers",
    text: `${conv("c", "x", "p", 6)}\nFlatten f 1 1 p q\nInnerProduct i 1 1 q y 0=9 1=1\nSigmoid s 1 1 q z`,
    shapes: small,
  },
  {
    title: "flattened into a fully connected layer",
    text: `${conv("c", "x", "p", 6)}\nFlatten f 1 1 p q\nInnerProduct i 1 1 q y 0=9 1=1`,
    shapes: small,
  },
  {
    title: "unflattened into a fully connected layer",
    text: `${conv("c", "x", "p", 6)}\nInnerProduct i 1 1 p y 0=9 1=1`,
    shapes: small,
  },
  ...[0, 1, 2, 3, 4, 5].map(
    (order): Network => ({
      title: `permutation ${order} of a picture`,
      text: `Permute t 1 1 x y 0=${order}`,
      shapes: { x: [3, 5, 9] },
    }),
  ),
  ...[0, 1].map(
    (order): Network => ({
      title: `permutation ${order} of a matrix`,
      text: `Permute t 1 1 x y 0=${order}`,
      shapes: { x: [5, 9] },
    }),
  ),
  {
    title: "permuted, then convolved",
    text: `Permute t 1 1 x p 0=3\n${conv("c", "p", "y", 5)}`,
    shapes: { x: [3, 5, 9] },
  },
  {
    title: "permuted twice",
    text: `${conv("c", "x", "p", 6)}\nPermute t 1 1 p q 0=5\nPermute u 1 1 q y 0=2`,
    shapes: small,
  },
  {
    title: "reshaped to a picture and back",
    text: `Reshape r 1 1 x p 0=3 1=4 2=5\n${conv("c", "p", "q", 6, "1=3 4=1")}\nReshape s 1 1 q y 0=-1`,
    shapes: { x: [60] },
  },
  {
    title: "permuted and reshaped across axes",
    text: `Permute t 1 1 x p 0=1\nReshape r 1 1 p y 0=10 1=-1`,
    shapes: { x: [3, 5, 4] },
  },
  {
    title: "squeezed and expanded",
    text: `Pooling f 1 1 x p 0=1 4=1\nExpandDims e 1 1 p q -23303=2,1,2\nSqueeze s 1 1 q y 0=1 1=1`,
    shapes: small,
  },
  {
    title: "reshaped activation",
    text: `${conv("c", "x", "p", 6)}\nReshape r 1 1 p q 0=-1 1=6\nSigmoid s 1 1 q y`,
    shapes: small,
  },
]);

describeNetworks("layers without a kernel of their own", [
  {
    title: "in the middle",
    text: `${conv("c", "x", "p", 6)}\nAbsVal a 1 1 p q\n${conv("d", "q", "y", 5, "1=3 4=1")}`,
    shapes: small,
    inJavaScript: ["AbsVal"],
  },
  {
    title: "two beside each other",
    text: `${conv("c", "x", "p", 6)}\nUnaryOp a 1 1 p q 0=0\nELU b 1 1 p r 0=0.3\nConcat k 2 1 q r m\n${conv("d", "m", "y", 5)}`,
    shapes: small,
    inJavaScript: ["UnaryOp", "ELU"],
  },
  {
    title: "with weights",
    text: `${conv("c", "x", "p", 6)}\nPReLU a 1 1 p q 0=6\nBatchNorm b 1 1 q r 0=6\n${conv("d", "r", "y", 5)}`,
    shapes: small,
    inJavaScript: ["PReLU", "BatchNorm"],
  },
  {
    title: "at both ends",
    text: `AbsVal a 1 1 x p\n${conv("c", "p", "q", 6)}\nAbsVal b 1 1 q y`,
    shapes: small,
    inJavaScript: ["AbsVal", "AbsVal"],
  },
  {
    title: "padded with a value",
    text: `${conv("c", "x", "y", 6, "1=3 4=1 18=1.5")}`,
    shapes: small,
  },
  {
    title: "padded with different values by its readers",
    text: `${conv("a", "x", "p", 6)}\n${conv("c", "p", "q", 6, "1=3 4=1 18=1.5")}\n${conv("d", "p", "r", 6, "1=3 4=1 18=-0.25")}\nBinaryOp s 2 1 q r y 0=0`,
    shapes: small,
  },
  {
    title: "several outputs",
    text: `Slice s 1 2 x p q -23300=2,2,-233 1=2\n${conv("c", "p", "y", 3)}`,
    shapes: small,
    inJavaScript: ["Slice"],
    outputs: ["y", "q"],
  },
  {
    title: "fully connected on rows",
    text: "InnerProduct i 1 1 x y 0=9 1=1",
    shapes: { x: [4, 6] },
    inJavaScript: ["InnerProduct"],
  },
]);

describeNetworks("outputs that are asked for", [
  {
    title: "every blob of a residual block",
    text: `${conv("c", "x", "p", 6, "1=3 4=1 9=1")}\n${conv("d", "p", "q", 6, "1=3 4=1")}\nBinaryOp s 2 1 q p r\nReLU a 1 1 r t\n${conv("e", "t", "y", 3)}`,
    shapes: small,
    outputs: ["x", "p", "q", "r", "t", "y"],
  },
  {
    title: "every blob of a shuffle unit",
    text: shuffleNet(3, 1),
    shapes: { x: [3, 5, 6] },
    outputs: ["s", "a0", "b0", "h0", "o0", "m1", "n1", "c1", "h1", "o1", "y"],
  },
  {
    title: "an early blob only",
    text: `${conv("c", "x", "p", 6)}\nAbsVal a 1 1 p q\n${conv("d", "q", "y", 5)}`,
    shapes: small,
    outputs: ["p"],
  },
  {
    title: "several inputs",
    text: `${conv("c", "x", "p", 6)}\n${conv("d", "z", "q", 6)}\nBinaryOp s 2 1 p q y`,
    shapes: { x: [3, 4, 5], z: [2, 4, 5] },
  },
  { title: "the input", text: `${conv("c", "x", "y", 6)}`, shapes: small, outputs: ["x"] },
]);

describeNetworks("weights beyond the cache, a panel of them at a time", [
  {
    title: "one long row, with a residual",
    text: `${conv("a", "x", "p", 530)}\n${conv("b", "p", "q", 530, "1=1 9=1")}\nBinaryOp s 2 1 p q y`,
    shapes: { x: [260, 3, 5] },
  },
  {
    title: "rows with a border",
    text: `${conv("a", "x", "p", 530)}\nConvolutionDepthWise d 1 1 p y 0=530 1=3 4=1 5=1 7=530`,
    shapes: { x: [260, 3, 5] },
  },
  {
    title: "windows",
    text: conv("a", "x", "y", 61, "1=3 3=2 4=1"),
    shapes: { x: [260, 5, 4] },
  },
]);

describeNetworks("two names of one blob", [
  ...[
    "Noop n 1 1 p q",
    "Dropout n 1 1 p q",
    "Concat n 1 1 p q",
    "Crop n 1 1 p q -23309=1,0 -23310=1,-233 -23311=1,0",
    "ShuffleChannel n 1 1 p q 0=1",
  ].flatMap((alias): Network[] => [
    {
      title: `activation on one, the other read: ${alias}`,
      text: `${conv("c", "x", "p", 6)}\n${alias}\nSigmoid s 1 1 q r\n${conv("d", "r", "y", 5)}\n${conv("e", "p", "z", 5)}`,
      shapes: small,
    },
    {
      title: `activation on one, the other an output: ${alias}`,
      text: `${conv("c", "x", "p", 6)}\n${alias}\nSigmoid s 1 1 q y`,
      shapes: small,
      outputs: ["p", "y"],
    },
    {
      title: `sum with one, the other read: ${alias}`,
      text: `${conv("b", "x", "o", 6)}\n${conv("c", "o", "p", 6)}\n${alias}\nBinaryOp s 2 1 q o r\n${conv("d", "r", "y", 5)}\n${conv("e", "p", "z", 5)}`,
      shapes: small,
    },
    {
      title: `fused through: ${alias}`,
      text: `${conv("c", "x", "p", 6)}\n${alias}\nSigmoid s 1 1 q y`,
      shapes: small,
    },
  ]),
  {
    title: "half of a blob that is read whole",
    text: `${conv("c", "x", "p", 6)}\nSlice n 1 1 p q -23300=1,6\nReLU s 1 1 q r\nConcat k 2 1 r p m\n${conv("d", "m", "y", 5)}`,
    shapes: small,
  },
  {
    title: "reshaped and activated",
    text: `${conv("c", "x", "p", 6)}\nReshape r 1 1 p q 0=-1 1=6\nReLU s 1 1 p y`,
    shapes: small,
  },
]);

describe("borders", () => {
  // Both bordered pictures are 11x11 in memory, but one has its last row and column where the other's border is.
  const text = (int8: string): string => `
Convolution a 1 1 x p 0=8 1=1 5=1 9=1
Convolution b 1 1 p q 0=8 1=3 3=2 4=1 5=1 9=1 ${int8}
Interp c 1 1 q r 0=2 3=9 4=9
Convolution d 1 1 r s 0=8 1=3 4=1 5=1 ${int8}
Interp e 1 1 s t 0=2 3=10 4=10
Convolution f 1 1 t y 0=8 1=3 3=2 4=1 5=1 ${int8}`;
  it.each(["float", "8=2"])(
    "of the same size in memory but other widths share no buffer: %s",
    async (how) => {
      const shapes = { x: [3, 10, 10] };
      const graph = graphOf(text(how === "float" ? "" : how), shapes);
      const inputs = randomInputs(shapes);
      const expected = runReference(graph, inputs).y;
      const machines = how === "float" ? floatMachines : int8Machines;
      for (const [name, target] of machines) {
        const { outputs } = await runEngine(graph, inputs, target, ["y"], 3);
        const tolerance = how === "float" ? graphTolerance(graph) : 0.02;
        expectClose(outputs.y, expected, () => tolerance * largest(expected), name);
      }
    },
  );
});

describe("sizes", () => {
  it("are planned again for every size, and kept", async () => {
    const text = `${conv("c", "x", "p", 6, "1=3 3=2 4=1 9=1")}\nInterp u 1 1 p q 0=1 1=2.0 2=2.0\nConcat k 2 1 q x m\n${conv("d", "m", "y", 5, "1=3 4=1")}`;
    const graph = graphOf(text, { x: [3, 8, 8] });
    const session = await createSession(graph);
    for (const [h, w] of [
      [8, 8],
      [2, 2],
      [10, 4],
      [8, 8],
      [4, 26],
      [16, 12],
      [6, 6],
      [8, 8],
    ]) {
      const inputs = randomInputs({ x: [3, h, w] }, h * w);
      const [found, expected] = [await session.run(inputs), runReference(graph, inputs)];
      expectClose(found.y, expected.y, () => graphTolerance(graph) * largest(expected.y), `${h}x${w}`);
    }
    const inputs = randomInputs({ x: [3, 8, 8] });
    const both = await Promise.all([
      session.run(inputs),
      session.run(randomInputs({ x: [3, 8, 8] }, 8)),
      session.run(inputs),
    ]);
    expectEqual(both[2].y, both[0].y, "runs in flight together");
    session.close();
  });
});

test("rows that depend on the data are as many as there are", async () => {
  const head = `${conv("c", "x", "p", 21)}\nYoloDetectionOutput d 1 1 p y 0=2 1=3 2=`;
  for (const [threshold, rows] of [
    ["0.0", (n: number) => n > 0],
    ["2.0", (n: number) => n === 0],
  ] as const) {
    const graph = graphOf(`${head}${threshold} -23304=6,1.0,2.0,3.0,1.0,2.0,2.0`, picture);
    synthesize(graph, picture);
    const inputs = randomInputs(picture);
    const expected = runReference(graph, inputs);
    expect(rows(expected.y.shape[0])).toBe(true);
    const { outputs } = await runEngine(graph, inputs, floatMachines[0][1]);
    expect(outputs.y.shape).toEqual(expected.y.shape);
    expectClose(outputs.y, expected.y, (i) => 1e-5 * Math.max(1, Math.abs(expected.y.data[i])), threshold);
  }
});
