/** Float layers on the engine against the reference kernels: single convolutions with a strict bound, then small networks. */
import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { runReference } from "../../src/engine/reference/index.ts";
import { createSession } from "../../src/engine/session.ts";
import { type Graph, paramsOf } from "../../src/ir/graph.ts";
import type { Shape, Tensor } from "../../src/ir/tensor.ts";
import { f32Weight, weightToFloat32 } from "../../src/ir/weight.ts";
import { ops } from "../../src/ops/index.ts";
import {
  epsilon,
  expectClose,
  expectEqual,
  floatMachines,
  graphOf,
  graphTolerance,
  int8Machines,
  largest,
  randomInputs,
  referenceTypes,
  runEngine,
} from "./random-graph.ts";

// ---- one convolution at a time

const channelCounts = [1, 3, 5, 8, 12, 13, 17, 30, 60, 255];
const activations = [
  "",
  "9=1",
  "9=2 -23310=1,0.1",
  "9=3 -23310=2,-0.5,0.75",
  "9=4",
  "9=5",
  "9=6 -23310=2,0.2,0.5",
];
/** Kernel sizes, strides, dilations and pads as a layer's parameters. */
const windows = [
  "1=1",
  "1=1 3=2",
  "1=1 3=3 13=2",
  "1=1 4=1",
  "1=2",
  "1=2 3=2 4=1",
  "1=3",
  "1=3 4=1",
  "1=3 3=2 4=1",
  "1=3 3=3",
  "1=3 3=2 13=1 4=1",
  "1=3 4=0 15=1 14=2 16=0",
  "1=3 3=2 4=0 15=1 14=0 16=1",
  "1=3 2=2 4=2",
  "1=3 2=3 12=1 4=3 14=1",
  "1=3 3=2 2=2 4=1",
  "1=3 4=-233",
  "1=3 3=2 4=-233",
  "1=3 3=2 4=-234",
  "1=2 3=2 4=-233",
  "1=2 3=3 4=-234",
  "1=3 11=1 4=1 14=0",
  "1=1 11=5 4=0 14=2",
  "1=5 4=2",
  "1=5 11=3 3=2 4=2 14=1",
  "1=7 3=2 4=3",
  "1=7 11=2 4=3 14=0",
];

/** Pictures of this extent give at least one output. */
function leastExtent(window: string): number {
  if (window.includes("4=-23")) return 1;
  const sizes = [...window.matchAll(/\b(?:1|11)=(\d)/g)].map((match) => Number(match[1]));
  const dilations = [...window.matchAll(/\b(?:2|12)=(\d)/g)].map((match) => Number(match[1]));
  return (Math.max(...sizes) - 1) * Math.max(1, ...dilations) + 1;
}

interface Layer {
  readonly line: string;
  readonly shape: Shape;
}

/** `count` layers of each window over pictures of every width, channel counts and activations taken in turn. */
function drawLayers(
  count: number,
  layer: (window: string, inputs: number, outputs: number) => string,
): Layer[] {
  const random = new Random(5);
  const layers: Layer[] = [];
  const seen = new Map<string, number>();
  const next = (what: string, list: readonly (string | number)[]): string | number => {
    const at = seen.get(what) ?? random.int(0, list.length - 1);
    seen.set(what, (at + 1) % list.length);
    return list[at];
  };
  for (const window of windows) {
    const least = /\b(4|14)=[1-3]/.test(window) ? Math.ceil(leastExtent(window) / 2) : leastExtent(window);
    for (let i = 0; i < count; i++) {
      // A step of 9 through 10 inputs and of 1 through outputs meets all pairs.
      const inputs = next("inputs", [...channelCounts].reverse()) as number;
      const outputs = channelCounts[(layers.length * 3 + i) % channelCounts.length];
      const width = Math.max(least, next("width", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 40]) as number);
      const height = Math.max(
        least,
        inputs * outputs > 10_000 ? 1 : (next("height", [1, 3, 7, 4]) as number),
      );
      const activation = next("activation", activations);
      const bias = next("bias", ["5=1", "5=0"]);
      layers.push({
        line: `${layer(window, inputs, outputs)} ${bias} ${activation}`,
        shape: [inputs, height, width],
      });
    }
  }
  return layers;
}

/** Σ|weight·input| + |bias| at every output, before the activation. */
function magnitudes(graph: Graph, inputs: Record<string, Tensor>, blob: string): Tensor {
  const absolute = graph.clone();
  for (const node of absolute.nodes) {
    delete node.params.activation_type;
    for (const [name, weight] of Object.entries(node.weights)) {
      node.weights[name] = f32Weight(weightToFloat32(weight).map(Math.abs));
    }
  }
  const positive = Object.entries(inputs).map(([name, { shape, data }]) => [
    name,
    { shape, data: (data as Float32Array).map(Math.abs) },
  ]);
  return runReference(absolute, Object.fromEntries(positive), [blob])[blob];
}

/**
 * A sum of k products in float32, in any order, is within k·ε·Σ|a·b| of the exact one. No activation is steeper than 1.5;
 * those made of exponentials are themselves within a few ε.
 */
async function checkLayer({ line, shape }: Layer, seed: number): Promise<void> {
  const graph = graphOf(line, { x: shape }, { seed });
  const inputs = randomInputs({ x: shape }, seed);
  const expected = runReference(graph, inputs).y;
  const bound = magnitudes(graph, inputs, "y");
  const p = paramsOf(graph.nodes[1], ops) as Record<string, number>;
  const k = p.weight_data_size / p.num_output + 2;
  for (const [name, target] of floatMachines) {
    const { outputs, program } = await runEngine(graph, inputs, target);
    const tolerance = (i: number): number =>
      epsilon * (1.5 * k * bound.data[i] + 8 * (1 + Math.abs(expected.data[i])));
    expectClose(outputs.y, expected, tolerance, name);
    expect(referenceTypes(program)).toEqual([]);
  }
}

const title = ({ line, shape }: Layer): string => `${line.replace(/.* x y /, "")} on ${shape.join("x")}`;

describe("dense convolution", () => {
  const layers = drawLayers(4, (window, _, outputs) => `Convolution c 1 1 x y 0=${outputs} ${window}`);
  it.each(layers.map((layer, i) => [title(layer), layer, i] as const))("%s", async (_, layer, i) => {
    await checkLayer(layer, i);
  });
});

describe("depthwise convolution", () => {
  const layers = drawLayers(
    2,
    (window, inputs) => `ConvolutionDepthWise c 1 1 x y 0=${inputs} 7=${inputs} ${window}`,
  );
  it.each(layers.map((layer, i) => [title(layer), layer, i] as const))("%s", async (_, layer, i) => {
    await checkLayer(layer, i);
  });
});

describe("grouped convolution", () => {
  const groups = [
    [2, 6, 10],
    [3, 9, 3],
    [4, 16, 32],
    [5, 5, 10],
    [5, 25, 5],
    [1, 7, 5],
    [1, 1, 1],
    [2, 34, 26],
  ];
  const layers = groups.flatMap(([group, inputs, outputs], i): Layer[] =>
    ["1=1", "1=3 4=1", "1=3 3=2 4=-233", "1=2 2=2"].map((window) => ({
      line: `ConvolutionDepthWise c 1 1 x y 0=${outputs} 7=${group} ${window} 5=1 ${activations[i % activations.length]}`,
      shape: [inputs, 5, 6 + i],
    })),
  );
  it.each(layers.map((layer, i) => [title(layer), layer, i] as const))("%s", async (_, layer, i) => {
    await checkLayer(layer, i);
  });
});

describe("fully connected layer", () => {
  const shapes: Shape[] = [
    [1],
    [3],
    [17],
    [255],
    [5, 1, 1],
    [13, 1, 1],
    [1, 3, 3],
    [3, 4, 5],
    [8, 2, 3],
    [30, 7, 7],
  ];
  const layers = shapes.flatMap((shape, i): Layer[] =>
    [1, 10, 33].map((outputs, j) => ({
      line: `InnerProduct c 1 1 x y 0=${outputs} 1=${(i + j) % 2} ${activations[(i + j) % activations.length]}`,
      shape,
    })),
  );
  it.each(layers.map((layer, i) => [title(layer), layer, i] as const))("%s", async (_, layer, i) => {
    await checkLayer(layer, i);
  });
});

// ---- small networks

interface Network {
  readonly title: string;
  readonly text: string;
  readonly shapes: Record<string, Shape>;
  /** Layers that have no wasm kernel, in order. */
  readonly inJavaScript?: readonly string[];
  readonly outputs?: readonly string[];
}

async function checkNetwork({ text, shapes, inJavaScript = [], outputs }: Network): Promise<void> {
  const graph = graphOf(text, shapes, { seed: text.length });
  const inputs = randomInputs(shapes);
  const blobs = outputs ?? graph.outputs;
  const expected = runReference(graph, inputs, blobs);
  const tolerance = graphTolerance(graph);
  for (const [name, target] of floatMachines) {
    const found = await runEngine(graph, inputs, target, blobs);
    for (const blob of blobs) {
      const size = Math.max(largest(expected[blob]), 1e-3);
      expectClose(found.outputs[blob], expected[blob], () => tolerance * size, `${name}, ${blob}`);
    }
    // Layers may get kernels; none may lose them.
    expect(inJavaScript, name).toEqual(expect.arrayContaining(referenceTypes(found.program)));
  }
}

function describeNetworks(what: string, networks: readonly Network[]): void {
  describe(what, () => {
    it.each(networks.map((network) => [network.title, network] as const))("%s", async (_, network) => {
      await checkNetwork(network);
    });
  });
}

const small: Record<string, Shape> = { x: [5, 6, 7] };
const conv = (name: string, from: string, to: string, outputs: number, rest = "1=1"): string =>
  `Convolution ${name} 1 1 ${from} ${to} 0=${outputs} 5=1 ${rest}`;

const activationLayers = [
  "ReLU a 1 1 IN OUT",
  "ReLU a 1 1 IN OUT 0=0.25",
  "Clip a 1 1 IN OUT 0=-0.25 1=0.5",
  "Clip a 1 1 IN OUT 0=0.0 1=6.0",
  "Clip a 1 1 IN OUT 1=0.1",
  "Sigmoid a 1 1 IN OUT",
  "Swish a 1 1 IN OUT",
  "Mish a 1 1 IN OUT",
  "TanH a 1 1 IN OUT",
  "HardSwish a 1 1 IN OUT",
  "HardSigmoid a 1 1 IN OUT 0=0.3 1=0.4",
  "GELU a 1 1 IN OUT 0=1",
];
const activationOf = (line: string, from: string, to: string): string =>
  line.replace("IN", from).replace("OUT", to);

describeNetworks("activation layers", [
  ...activationLayers.flatMap((line): Network[] => [
    {
      title: `fused: ${line}`,
      text: `${conv("c", "x", "p", 13)}\n${activationOf(line, "p", "y")}`,
      shapes: small,
    },
    { title: `alone on a picture: ${line}`, text: activationOf(line, "x", "y"), shapes: small },
    { title: `alone on a vector: ${line}`, text: activationOf(line, "x", "y"), shapes: { x: [13] } },
    {
      title: `beside a second reader: ${line}`,
      text: `${conv("c", "x", "p", 6)}\n${activationOf(line, "p", "q")}\n${conv("d", "p", "r", 6)}\nBinaryOp s 2 1 q r y`,
      shapes: small,
    },
  ]),
  {
    title: "two in a row",
    text: `${conv("c", "x", "p", 7, "1=1 9=4")}\nSwish a 1 1 p q\nTanH b 1 1 q y`,
    shapes: small,
  },
  { title: "on a matrix", text: "Sigmoid a 1 1 x y", shapes: { x: [3, 7] } },
  { title: "exact GELU", text: "GELU a 1 1 x y", shapes: small, inJavaScript: ["GELU"] },
]);

describe("activations at the ends of float32", () => {
  const values = [
    0, -0, 1e-30, -1e-30, 1e-3, 0.5, 1, -1, 3, -3, 8, -8, 19, -19, 21, -21, 60, -60, 87, -87, 89, -89, 200,
    -200, 1e4, -1e4, 1e10, -1e10,
  ];
  it.each(activationLayers)("%s", async (line) => {
    const x: Tensor = { shape: [values.length], data: Float32Array.from(values) };
    const graph = graphOf(activationOf(line, "x", "y"), { x: x.shape });
    const expected = runReference(graph, { x }).y;
    for (const [name, target] of floatMachines) {
      const { outputs } = await runEngine(graph, { x }, target);
      // Far out, 1 + tanh is a difference of nearly equal numbers; GELU multiplies its error by x.
      const slope = line.startsWith("GELU") ? 2 : 0;
      const tolerance = (i: number): number =>
        epsilon * (16 * Math.abs(expected.data[i]) + slope * Math.abs(values[i]) + 2);
      expectClose(outputs.y, expected, tolerance, name);
    }
  });
});

describeNetworks("sums and products", [
  ...[
    "BinaryOp s 2 1 p q y 0=0",
    "BinaryOp s 2 1 q p y 0=0",
    "Eltwise s 2 1 p q y 0=1",
    "Eltwise s 2 1 q p y 0=1",
  ].flatMap((sum): Network[] => [
    {
      title: `residual of a convolution: ${sum}`,
      text: `${conv("c", "x", "p", 9)}\n${conv("d", "p", "q", 9, "1=3 4=1")}\n${sum}`,
      shapes: small,
    },
    {
      title: `activation before: ${sum}`,
      text: `${conv("c", "x", "p", 9)}\n${conv("d", "p", "q", 9, "1=1 9=1")}\n${sum}`,
      shapes: small,
    },
    {
      title: `activation after: ${sum}`,
      text: `${conv("c", "x", "p", 9)}\n${conv("d", "p", "q", 9)}\n${sum.replace(" y ", " z ")}\nHardSwish a 1 1 z y`,
      shapes: small,
    },
    {
      title: `depthwise: ${sum}`,
      text: `${conv("c", "x", "p", 9)}\nConvolutionDepthWise d 1 1 p q 0=9 7=9 1=3 4=1 5=1 9=1\n${sum}`,
      shapes: small,
    },
    {
      title: `two convolutions of one blob: ${sum}`,
      text: `${conv("c", "x", "p", 10)}\n${conv("d", "x", "q", 10, "1=3 4=1")}\n${sum}`,
      shapes: small,
    },
  ]),
  {
    title: "residual with the input",
    text: `${conv("c", "x", "p", 5, "1=3 4=1")}\nBinaryOp s 2 1 p x y`,
    shapes: small,
  },
  { title: "blob added to itself", text: `${conv("c", "x", "p", 5)}\nBinaryOp s 2 1 p p y`, shapes: small },
  {
    title: "chain of residuals",
    text: [0, 1, 2, 3]
      .map(
        (i) =>
          `${conv(`c${i}`, i ? `r${i - 1}` : "x", `p${i}`, 5, "1=3 4=1 9=1")}\nBinaryOp s${i} 2 1 p${i} ${i ? `r${i - 1}` : "x"} r${i}`,
      )
      .join("\n"),
    shapes: small,
  },
  {
    title: "residual of a padded source that is read once more",
    text: `${conv("c", "x", "p", 6)}\n${conv("d", "p", "q", 6, "1=5 4=2")}\nBinaryOp s 2 1 q p r\n${conv("e", "p", "t", 6, "1=3 4=1")}\nBinaryOp u 2 1 r t y`,
    shapes: small,
  },
  {
    title: "sum of a concatenation",
    text: `${conv("c", "x", "p", 3)}\n${conv("d", "x", "q", 4)}\nConcat k 2 1 p q r\n${conv("e", "x", "t", 7)}\nBinaryOp s 2 1 r t y`,
    shapes: small,
  },
  ...[0, 1, 2, 3, 4, 5, 7, 8].flatMap((operator): Network[] => [
    {
      title: `operator ${operator} of pictures`,
      text: `BinaryOp s 2 1 x z y 0=${operator}`,
      shapes: { x: [5, 3, 4], z: [5, 3, 4] },
    },
    {
      title: `operator ${operator} of vectors`,
      text: `BinaryOp s 2 1 x z y 0=${operator}`,
      shapes: { x: [11], z: [11] },
    },
    {
      title: `operator ${operator} of matrices`,
      text: `BinaryOp s 2 1 x z y 0=${operator}`,
      shapes: { x: [3, 5], z: [3, 5] },
    },
    {
      title: `operator ${operator} with a constant`,
      text: `BinaryOp s 1 1 x y 0=${operator} 1=1 2=0.7`,
      shapes: small,
    },
    {
      title: `operator ${operator} of picture and vector`,
      text: `BinaryOp s 2 1 x z y 0=${operator}`,
      shapes: { x: [6, 3, 4], z: [6] },
    },
    {
      title: `operator ${operator} of vector and picture`,
      text: `BinaryOp s 2 1 z x y 0=${operator}`,
      shapes: { x: [6, 3, 4], z: [6] },
    },
    {
      title: `operator ${operator} of picture and pixel`,
      text: `BinaryOp s 2 1 x z y 0=${operator}`,
      shapes: { x: [6, 3, 4], z: [6, 1, 1] },
    },
    {
      title: `operator ${operator} of plane and picture`,
      text: `BinaryOp s 2 1 z x y 0=${operator}`,
      shapes: { x: [6, 3, 4], z: [1, 3, 4] },
    },
    {
      title: `operator ${operator} of picture and plane`,
      text: `BinaryOp s 2 1 x z y 0=${operator}`,
      shapes: { x: [6, 3, 4], z: [1, 3, 4] },
    },
  ]),
  { title: "largest of two", text: "Eltwise s 2 1 x z y 0=2", shapes: { x: [5, 3, 4], z: [5, 3, 4] } },
  { title: "product of two", text: "Eltwise s 2 1 x z y 0=0", shapes: { x: [5, 3, 4], z: [5, 3, 4] } },
  {
    title: "a plane that a shuffle has moved",
    text: `${conv("c", "x", "p", 4)}\nShuffleChannel h 1 1 p q 0=2\nCrop k 1 1 q m -23309=1,1 -23310=1,2 -23311=1,0\nBinaryOp s 2 1 p m y 0=2`,
    shapes: small,
  },
  {
    title: "three inputs",
    text: "Eltwise s 3 1 x z w y 0=1",
    shapes: { x: [5, 3, 4], z: [5, 3, 4], w: [5, 3, 4] },
    inJavaScript: ["Eltwise"],
  },
  {
    title: "weighted",
    text: "Eltwise s 2 1 x z y 0=1 -23301=2,0.5,2.0",
    shapes: { x: [5, 3, 4], z: [5, 3, 4] },
    inJavaScript: ["Eltwise"],
  },
  { title: "powers", text: "BinaryOp s 1 1 x y 0=6 1=1 2=2.0", shapes: small, inJavaScript: ["BinaryOp"] },
  {
    title: "a row for every row",
    text: "BinaryOp s 2 1 x z y 0=2",
    shapes: { x: [6, 3, 4], z: [6, 3] },
    inJavaScript: ["BinaryOp"],
  },
]);

/** ShuffleNetV2: `units` of stride 1 after one of stride 2, on `half` channels a branch. */
function shuffleNet(half: number, units: number): string {
  const lines = [
    conv("stem", "x", "s", half + 1, "1=3 4=1 9=1"),
    `ConvolutionDepthWise d0 1 1 s a0 0=${half + 1} 7=${half + 1} 1=3 3=2 4=1`,
    conv("l0", "a0", "b0", half, "1=1 9=1"),
    conv("r0", "s", "c0", half, "1=1 9=1"),
    `ConvolutionDepthWise e0 1 1 c0 f0 0=${half} 7=${half} 1=3 3=2 4=1 5=1`,
    conv("t0", "f0", "g0", half, "1=1 9=1"),
    "Concat k0 2 1 b0 g0 h0",
    "ShuffleChannel u0 1 1 h0 o0 0=2",
  ];
  for (let i = 1; i <= units; i++) {
    const split =
      i % 2
        ? [`Slice z${i} 1 2 o${i - 1} m${i} n${i} -23300=2,${half},-233`]
        : [
            `Crop y${i} 1 1 o${i - 1} m${i} -23309=1,0 -23310=1,${half} -23311=1,0`,
            `Crop z${i} 1 1 o${i - 1} n${i} -23309=1,${half} -23310=1,-233 -23311=1,0`,
          ];
    lines.push(
      ...split,
      conv(`r${i}`, `n${i}`, `c${i}`, half, "1=1 9=1"),
      `ConvolutionDepthWise e${i} 1 1 c${i} f${i} 0=${half} 7=${half} 1=3 4=1 5=1`,
      conv(`t${i}`, `f${i}`, `g${i}`, half, "1=1 9=1"),
      `Concat k${i} 2 1 m${i} g${i} h${i}`,
      `ShuffleChannel u${i} 1 1 h${i} o${i} 0=2`,
    );
  }
  return `${lines.join("\n")}\n${conv("end", `o${units}`, "y", 5, "1=3 4=1")}`;
}

const parts = `${conv("c", "x", "p", 5)}\n${conv("d", "x", "q", 3)}\n${conv("e", "x", "r", 12)}`;
describeNetworks("channels moved by name only", [
  ...[1, 3, 4, 5, 8, 15].flatMap((half) =>
    [1, 2, 5].map(
      (units): Network => ({
        title: `${units + 1} shuffle units of ${half} channels`,
        text: shuffleNet(half, units),
        shapes: { x: [3, 9, 11] },
      }),
    ),
  ),
  {
    title: "concatenation into convolutions",
    text: `${parts}\nConcat k 3 1 p q r m\n${conv("f", "m", "y", 7, "1=3 4=1")}\n${conv("g", "m", "z", 6)}`,
    shapes: small,
  },
  {
    title: "concatenation of concatenations",
    text: `${parts}\nConcat k 2 1 p q m\nConcat l 3 1 m r p n\n${conv("f", "n", "y", 7, "1=3 3=2 4=1")}`,
    shapes: small,
  },
  {
    title: "one blob twice",
    text: `${conv("c", "x", "p", 5)}\nConcat k 2 1 p p m\n${conv("f", "m", "y", 7)}`,
    shapes: small,
  },
  {
    title: "concatenation into pooling",
    text: `${parts}\nConcat k 3 1 p q r m\nPooling f 1 1 m y 0=0 1=3 2=1 3=1 5=1`,
    shapes: small,
  },
  {
    title: "concatenation into depthwise",
    text: `${parts}\nConcat k 3 1 p q r m\nConvolutionDepthWise f 1 1 m y 0=20 7=20 1=3 4=1`,
    shapes: small,
  },
  {
    title: "concatenation that is an output and read",
    text: `${parts}\nConcat k 3 1 p q r m\n${conv("f", "m", "y", 7)}`,
    shapes: small,
    outputs: ["m", "y", "q"],
  },
  {
    title: "shuffle of three groups",
    text: `${conv("c", "x", "p", 9)}\nShuffleChannel h 1 1 p q 0=3\n${conv("f", "q", "y", 4, "1=3 4=1")}`,
    shapes: small,
  },
  {
    title: "reversed shuffle",
    text: `${conv("c", "x", "p", 10)}\nShuffleChannel h 1 1 p q 0=2 1=1\n${conv("f", "q", "y", 4)}`,
    shapes: small,
  },
  {
    title: "shuffle that is an output",
    text: `${conv("c", "x", "p", 10)}\nShuffleChannel h 1 1 p y 0=5`,
    shapes: small,
  },
  {
    title: "shuffle added to its source",
    text: `${conv("c", "x", "p", 8)}\nShuffleChannel h 1 1 p q 0=2\nBinaryOp s 2 1 p q y`,
    shapes: small,
  },
  {
    title: "slices of one, two and the rest",
    text: `${conv("c", "x", "p", 11)}\nSlice h 1 3 p q r s -23300=3,1,2,-233\n${conv("f", "q", "t", 4)}\n${conv("g", "r", "u", 4, "1=3 4=1")}\nConvolutionDepthWise d 1 1 s v 0=8 7=8 1=3 4=1\n${conv("l", "v", "w", 4)}\nEltwise e 2 1 t u z 0=1\nBinaryOp b 2 1 z w y`,
    shapes: small,
  },
  {
    title: "overlapping crops",
    text: `${conv("c", "x", "p", 11)}\nCrop h 1 1 p q -23309=1,2 -23310=1,9 -23311=1,0\nCrop i 1 1 p r -23309=1,5 -23310=1,-233 -23311=1,0\n${conv("f", "q", "t", 4)}\n${conv("g", "r", "u", 4, "1=3 4=1")}\n${conv("l", "p", "v", 4)}\nBinaryOp e 2 1 t u z\nBinaryOp b 2 1 z v y`,
    shapes: small,
  },
  {
    title: "crop by offset",
    text: `${conv("c", "x", "p", 11)}\nCrop h 1 1 p q 0=0 1=0 2=3 3=-233 4=-233 5=5\n${conv("f", "q", "y", 4)}`,
    shapes: small,
  },
  {
    title: "slice of the input",
    text: `Slice h 1 2 x q r -23300=2,2,-233\n${conv("f", "q", "t", 4)}\n${conv("g", "r", "u", 4, "1=3 4=1")}\nBinaryOp e 2 1 t u y`,
    shapes: small,
  },
  {
    title: "concatenation of vectors",
    text: `Concat k 2 1 x z m\nInnerProduct f 1 1 m y 0=5 1=1`,
    shapes: { x: [5], z: [6] },
  },
  {
    title: "concatenation with an upsampled picture",
    text: `${conv("c", "x", "p", 5, "1=3 3=2 4=1")}\nInterp u 1 1 p q 0=1 1=2.0 2=2.0\nConcat k 2 1 q x m\n${conv("f", "m", "y", 6, "1=3 4=1")}`,
    shapes: { x: [5, 6, 8] },
  },
  {
    title: "along rows, not channels",
    text: "Concat k 2 1 x z y 0=1",
    shapes: { x: [5, 3, 4], z: [5, 2, 4] },
    inJavaScript: ["Concat"],
  },
  {
    title: "crop of rows and columns",
    text: "Crop k 1 1 x y 0=1 1=2 2=1 3=3 4=2 5=3",
    shapes: small,
    inJavaScript: ["Crop"],
  },
  {
    title: "layers that change nothing",
    text: `${conv("c", "x", "p", 5)}\nNoop n 1 1 p q\nDropout d 1 1 q r\n${conv("f", "r", "y", 6)}`,
    shapes: small,
  },
]);

const poolings = [
  "1=2 2=2",
  "1=3 2=2 3=1",
  "1=3 2=1 3=1",
  "1=5 2=1 3=2",
  "1=3 11=2 2=2 12=1 3=1 13=0",
  "1=2 2=3 3=0 14=1 13=1 15=0",
  "1=13 2=1 3=6",
];
describeNetworks("pooling", [
  ...poolings.flatMap((window) =>
    [0, 1].flatMap((type) =>
      [0, 1, 2, 3].flatMap((mode) =>
        (type ? [0, 1] : [0]).map(
          (include): Network => ({
            title: `${type ? "average" : "max"} ${window}, pad mode ${mode}${include ? ", pads count" : ""}`,
            text: `${conv("c", "x", "p", 7)}\nPooling f 1 1 p y 0=${type} ${window} 5=${mode} 6=${include}`,
            shapes: { x: [3, 8, window.includes("1=13") ? 14 : 9] },
            // Averages that leave out pads beside SAME, or that are over nothing.
            ...(type && !include && (mode > 1 || window.includes("2=3")) && { inJavaScript: ["Pooling"] }),
          }),
        ),
      ),
    ),
  ),
  ...[1, 4, 13].flatMap((channels) =>
    [0, 1].map(
      (type): Network => ({
        title: `global, type ${type}, ${channels} channels`,
        text: `Pooling f 1 1 x y 0=${type} 4=1`,
        shapes: { x: [channels, 5, 3] },
      }),
    ),
  ),
  {
    title: "global, into a fully connected layer",
    text: `${conv("c", "x", "p", 13)}\nPooling f 1 1 p q 0=1 4=1\nInnerProduct i 1 1 q y 0=10 1=1`,
    shapes: small,
  },
  {
    title: "average, then activation",
    text: `${conv("c", "x", "p", 6)}\nPooling f 1 1 p q 0=1 1=3 2=1 3=1 5=1\nSwish a 1 1 q y`,
    shapes: small,
  },
  {
    title: "spatial pyramid",
    text: `${conv("c", "x", "p", 6)}\nPooling f 1 1 p q 0=0 1=5 2=1 3=2 5=1\nPooling g 1 1 p r 0=0 1=9 2=1 3=4 5=1\nPooling h 1 1 p s 0=0 1=13 2=1 3=6 5=1\nConcat k 4 1 p q r s m\n${conv("d", "m", "y", 5)}`,
    shapes: { x: [5, 7, 8] },
  },
  { title: "adaptive", text: "Pooling f 1 1 x y 0=1 7=1 8=3 18=2", shapes: small, inJavaScript: ["Pooling"] },
]);

describeNetworks("resizing", [
  ...[
    "0=1 1=2.0 2=2.0",
    "0=1 1=3.0 2=1.0",
    "0=1 3=12 4=21",
    "0=2 1=2.0 2=2.0",
    "0=2 1=1.5 2=2.5",
    "0=2 3=3 4=4",
    "0=2 3=13 4=5",
    "0=2 3=12 4=14 6=1",
    "0=2 3=1 4=1",
    "0=2 3=6 4=7",
  ]
    .flatMap((how): Network[] => [
      { title: `${how}`, text: `Interp u 1 1 x y ${how}`, shapes: small },
      {
        title: `${how}, between convolutions`,
        text: `${conv("c", "x", "p", 6)}\nInterp u 1 1 p q ${how}\n${conv("d", "q", "y", 3, "1=3 4=1")}`,
        shapes: small,
      },
      {
        title: `${how}, of one pixel`,
        text: `${conv("c", "x", "p", 6)}\nInterp u 1 1 p y ${how}`,
        shapes: { x: [5, 1, 1] },
      },
    ])
    .filter(({ title }) => !(title.includes("one pixel") && title.includes("6=1"))),
  {
    title: "nearest by a broken factor",
    text: "Interp u 1 1 x y 0=1 1=1.5 2=1.5",
    shapes: small,
    inJavaScript: ["Interp"],
  },
  {
    title: "nearest, smaller",
    text: "Interp u 1 1 x y 0=1 3=3 4=3",
    shapes: small,
    inJavaScript: ["Interp"],
  },
  { title: "bicubic", text: "Interp u 1 1 x y 0=3 1=2.0 2=2.0", shapes: small, inJavaScript: ["Interp"] },
  {
    title: "size of another blob",
    text: `${conv("c", "z", "p", 3)}\nInterp u 2 1 x p y 0=2 5=1`,
    shapes: { x: [5, 3, 4], z: [2, 7, 9] },
  },
]);

describeNetworks("softmax", [
  ...[1, 3, 4, 13, 255].map(
    (channels): Network => ({
      title: `${channels} values`,
      text: "Softmax s 1 1 x y 0=0 1=1",
      shapes: { x: [channels] },
    }),
  ),
  { title: "channels of a picture", text: "Softmax s 1 1 x y 0=0 1=1", shapes: { x: [7, 3, 5] } },
  {
    title: "channels after a convolution",
    text: `${conv("c", "x", "p", 9)}\nSoftmax s 1 1 p y 0=0 1=1`,
    shapes: small,
  },
  { title: "columns", text: "Softmax s 1 1 x y 0=2 1=1", shapes: small, inJavaScript: ["Softmax"] },
  {
    title: "rows of a matrix",
    text: "Softmax s 1 1 x y 0=1 1=1",
    shapes: { x: [3, 7] },
    inJavaScript: ["Softmax"],
  },
]);

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
    inJavaScript: ["Convolution"],
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
