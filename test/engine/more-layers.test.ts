/** Layers that `lower-dense.ts` puts on kernels: equal to the reference kernels, on one thread and in parts, none in JavaScript. */
import { expect, test } from "vitest";
import { runReference } from "../../src/engine/reference/index.ts";
import type { Shape } from "../../src/ir/tensor.ts";
import { synthesize } from "../../src/zoo/weights.ts";
import {
  expectClose,
  floatMachines,
  graphOf,
  largest,
  randomInputs,
  referenceTypes,
  runEngine,
} from "./random-graph.ts";

const picture: Record<string, Shape> = { x: [8, 6, 7] };
const matrix: Record<string, Shape> = { x: [5, 8] };
const conv = (name: string, from: string, to: string, outputs: number, rest = "1=1"): string =>
  `Convolution ${name} 1 1 ${from} ${to} 0=${outputs} 5=1 ${rest}`;

const cases: readonly (readonly [title: string, text: string, shapes: Record<string, Shape>])[] = [
  ["linear rows", "Gemm g 1 1 x y 3=1 5=1 6=1 8=12 9=8 10=4", matrix],
  ["linear rows, B not transposed, no C", "Gemm g 1 1 x y 5=1 8=6 9=8 10=-1", matrix],
  [
    "linear rows of a width that is no multiple of 4",
    "Gemm g 1 1 x y 3=1 5=1 6=1 8=5 9=7 10=4",
    { x: [3, 7] },
  ],
  ["fully connected on rows, with activation", "InnerProduct i 1 1 x y 0=6 1=1 2=48 9=1", matrix],
  [
    "a transformer layer",
    `LayerNorm a 1 1 x n 0=8 1=1e-6
     MultiHeadAttention m 3 1 n n n o 0=8 1=2 2=64
     BinaryOp s 2 1 x o p
     LayerNorm b 1 1 p q 0=8 1=1e-5 2=1
     Gemm g 1 1 q r 3=1 5=1 6=1 8=16 9=8 10=4
     GELU u 1 1 r t 0=1
     Gemm h 1 1 t v 3=1 5=1 6=1 8=8 9=16 10=4
     BinaryOp z 2 1 p v y`,
    matrix,
  ],
  [
    "attention with keys from elsewhere, not a multiple of 4 of them",
    "MultiHeadAttention m 2 1 x k y 0=16 1=2 2=128",
    { x: [3, 8], k: [7, 16] },
  ],
  ["attention over a single key", "MultiHeadAttention m 1 1 x y 0=8 1=1 2=64", { x: [1, 8] }],
  ["softmax of rows", "Softmax s 1 1 x y 0=1 1=1", { x: [6, 21] }],
  [
    "softmax of rows that are channels",
    `${conv("c", "x", "p", 9)}\nPermute p 1 1 p q 0=3\nSoftmax s 1 1 q y 0=2 1=1`,
    picture,
  ],
  ["LRN", "LRN l 1 1 x y 1=5 2=0.5", picture],
  ["LRN of 3 channels with a bias", "LRN l 1 1 x y 1=3 2=1.5 4=2.0", picture],
  [
    "LRN between convolutions",
    `${conv("c", "x", "p", 12)}\nLRN l 1 1 p q\n${conv("d", "q", "y", 5)}`,
    picture,
  ],
  ["padding around", "Padding p 1 1 x y 0=1 1=2 2=0 3=3", picture],
  [
    "padding behind channels",
    `${conv("c", "x", "p", 5)}\nPadding b 1 1 p q 7=0 8=3\nBinaryOp s 2 1 q x y`,
    picture,
  ],
  [
    "padding before a convolution with padding",
    `Padding p 1 1 x q 1=2 3=2\n${conv("c", "q", "y", 3, "1=3 4=1")}`,
    picture,
  ],
  ["batch normalisation", `BatchNorm b 1 1 x p 0=8 1=1e-5\nReLU r 1 1 p y`, picture],
  ["means of channels", "Reduction r 1 1 x y 0=3 1=0 -23303=2,1,2 4=1 5=1", picture],
  ["means of channels, rank 1", "Reduction r 1 1 x y 0=3 1=0 -23303=2,-1,-2 5=1", picture],
  ["depthwise transposed", "DeconvolutionDepthWise d 1 1 x y 0=8 1=4 3=2 4=1 6=128 7=8 5=1", picture],
  [
    "two inputs a group transposed",
    `${conv("c", "x", "p", 12)}\nDeconvolutionDepthWise d 1 1 p y 0=6 1=4 3=2 4=1 6=192 7=6 5=1 9=1`,
    picture,
  ],
  ["transposed, sides differ", "DeconvolutionDepthWise d 1 1 x y 0=8 1=3 11=2 3=3 13=2 6=48 7=8", picture],
  [
    "transposed, dense, leaky",
    "Deconvolution d 1 1 x y 0=5 1=3 3=2 4=1 6=360 5=1 18=1 9=2 -23310=1,0.2",
    picture,
  ],
  ["transposed, dense, dilated", "Deconvolution d 1 1 x y 0=4 1=3 2=2 4=1 6=288", picture],
  ["transposed to a size", "Deconvolution d 1 1 x y 0=4 1=4 3=2 4=-233 20=14 21=12 6=512", picture],
  [
    "joined vectors",
    "Flatten f 1 1 x p\nPermute q 1 1 x r 0=3\nFlatten g 1 1 r s\nConcat c 2 1 p s y",
    picture,
  ],
  ["joined columns", "Sigmoid a 1 1 x p\nConcat c 3 1 x p x y 0=1", matrix],
  ["joined rows", "Concat c 2 1 x k y", { x: [5, 8], k: [2, 8] }],
  ["joined pictures, one below the other", `${conv("c", "x", "p", 8)}\nConcat k 2 1 x p y 0=1`, picture],
  [
    "cut out of the middle",
    `Crop c 1 1 x p -23309=3,1,2,3 -23310=3,5,6,6 -23311=3,0,1,2\n${conv("d", "p", "y", 3)}`,
    picture,
  ],
  [
    "cut rows, both read",
    "Slice s 1 2 x p q -23300=2,2,-233\nLayerNorm a 1 1 p r 0=8\nSigmoid b 1 1 q t\nConcat c 2 1 t r y",
    matrix,
  ],
  [
    "a row of a linear layer that is read elsewhere too",
    "Gemm g 1 1 x p 3=1 5=1 6=1 8=8 9=8 10=4\nCrop c 1 1 p q -23309=1,1 -23310=1,2 -23311=1,0\nSigmoid s 1 1 p r\nConcat k 2 1 q r y",
    matrix,
  ],
  ["a constant vector", "MemoryData m 0 1 c 0=8\nBinaryOp s 2 1 x c y", picture],
  ["a constant matrix", "MemoryData m 0 1 c 0=8 1=5\nBinaryOp s 2 1 x c y 0=2", matrix],
  [
    "default boxes",
    `${conv("c", "x", "p", 4)}\nPriorBox b 2 1 p x y -23300=1,3.0 -23302=1,2.0 9=-233 10=-233 13=0.5`,
    picture,
  ],
];

test.each(cases)("%s", async (_, text, shapes) => {
  const graph = graphOf(text, shapes);
  synthesize(graph, shapes);
  const inputs = randomInputs(shapes);
  const expected = runReference(graph, inputs);
  for (const [name, target] of floatMachines) {
    const found = await runEngine(graph, inputs, target);
    for (const blob of graph.outputs) {
      const size = Math.max(largest(expected[blob]), 1e-3);
      expectClose(found.outputs[blob], expected[blob], () => 1e-5 * size, `${name}, ${blob}`);
    }
    expect(referenceTypes(found.program), name).toEqual([]);
  }
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
