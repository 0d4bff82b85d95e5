/** Every rewrite as text, and both graphs run on the reference backend. */
import { expect, test } from "vitest";
import { f32Weight, weightToFloat32 } from "../../src/ir/weight.ts";
import * as passes from "../../src/passes/index.ts";
import { check, expectSame, graphOf, textOf } from "./helpers.ts";

const linear = [
  ["Convolution", "0=6 1=3 4=1", "6=162", [3, 5, 7]],
  ["ConvolutionDepthWise", "0=6 1=3 4=1", "6=54 7=3", [3, 5, 7]],
  ["Convolution1D", "0=6 1=3 4=1", "6=54", [3, 7]],
  ["ConvolutionDepthWise1D", "0=6 1=3 4=1", "6=18 7=3", [3, 7]],
  ["Deconvolution", "0=6 1=3 3=2", "6=162", [3, 5, 7]],
  ["DeconvolutionDepthWise", "0=6 1=3 3=2", "6=54 7=3", [3, 5, 7]],
] as const;

test.each(linear)("BatchNorm and Scale fold into %s", (type, front, back, shape) => {
  check(
    passes.foldBatchNorm,
    `Input x 0 1 x
     ${type} conv 1 1 x a ${front} ${back}
     BatchNorm bn 1 1 a y 0=6 1=1e-3`,
    `Input x 0 1 x
     ${type} conv 1 1 x y ${front} 5=1 ${back}`,
    [...shape],
  );
  check(
    passes.foldScale,
    `Input x 0 1 x
     ${type} conv 1 1 x a ${front} 5=1 ${back}
     Scale s 1 1 a y 0=6 1=1`,
    `Input x 0 1 x
     ${type} conv 1 1 x y ${front} 5=1 ${back}`,
    [...shape],
  );
});

test("Bias folds", () => {
  check(
    passes.foldScale,
    `Input x 0 1 x
     Convolution conv 1 1 x a 0=6 1=1 6=18
     Bias b 1 1 a y 0=6`,
    `Input x 0 1 x
     Convolution conv 1 1 x y 0=6 1=1 5=1 6=18`,
    [3, 5, 7],
  );
});

test("BatchNorm folds into InnerProduct where that gives a vector", () => {
  check(
    passes.foldBatchNorm,
    `Input x 0 1 x 0=4 1=4 2=3
     InnerProduct fc 1 1 x a 0=6 2=288
     BatchNorm bn 1 1 a y 0=6`,
    `Input x 0 1 x 0=4 1=4 2=3
     InnerProduct fc 1 1 x y 0=6 1=1 2=288`,
    [3, 4, 4],
  );
  const rows = `Input x 0 1 x 0=4 1=6
     InnerProduct fc 1 1 x a 0=6 2=24
     BatchNorm bn 1 1 a y 0=6`;
  expect(check(passes.foldBatchNorm, rows, rows, [6, 4])[0]).toContain("may work on rows");
});

test("nothing folds behind an activation, into a shared blob or into int8", () => {
  const behind = `Input x 0 1 x
     Convolution conv 1 1 x a 0=6 1=1 6=18 9=1
     BatchNorm bn 1 1 a y 0=6`;
  expect(check(passes.foldBatchNorm, behind, behind, [3, 5, 7])).toEqual([
    'fold-batch-norm: BatchNorm "bn" stays: Convolution "conv" before it has an activation, which comes first',
  ]);
  const shared = `Input x 0 1 x
     Convolution conv 1 1 x a 0=6 1=1 6=18
     Split s 1 2 a a0 a1
     BatchNorm bn 1 1 a0 y 0=6
     ReLU r 1 1 a1 z`;
  expect(check(passes.foldBatchNorm, shared, shared, [3, 5, 7])[0]).toContain("has 2 readers");
  const int8 = `Input x 0 1 x
     Convolution conv 1 1 x a 0=6 1=1 6=18 8=2
     BatchNorm bn 1 1 a b 0=6
     ReLU r 1 1 b y`;
  expect(check(passes.foldBatchNorm, int8, int8)[0]).toContain("is an int8 layer");
});

test("Scale merges into BatchNorm", () => {
  check(
    passes.mergeScale,
    `Input x 0 1 x
     BatchNorm bn 1 1 x a 0=3 1=1e-5
     Scale s 1 1 a y 0=3 1=1`,
    `Input x 0 1 x
     BatchNorm bn 1 1 x y 0=3 1=1e-05`,
    [3, 5, 7],
  );
});

test.each([
  ["mul", "2", "0 1", false],
  ["add", "0", "1 0", true],
  ["sub", "1", "0 1", true],
  ["sub", "1", "1 0", true],
  ["div", "3", "0 1", false],
])("a constant per channel folds: %s (%s, operands %s)", (_, opType, order, addsBias) => {
  const operands = order.split(" ").map((i) => ["a", "k"][Number(i)]);
  for (const extents of ["0=6", "0=1 1=1 2=6"]) {
    check(
      passes.foldConstant,
      `Input x 0 1 x
       MemoryData k 0 1 k ${extents}
       Convolution conv 1 1 x a 0=6 1=1 6=18
       BinaryOp op 2 1 ${operands.join(" ")} y 0=${opType}`,
      `Input x 0 1 x
       Convolution conv 1 1 x y 0=6 1=1${addsBias ? " 5=1" : ""} 6=18`,
    );
  }
});

test("a folded constant keeps the values", () => {
  for (const [opType, operands] of [
    [2, "a k"],
    [1, "k a"],
    [1, "a k"],
    [0, "a k"],
  ]) {
    const before = graphOf(`Input x 0 1 x
       MemoryData k 0 1 k 0=6
       Convolution conv 1 1 x a 0=6 1=1 5=1 6=18
       BinaryOp op 2 1 ${operands} y 0=${opType}`);
    const after = before.clone();
    passes.runPasses(after, [passes.foldConstant]);
    expect(after.nodes.length).toBe(2);
    expectSame(before, after, { x: [3, 5, 7] });
  }
});

test("a constant that is not one value per channel stays", () => {
  const text = `Input x 0 1 x
     MemoryData k 0 1 k 0=7
     Convolution conv 1 1 x a 0=6 1=1 6=18
     BinaryOp op 2 1 a k y`;
  check(passes.foldConstant, text, text, [3, 5, 7]);
});

test("scalars fold", () => {
  check(
    passes.foldScalar,
    `Input x 0 1 x
     Convolution conv 1 1 x a 0=6 1=1 5=1 6=18
     BinaryOp m 1 1 a b 0=2 1=1 2=3.0
     BinaryOp s 1 1 b c 0=7 1=1 2=0.5
     BinaryOp d 1 1 c y 0=3 1=1 2=2.0`,
    `Input x 0 1 x
     Convolution conv 1 1 x y 0=6 1=1 5=1 6=18`,
    [3, 5, 7],
  );
});

test("Dropout with a factor folds", () => {
  check(
    passes.foldDropout,
    `Input x 0 1 x
     InnerProduct fc 1 1 x a 0=6 1=1 2=108
     Dropout d 1 1 a y 0=0.5`,
    `Input x 0 1 x
     InnerProduct fc 1 1 x y 0=6 1=1 2=108`,
    [3, 2, 3],
  );
});

test.each([
  ["ReLU", "", "9=1"],
  ["ReLU", "0=0.1", "9=2 -23310=1,1.000000e-01"],
  ["Clip", "0=-1.0 1=2.0", "9=3 -23310=2,-1.000000e+00,2.000000e+00"],
  ["Sigmoid", "", "9=4"],
  ["Mish", "", "9=5"],
  ["HardSwish", "0=0.25", "9=6 -23310=2,2.500000e-01,5.000000e-01"],
])("%s %s fuses as an activation", (type, params, fused) => {
  for (const [layer, front, back, shape] of [
    ...linear,
    ["InnerProduct", "0=6", "2=630", [3, 5, 7]] as const,
  ]) {
    check(
      passes.fuseActivation,
      `Input x 0 1 x
       ${layer} conv 1 1 x a ${front} ${back}
       ${type} act 1 1 a y ${params}`,
      `Input x 0 1 x
       ${layer} conv 1 1 x y ${front} ${back.replace(/ ?(7=3)?$/, ` ${fused} $1`)}`,
      [...shape],
    );
  }
});

test("Swish, a second activation and activations of int8 layers stay", () => {
  for (const [conv, act, why] of [
    ["", "Swish", undefined],
    ["9=1", "Sigmoid", "has an activation"],
    ["8=2", "ReLU", "is an int8 layer"],
  ]) {
    const text = `Input x 0 1 x
     Convolution conv 1 1 x a 0=6 1=1 6=18${conv ? ` ${conv}` : ""}
     ${act} act 1 1 a y`;
    const misses = check(passes.fuseActivation, text, text);
    if (why) expect(misses[0]).toContain(why);
    else expect(misses).toEqual([]);
  }
});

test("PReLU with one slope is ReLU", () => {
  const before = graphOf("Input x 0 1 x\nPReLU p 1 1 x y 0=1");
  before.nodes[1].weights.slope = f32Weight([0.25]);
  const after = before.clone();
  expect(passes.replacePrelu.run(after)).toBe(1);
  expect(textOf(after)).toBe("Input x 0 1 x\nReLU p 1 1 x y 0=2.500000e-01");
  expectSame(before, after, { x: [3, 5, 7] });
  const many = "Input x 0 1 x\nPReLU p 1 1 x y 0=3";
  check(passes.replacePrelu, many, many);
});

test.each([
  ["Clip c 1 1 x y 0=0.0", "ReLU c 1 1 x y"],
  ["BinaryOp c 1 1 x y 0=4 1=1 2=0.0", "ReLU c 1 1 x y"],
  ["BinaryOp c 1 1 x y 0=5 1=1 2=0.5", "Clip c 1 1 x y 1=5.000000e-01"],
  ["ReLU r 1 1 x a\nClip c 1 1 a y 0=-1.0 1=0.5", "Clip r 1 1 x y 0=0.000000e+00 1=5.000000e-01"],
  ["Clip c 1 1 x a 0=-1.0 1=0.5\nReLU r 1 1 a y", "Clip c 1 1 x y 0=0.000000e+00 1=5.000000e-01"],
  ["ReLU r 1 1 x a\nReLU s 1 1 a y", "ReLU r 1 1 x y"],
  [
    "BinaryOp a 1 1 x a 0=4 1=1 2=-0.25\nBinaryOp b 1 1 a y 0=5 1=1 2=0.5",
    "Clip a 1 1 x y 0=-2.500000e-01 1=5.000000e-01",
  ],
  ["ReLU r 1 1 x y 0=0.5", "ReLU r 1 1 x y 0=0.5"],
])("limits merge: %s", (from, to) => {
  const input = "Input x 0 1 x\n";
  if (from === to) expect(passes.mergeClips.run(graphOf(input + from))).toBe(0);
  else check(passes.mergeClips, input + from, input + to, [3, 5, 7]);
});

test("self gates in any order and spelling", () => {
  for (const [gate, params, fused] of [
    ["Sigmoid", "", "Swish"],
    ["HardSigmoid", "0=0.25 1=0.25", "HardSwish"],
  ]) {
    for (const product of ["BinaryOp p 2 1 x g y 0=2", "BinaryOp p 2 1 g x y 0=2", "Eltwise p 2 1 x g y"]) {
      const before = graphOf(`Input x 0 1 x\n${gate} g 1 1 x g ${params}\n${product}`);
      const after = before.clone();
      expect(passes.fuseSelfGate.run(after)).toBe(1);
      expect(after.nodes.map((node) => node.type)).toEqual(["Input", fused]);
      expectSame(before, after, { x: [3, 5, 7] });
    }
  }
  const other = "Input x 0 1 x\nReLU r 1 1 x a\nSigmoid g 1 1 a g\nBinaryOp p 2 1 x g y 0=2";
  expect(passes.fuseSelfGate.run(graphOf(other))).toBe(0);
});

test.each([
  [0, "x k", "BinaryOp b 1 1 x y 1=1 2="],
  [1, "k x", "BinaryOp b 1 1 x y 0=7 1=1 2="],
  [3, "k x", "BinaryOp b 1 1 x y 0=8 1=1 2="],
  [6, "k x", "BinaryOp b 1 1 x y 0=9 1=1 2="],
  [7, "k x", "BinaryOp b 1 1 x y 0=1 1=1 2="],
  [17, "k x", "BinaryOp b 1 1 x y 0=18 1=1 2="],
])("a one-value constant becomes a scalar: op %i of %s", (op, operands, expected) => {
  const before = graphOf(`Input x 0 1 x\nMemoryData k 0 1 k 0=1\nBinaryOp b 2 1 ${operands} y 0=${op}`);
  before.nodes[1].weights.data = f32Weight([1.75]);
  const after = before.clone();
  expect(passes.fuseScalarOperand.run(after)).toBe(1);
  expect(textOf(after)).toBe(`Input x 0 1 x\n${expected}1.750000e+00`);
  if (op !== 6 && op !== 3) expectSame(before, after, { x: [3, 5, 7] });
});

test("a scalar constant with several readers, and one that is no scalar", () => {
  const before = graphOf(`Input x 0 1 x
     MemoryData k 0 1 k 0=1
     Split s 1 2 k k0 k1
     BinaryOp a 2 1 x k0 a
     BinaryOp b 2 1 a k1 y 0=2`);
  const after = before.clone();
  expect(passes.fuseScalarOperand.run(after)).toBe(2);
  expect(after.nodes.map((node) => node.type)).toEqual(["Input", "BinaryOp", "BinaryOp"]);
  expectSame(before, after, { x: [3, 5, 7] });
  const text = "Input x 0 1 x\nMemoryData k 0 1 k 0=3\nBinaryOp b 2 1 x k y";
  check(passes.fuseScalarOperand, text, text, [3, 5, 7]);
  const wrong = graphOf("Input x 0 1 x\nMemoryData k 0 1 k 0=1\nBinaryOp b 2 1 k x y 0=99");
  wrong.nodes[1].weights.data = f32Weight([1]);
  expect(passes.fuseScalarOperand.run(wrong)).toBe(0);
});

test("a weighted sum, only where the shapes are known to agree", () => {
  check(
    passes.fuseWeightedSum,
    `Input x 0 1 x
     Convolution c 1 1 x a 0=3 1=3 4=1 6=81
     Convolution d 1 1 a b 0=3 1=3 4=1 6=81
     Split s 1 2 b b0 b1
     ReLU r 1 1 b0 e
     BinaryOp m 1 1 e f 0=2 1=1 2=0.5
     BinaryOp p 2 1 f b1 y`,
    `Input x 0 1 x
     Convolution c 1 1 x a 0=3 1=3 4=1 6=81
     Convolution d 1 1 a b 0=3 1=3 4=1 6=81
     Split s 1 2 b b0 b1
     ReLU r 1 1 b0 e
     Eltwise p 2 1 e b1 y 0=1 -23301=2,5.000000e-01,1.000000e+00`,
    [3, 5, 7],
  );
  const unknown = `Input x 0 1 x
     Pooling c 1 1 x a 4=1
     BinaryOp m 1 1 a f 0=2 1=1 2=5.000000e-01
     Convolution d 1 1 x b 0=3 1=3 4=1 6=81
     BinaryOp p 2 1 f b y`;
  expect(check(passes.fuseWeightedSum, unknown, unknown, [3, 5, 7])[0]).toContain("may differ in shape");
});

test.each([
  "Dropout d 1 1 a b",
  "Noop d 1 1 a b",
  "Pooling d 1 1 a b 1=1",
  "Concat d 1 1 a b",
  "Slice d 1 1 a b -23300=1,-233",
  "Interp d 1 1 a b 0=2",
  "Permute d 1 1 a b",
  "ShuffleChannel d 1 1 a b",
  "Padding d 1 1 a b",
  "Crop d 1 1 a b -23309=2,0,-233 -23310=2,2147483647,-233",
  "Crop d 1 1 a b 3=-233 4=-233 14=-233 5=-233",
  "Reshape d 1 1 a b 0=0 1=0 2=0",
  "BinaryOp d 1 1 a b 0=2 1=1 2=1.0",
  "ReLU d 1 1 a b 0=1.0",
])("nothing is left of %s", (layer) => {
  const conv = "Input x 0 1 x\nConvolution c 1 1 x a 0=2 1=1 6=6\n";
  check(passes.dropIdentities, `${conv + layer}\nReLU r 1 1 b y`, `${conv}ReLU r 1 1 a y`, [3, 5, 7]);
  check(passes.dropIdentities, conv + layer, conv.replace(" a ", " b "), [3, 5, 7]);
});

test.each([
  "Dropout d 1 1 a b 0=0.5",
  "Pooling d 1 1 a b 1=1 2=2",
  "Pooling d 1 1 a b 4=1",
  "Slice d 1 2 a b c -23300=2,1,1",
  "Interp d 1 1 a b 0=2 2=2.0",
  "Crop d 1 1 a b -23309=1,1 -23310=1,-233",
  "Crop d 1 1 a b -23309=1,0 -23310=1,1",
  "Reshape d 1 1 a b 0=-1",
  "Flatten d 1 1 a b",
  "BinaryOp d 1 1 a b 1=1 2=1.0",
  "ShuffleChannel d 1 1 a b 0=2",
])("%s is no identity", (layer) => {
  const graph = graphOf(`Input x 0 1 x\nConvolution c 1 1 x a 0=2 1=1 6=6\n${layer}`);
  expect(passes.dropIdentities.run(graph)).toBe(0);
});

test("an identity that gives an output its name stays where the name cannot move", () => {
  const text = "Input x 0 1 x\nNoop n 1 1 x y";
  expect(check(passes.dropIdentities, text, text, [3, 5, 7])[0]).toContain('gives the output "y" its name');
  const constant = "Input x 0 1 x\nReLU r 1 1 x z\nMemoryData k 0 1 k 0=3\nNoop n 1 1 k y";
  check(passes.dropIdentities, constant, constant, [3, 5, 7]);
});

test("Flatten of a vector", () => {
  check(
    passes.dropIdentities,
    `Input x 0 1 x
     Pooling p 1 1 x a 4=1
     Flatten f 1 1 a b
     Reshape r 1 1 b c 0=3
     InnerProduct i 1 1 c y 0=4 2=12`,
    `Input x 0 1 x
     Pooling p 1 1 x a 4=1
     InnerProduct i 1 1 a y 0=4 2=12`,
    [3, 5, 7],
  );
});

test("views merge", () => {
  check(
    passes.mergeViews,
    `Input x 0 1 x
     Reshape a 1 1 x a 0=-1 1=2 2=3
     Flatten b 1 1 a b
     Reshape c 1 1 b y 0=5 1=-1`,
    `Input x 0 1 x
     Reshape c 1 1 x y 0=5 1=-1`,
    [3, 4, 5],
  );
  check(
    passes.mergeViews,
    `Input x 0 1 x
     Reshape a 1 1 x a 0=-1 1=2 2=3
     Reshape c 1 1 a y 0=-1 1=0`,
    `Input x 0 1 x
     Reshape c 1 1 x y 0=-1 1=2`,
    [3, 4, 5],
  );
  const computed = `Input x 0 1 x
     Reshape a 1 1 x a 0=-1 1=2 2=3
     Reshape c 1 1 a y 0=0 1=-1`;
  expect(check(passes.mergeViews, computed, computed, [3, 4, 5])[0]).toContain("copies extents");
});

test("transpositions merge, for every pair of orders", () => {
  for (let a = 1; a < 6; a++) {
    for (let b = 1; b < 6; b++) {
      const before = graphOf(`Input x 0 1 x\nConvolution c 1 1 x c 0=2 1=1 6=6
        Permute a 1 1 c a 0=${a}\nPermute b 1 1 a b 0=${b}\nReLU r 1 1 b y`);
      const after = before.clone();
      passes.runPasses(after, [passes.mergePermutes, passes.dropIdentities]);
      expect(after.nodes.length).toBeLessThanOrEqual(4);
      expectSame(before, after, { x: [3, 4, 5] });
    }
  }
  const unknown = "Input x 0 1 x\nPermute a 1 1 x a 0=1\nPermute b 1 1 a b 0=1";
  expect(check(passes.mergePermutes, unknown, unknown)[0]).toContain("rank");
});

test("cuts of different axes are one Crop", () => {
  const cut = (values: string): string => `Input x 0 1 x\n${values}\nReLU r 1 1 b y`;
  check(
    passes.mergeCrops,
    cut("Crop p 1 1 x a -23309=1,1 -23310=1,-1 -23311=1,2\nCrop q 1 1 a b -23309=1,0 -23310=1,2 -23311=1,0"),
    cut("Crop p 1 1 x b -23309=2,0,1 -23310=2,2,-1 -23311=2,0,2"),
    [3, 4, 5],
  );
  const same = cut(
    "Crop p 1 1 x a -23309=1,1 -23310=1,-1 -23311=1,2\nCrop q 1 1 a b -23309=1,1 -23310=1,2 -23311=1,2",
  );
  check(passes.mergeCrops, same, same, [3, 4, 5]);
  const fromTheEnd = same.replace("-23311=1,2\nR", "-23311=1,-1\nR");
  check(passes.mergeCrops, fromTheEnd, fromTheEnd, [3, 4, 5]);
  const readTwice = `${same.replace("-23311=1,2\nR", "-23311=1,0\nR")}\nSigmoid s 1 1 a z`;
  check(passes.mergeCrops, readTwice, readTwice, [3, 4, 5]);
});

test("Softmax goes before a Permute that another one follows", () => {
  const chain = (order: number, axis: number, softmaxFirst = false, back = 5): string => {
    const moved = softmaxFirst
      ? `Softmax s 1 1 x a 0=${axis} 1=1\nPermute p 1 1 a b 0=${order}`
      : `Permute p 1 1 x a 0=${order}\nSoftmax s 1 1 a b 0=${axis} 1=1`;
    return `Input x 0 1 x 0=5 1=4 2=3\n${moved}\nPermute q 1 1 b y 0=${back}`;
  };
  // Order 5 turns the axes around: the last one was the first.
  check(passes.swapPermuteSoftmax, chain(5, 2), chain(5, 0, true).replace("0=0 1=1", "1=1"), [3, 4, 5]);
  for (let order = 0; order < 6; order++) {
    for (const axis of [0, 1, 2, -1]) {
      const before = graphOf(chain(order, axis, false, 1));
      const after = before.clone();
      passes.runPasses(after, [passes.swapPermuteSoftmax, passes.mergePermutes, passes.dropIdentities]);
      expect(after.nodes.length).toBeLessThanOrEqual(3);
      expectSame(before, after, { x: [3, 4, 5] });
    }
  }
  const alone = "Input x 0 1 x 0=5 1=4 2=3\nPermute p 1 1 x a 0=1\nSoftmax s 1 1 a y 0=2 1=1";
  expect(check(passes.swapPermuteSoftmax, alone, alone)).toEqual([]);
});

test("RepVGG branches become one convolution", () => {
  const before = graphOf(`Input x 0 1 x
     Convolution c 1 1 x i 0=4 1=1 6=12
     Split s 1 3 i i0 i1 i2
     Convolution c3 1 1 i0 a 0=4 1=3 4=1 6=144
     BatchNorm b3 1 1 a a1 0=4
     Convolution c1 1 1 i1 b 0=4 1=1 6=16
     BatchNorm b1 1 1 b b1 0=4
     BatchNorm b0 1 1 i2 c 0=4
     BinaryOp p 2 1 a1 b1 d
     BinaryOp q 2 1 d c e
     ReLU r 1 1 e y`);
  const after = before.clone();
  passes.runPasses(after, [passes.foldBatchNorm, passes.mergeBranches, passes.fuseActivation]);
  expect(textOf(after)).toBe(
    "Input x 0 1 x\nConvolution c 1 1 x i 0=4 1=1 6=12\nConvolution c3 1 1 i y 0=4 1=3 4=1 5=1 6=144 9=1",
  );
  expectSame(before, after, { x: [3, 5, 7] });
});

test.each([
  [
    "Eltwise of four",
    "Convolution c5 1 1 i0 a 0=4 1=5 4=2 6=400\nConvolution c13 1 1 i1 b 0=4 1=3 11=1 4=1 14=0 6=48\nConvolution c31 1 1 i2 c 0=4 1=1 11=3 4=0 14=1 6=48\nEltwise p 4 1 a b c i3 y 0=1",
  ],
  [
    "dilated",
    "Convolution c5 1 1 i0 a 0=4 1=3 2=2 4=2 6=144\nConvolution c13 1 1 i1 b 0=4 1=3 2=2 4=2 6=144\nConvolution c31 1 1 i2 c 0=4 1=1 5=1 6=16\nEltwise p 4 1 a b c i3 y 0=1 -23301=4,1.0,1.0,1.0,1.0",
  ],
  [
    "depthwise",
    "ConvolutionDepthWise c5 1 1 i0 a 0=4 1=3 4=1 6=36 7=4\nConvolutionDepthWise c13 1 1 i1 b 0=4 1=1 6=4 7=4\nBatchNorm c31 1 1 i2 c 0=4\nEltwise p 4 1 a b c i3 y 0=1",
  ],
  [
    "grouped",
    "ConvolutionDepthWise c5 1 1 i0 a 0=4 1=3 4=1 6=72 7=2\nConvolutionDepthWise c13 1 1 i1 b 0=4 1=1 6=8 7=2\nBatchNorm c31 1 1 i2 c 0=4\nEltwise p 4 1 a b c i3 y 0=1",
  ],
  [
    "stride 2",
    "Convolution c5 1 1 i0 a 0=4 1=3 3=2 4=1 6=144\nConvolution c13 1 1 i1 b 0=4 1=1 3=2 6=16\nBinaryOp p 2 1 a b y\nReLU u 1 1 i2 v\nReLU w 1 1 i3 z",
  ],
])("branches merge: %s", (_, body) => {
  const before = graphOf(
    `Input x 0 1 x\nConvolution c 1 1 x i 0=4 1=1 6=12\nSplit s 1 4 i i0 i1 i2 i3\n${body}`,
  );
  const after = before.clone();
  expect(passes.mergeBranches.run(after)).toBeGreaterThan(0);
  expect(after.nodes.filter((node) => /Eltwise|BinaryOp/.test(node.type))).toEqual([]);
  expectSame(before, after, { x: [3, 5, 8] });
});

test("branches that do not fit stay", () => {
  for (const [body, why] of [
    ["Convolution a 1 1 i0 a 0=4 1=3 4=1 6=144 9=1\nConvolution b 1 1 i1 b 0=4 1=1 6=16 9=1", undefined],
    [
      "Convolution a 1 1 i0 a 0=4 1=3 4=1 6=144\nConvolutionDepthWise b 1 1 i1 b 0=4 1=1 6=4 7=4",
      "channels or groups",
    ],
    [
      "Convolution a 1 1 i0 a 0=4 1=3 4=0 15=2 14=1 6=144\nConvolution b 1 1 i1 b 0=4 1=3 4=1 6=144",
      "do not lie in each other",
    ],
    ["Convolution a 1 1 i0 a 0=4 1=3 4=1 6=144 8=2\nConvolution b 1 1 i1 b 0=4 1=1 6=16", undefined],
  ]) {
    const graph = graphOf(
      `Input x 0 1 x\nConvolution c 1 1 x i 0=4 1=1 6=12\nSplit s 1 2 i i0 i1\n${body}\nBinaryOp p 2 1 a b y`,
    );
    const misses: string[] = [];
    expect(
      passes.mergeBranches.run(graph, (line) => misses.push(line)),
      body,
    ).toBe(0);
    if (why) expect(misses.join("\n")).toContain(why);
  }
});

test.each([
  [2, 0, "1=3 4=1", 108, [3, 8, 12]],
  [2, 1, "1=3 4=1", 108, [3, 8, 12]],
  [2, 1, "1=1", 12, [3, 8, 12]],
  [2, 1, "1=3 11=2 3=2 13=1 4=1 15=0 14=2 16=1 18=0.5", 72, [3, 8, 12]],
  [4, 0, "1=3 4=1", 432, [3, 16, 8]],
])("Focus (stride %i, mode %i) and a convolution %s become one", (stride, mode, params, perOutput, shape) => {
  const before = graphOf(`Input x 0 1 x
     Reorg f 1 1 x a 0=${stride} 1=${mode}
     Convolution c 1 1 a y 0=5 ${params} 5=1 6=${perOutput * 5} 9=1`);
  const after = before.clone();
  expect(passes.mergeFocus.run(after)).toBe(1);
  expect(after.nodes.map((node) => node.type)).toEqual(["Input", "Convolution"]);
  expectSame(before, after, { x: shape }, 1e-6);
});

test("the custom layer YoloV5Focus and a convolution become one", () => {
  const before = graphOf(`Input x 0 1 x
     YoloV5Focus f 1 1 x a
     Convolution c 1 1 a y 0=5 1=3 4=1 5=1 6=540 9=1`);
  const after = before.clone();
  expect(passes.mergeFocus.run(after)).toBe(1);
  expect(after.nodes.map((node) => node.type)).toEqual(["Input", "Convolution"]);
  expectSame(before, after, { x: [3, 8, 12] }, 1e-6);
});

test("Focus of YOLOv5 as text", () => {
  check(
    passes.mergeFocus,
    `Input x 0 1 x
     Reorg f 1 1 x a 0=2 1=1
     Convolution c 1 1 a y 0=32 1=3 4=1 5=1 6=3456`,
    `Input x 0 1 x
     Convolution c 1 1 x y 0=32 1=6 3=2 4=2 5=1 6=3456`,
    [3, 16, 24],
  );
  const other = `Input x 0 1 x
     Reorg f 1 1 x a 0=2 1=1
     ConvolutionDepthWise c 1 1 a y 0=12 1=3 4=1 6=108 7=12`;
  expect(check(passes.mergeFocus, other, other, [3, 8, 8])[0]).toContain("ConvolutionDepthWise");
});

test("fixed head sizes follow the input", () => {
  const head = (reshape: string) => `Input x 0 1 x 0=32 1=32 2=3
     Convolution c 1 1 x a 0=255 1=8 3=8 6=48960
     Reshape r 1 1 a b ${reshape}
     Permute p 1 1 b y 0=1`;
  check(passes.makeSizesDynamic(), head("0=16 1=85 2=3"), head("0=-1 1=85 2=3"), [3, 32, 32]);
  const dynamic = graphOf(head("0=-1 1=85 2=3"));
  expect(passes.makeSizesDynamic().run(dynamic)).toBe(0);
  // Four extents, two of which change: they are copied. A second Reshape then joins them.
  check(
    passes.makeSizesDynamic({ x: [3, 32, 48] }),
    `Input x 0 1 x
     Convolution c 1 1 x a 0=12 1=8 3=8 6=2304
     Reshape r 1 1 a b 0=6 1=4 11=4 2=3
     Permute p 1 1 b d 0=6
     Reshape s 1 1 d y 0=4 1=72`,
    `Input x 0 1 x
     Convolution c 1 1 x a 0=12 1=8 3=8 6=2304
     Reshape r 1 1 a b 0=0 1=0 11=4 2=3
     Permute p 1 1 b d 0=6
     Reshape s 1 1 d y 0=4 1=-1`,
    [3, 32, 48],
  );
  check(
    passes.makeSizesDynamic(),
    `Input x 0 1 x 0=32 1=32 2=3
     Convolution c 1 1 x a 0=4 1=8 3=8 6=768
     Interp i 1 1 a b 0=1 3=8 4=8
     Reshape s 1 1 b y 0=64 1=4`,
    `Input x 0 1 x 0=32 1=32 2=3
     Convolution c 1 1 x a 0=4 1=8 3=8 6=768
     Interp i 1 1 a b 0=1 1=2.000000e+00 2=2.000000e+00
     Reshape s 1 1 b y 0=-1 1=4`,
    [3, 32, 32],
  );
});

test("positions that attention has in one axis get rows and columns back from a blob that has them", () => {
  const attention = (last: string) => `Input x 0 1 x 0=16 1=32 2=3
     Convolution c 1 1 x a 0=8 1=4 3=4 6=384
     Reshape r 1 1 a b 0=-1 1=4 2=2
     Softmax s 1 1 b d 0=1 1=1
     ${last}`;
  check(
    passes.makeSizesDynamic(),
    attention("Reshape t 1 1 d y 0=4 1=8 2=8"),
    attention('Reshape t 2 1 d a y 6="1w,1h,8"'),
    [3, 32, 16],
  );
  // Channels last: rows become channels.
  const turned = (last: string) => `Input x 0 1 x 0=16 1=32 2=3
     Convolution c 1 1 x a 0=8 1=4 3=4 6=384
     Reshape r 1 1 a b 0=-1 1=8
     Permute p 1 1 b d 0=1
     ${last}`;
  check(
    passes.makeSizesDynamic(),
    turned("Reshape t 1 1 d y 0=8 1=4 2=8"),
    turned('Reshape t 2 1 d a y 6="8,1w,1h"'),
    [3, 32, 16],
  );
});

test("areas of a picture that attention looks at stay as many", () => {
  const area = (apart: string, back: string) => `Input x 0 1 x 0=48 1=32 2=3
     Convolution c 1 1 x a 0=6 1=4 3=4 6=288
     Reshape r 1 1 a b 0=-1 1=6
     Permute p 1 1 b d 0=1
     Reshape s 1 1 d e ${apart}
     Softmax t 1 1 e f 0=1 1=1
     Reshape u ${back}`;
  // As ncnnkit and as pnnx have it: 4 areas of 24 positions.
  const said = check(
    passes.makeSizesDynamic(),
    area("0=6 1=24 2=4", "1 1 f y 0=6 1=12 2=8"),
    area("0=6 1=-1 2=4", '2 1 f a y 6="6,1w,1h"'),
    [3, 32, 48],
  );
  expect(said[0]).toContain("4 areas");
  check(
    passes.makeSizesDynamic(),
    area("0=3 1=2 11=24 2=4", "1 1 f y 0=6 1=12 2=8"),
    area("0=3 1=2 11=-1 2=4", '2 1 f a y 6="6,1w,1h"'),
    [3, 32, 48],
  );
  // Windows of 4 rows and 4 columns: which of the numbers follow the size is not said.
  const windows = `Input x 0 1 x 0=48 1=32 2=3
     Convolution c 1 1 x a 0=1 1=4 3=4 6=48
     Reshape s 1 1 a y 0=4 1=3 11=4 2=2`;
  expect(check(passes.makeSizesDynamic(), windows, windows)[0]).toContain("several ways");
});

test("a view with sizes from another blob takes the place of the view before it", () => {
  check(
    passes.mergeViews,
    `Input x 0 1 x
     Convolution c 1 1 x a 0=8 1=1 6=24
     Reshape r 1 1 a b 0=-1 1=4 2=2
     Softmax s 1 1 b d 0=1 1=1
     Reshape t 1 1 d e 0=-1 1=8
     Reshape u 2 1 e a y 6="1w,1h,8"`,
    `Input x 0 1 x
     Convolution c 1 1 x a 0=8 1=1 6=24
     Reshape r 1 1 a b 0=-1 1=4 2=2
     Softmax s 1 1 b d 0=1 1=1
     Reshape u 2 1 d a y 6="1w,1h,8"`,
    [3, 4, 6],
  );
});

test("sizes stay where the input's size is not known or the answer is not clear", () => {
  const unknown = `Input x 0 1 x
     Reshape r 1 1 x y 0=16 1=85 2=3`;
  expect(check(passes.makeSizesDynamic(), unknown, unknown)[0]).toContain("the input has no shape");
  const unclear = `Input x 0 1 x 0=4 1=4 2=6
     Reshape r 1 1 x y 0=12 1=8`;
  expect(check(passes.makeSizesDynamic(), unclear, unclear)[0]).toContain("several ways");
  const fixed = `Input x 0 1 x 0=4 1=4 2=6
     Pooling p 1 1 x a 4=1
     Reshape r 1 1 a y 0=3 1=2`;
  expect(check(passes.makeSizesDynamic(), fixed, fixed)).toEqual([]);
});

test.each([
  ["Reduction r 1 1 a y 0=3 1=0 -23303=2,1,2 5=1"],
  ["Reduction r 1 1 a y 0=3 1=0 -23303=2,-1,-2 5=1"],
  ["Reduction q 1 1 a b 0=3 1=0 -23303=1,2 5=1\nReduction r 1 1 b y 0=3 1=0 -23303=1,1 5=1"],
  ["Reduction q 1 1 a b 0=3 1=0 -23303=1,1 5=1\nReduction r 1 1 b y 0=3 1=0 -23303=1,-1 5=1"],
])("a mean over the picture is global pooling: %s", (reductions) => {
  const conv = "Input x 0 1 x\nConvolution c 1 1 x a 0=4 1=1 6=12\n";
  check(passes.poolMeans, conv + reductions, `${conv}Pooling r 1 1 a y 0=1 4=1`, [3, 5, 7]);
});

test("a mean that keeps its axes, or is of others", () => {
  const conv = "Input x 0 1 x\nConvolution c 1 1 x a 0=4 1=1 6=12\n";
  check(
    passes.poolMeans,
    `${conv}Reduction r 1 1 a y 0=3 1=0 -23303=2,1,2 4=1 5=1`,
    `${conv}Pooling r 1 1 a y_vector 0=1 4=1\nReshape r_keepdims 1 1 y_vector y 0=1 1=1 2=-1`,
    [3, 5, 7],
  );
  for (const params of ["0=3 1=0 -23303=1,1 5=1", "0=0 1=0 -23303=2,1,2 5=1", "0=3"]) {
    expect(passes.poolMeans.run(graphOf(`${conv}Reduction r 1 1 a y ${params}`))).toBe(0);
  }
});

test.each([0, 1])("adaptive pooling to one pixel that is flattened is global pooling: type %s", (type) => {
  const conv = "Input x 0 1 x\nConvolution c 1 1 x a 0=4 1=1 6=12\n";
  const adaptive = (w: number): string =>
    `${conv}Pooling p 1 1 a b 0=${type} 7=1 8=${w}\nFlatten f 1 1 b y\n`;
  check(passes.poolMeans, adaptive(1), `${conv}Pooling p 1 1 a y ${type ? "0=1 " : ""}4=1`, [3, 5, 7]);
  expect(passes.poolMeans.run(graphOf(adaptive(2)))).toBe(0);
  const alsoRead = `${adaptive(1)}ReLU r 1 1 b z`;
  expect(passes.poolMeans.run(graphOf(alsoRead))).toBe(0);
});

test("convolutions of a vector are fully connected", () => {
  check(
    passes.replaceVectorConvolution,
    `Input x 0 1 x
     Pooling p 1 1 x a 4=1
     Convolution c 1 1 a b 0=4 1=1 5=1 6=12 9=1
     Convolution d 1 1 b y 0=2 1=1 6=8`,
    `Input x 0 1 x
     Pooling p 1 1 x a 4=1
     InnerProduct c 1 1 a b 0=4 1=1 2=12 9=1
     InnerProduct d 1 1 b y 0=2 2=8`,
  );
});

test("squeeze-and-excite with kept axes works on vectors", () => {
  const before = graphOf(`Input x 0 1 x
     Convolution c 1 1 x i 0=4 1=1 6=12
     Split s 1 2 i i0 i1
     Reduction r 1 1 i0 a 0=3 1=0 -23303=2,1,2 4=1 5=1
     Convolution d 1 1 a b 0=2 1=1 5=1 6=8
     ReLU u 1 1 b e
     Convolution f 1 1 e g 0=4 1=1 5=1 6=8
     HardSigmoid h 1 1 g h
     BinaryOp m 2 1 i1 h y 0=2`);
  const after = before.clone();
  passes.runPasses(after, [
    passes.fuseActivation,
    passes.poolMeans,
    passes.sinkVectorReshape,
    passes.dropBroadcastReshape,
  ]);
  expect(after.nodes.map((node) => node.type)).toEqual(
    "Input Convolution Pooling InnerProduct InnerProduct HardSigmoid BinaryOp".split(" "),
  );
  expectSame(before, after, { x: [3, 5, 7] });
});

test("a Reshape before broadcasting stays where the channels may differ", () => {
  const text = `Input x 0 1 x
     Pooling p 1 1 x a 4=1
     Reshape r 1 1 a b 0=1 1=1 2=-1
     Convolution c 1 1 x d 0=1 1=1 6=3
     BinaryOp m 2 1 d b y 0=2`;
  expect(check(passes.dropBroadcastReshape, text, text, [3, 5, 7])[0]).toContain("may not have");
});

test("nodes that nobody needs", () => {
  check(
    passes.dropUnreadConstants,
    "Input x 0 1 x\nMemoryData k 0 1 k 0=1\nReLU r 1 1 x y",
    "Input x 0 1 x\nReLU r 1 1 x y",
  );
  expect(passes.dropUnreadConstants.run(graphOf("MemoryData k 0 1 k 0=1"))).toBe(0); // the network's only output
  expect(passes.dropUnreadConstants.run(graphOf("Input x 0 1 x\nMemoryData k 0 1 k 0=1"))).toBe(0);
  const graph = graphOf("Input x 0 1 x\nReLU r 1 1 x a\nSigmoid s 1 1 a y\nTanH t 1 1 a z");
  expect(passes.keepOutputs(["y"]).run(graph)).toBe(1);
  expect(graph.outputs).toEqual(["y"]);
  expect(() => passes.keepOutputs(["q"]).run(graph)).toThrow('no blob "q"; the outputs are y');
});

test("storage", () => {
  const graph = graphOf(`Input x 0 1 x
     Convolution c 1 1 x a 0=4 1=1 5=1 6=12
     Convolution d 1 1 a y 0=2 1=1 6=8 8=2`);
  const exact = weightToFloat32(graph.nodes[1].weights.weight);
  expect(passes.storeFp16.run(graph)).toBe(1);
  expect(graph.nodes[1].weights.weight.storage).toBe("f16");
  expect(graph.nodes[1].weights.bias.storage).toBe("f32");
  expect(graph.nodes[2].weights.weight.storage).toBe("f32");
  expect(passes.storeFp16.run(graph)).toBe(0);
  expect(passes.storeFp32.run(graph)).toBe(1);
  weightToFloat32(graph.nodes[1].weights.weight).forEach((value, i) => {
    expect(Math.abs(value - exact[i])).toBeLessThanOrEqual(Math.abs(exact[i]) * 2 ** -11);
  });
  graph.nodes[1].weights.weight = f32Weight(new Float32Array(12).fill(70000));
  const misses: string[] = [];
  expect(passes.storeFp16.run(graph, (line) => misses.push(line))).toBe(0);
  expect(misses[0]).toContain("70000 is beyond float16");
});
