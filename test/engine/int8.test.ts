/**
 * int8 layers on the engine: whatever way a machine does its dot products, the integers are those of the reference kernels.
 * Where float kernels in between round differently from the reference, the machines still have to agree with each other.
 */
import { describe, expect, it } from "vitest";
import { runReference } from "../../src/engine/reference/index.ts";
import type { KernelCall, Plan } from "../../src/engine/wasm/records.ts";
import type { PlanTarget } from "../../src/engine/wasm/target.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Shape, Tensor } from "../../src/ir/tensor.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import {
  expectClose,
  expectEqual,
  graphOf,
  groupings,
  int8Machines,
  largest,
  type Outputs,
  randomInputs,
  referenceTypes,
  runEngine,
  type WeightOptions,
} from "./harness.ts";

/** Whether results on the two machines are the same bit for bit even where layers work in float. */
const sameFloats = (a: PlanTarget, b: PlanTarget): boolean => a.relaxed === b.relaxed;

const dots = ({ steps }: Plan): string[] =>
  steps
    .flatMap((step): readonly KernelCall[] => step.calls)
    .flatMap(({ spec }) => (spec.kind === "convolution" && spec.dot !== "f32" ? [spec.dot] : []));

interface Check {
  /** Every float is reproduced too; false where sums of floats or exponentials come before an int8 layer. */
  readonly exact?: boolean;
  readonly outputs?: readonly string[];
  readonly inJavaScript?: readonly string[];
}

/** Runs on every machine and compares with the reference and with each other. */
async function checkMachines(graph: Graph, inputs: Record<string, Tensor>, check: Check = {}): Promise<void> {
  const blobs = check.outputs ?? graph.outputs;
  const expected = runReference(graph, inputs, blobs);
  const seen: [PlanTarget, Outputs][] = [];
  for (const [name, target] of int8Machines) {
    const { outputs, program } = await runEngine(graph, inputs, target, blobs);
    const kin = seen.find(([other]) => sameFloats(other, target));
    for (const blob of blobs) {
      if (check.exact !== false) expectEqual(outputs[blob], expected[blob], `${name}, ${blob}`);
      else {
        expectNear(outputs[blob], expected[blob], `${name}, ${blob}`);
        if (kin) expectEqual(outputs[blob], kin[1][blob], `${name} like the first machine, ${blob}`);
      }
    }
    if (!kin) seen.push([target, outputs]);
    expect(check.inJavaScript ?? [], name).toEqual(expect.arrayContaining(referenceTypes(program)));
    if (target.dot === "i16") expect(new Set(dots(program.plan)), name).not.toContain("relaxed");
    if (target.dot === "signed" || target.dot === "unsigned")
      expect(dots(program.plan), name).not.toContain("i16");
  }
}

/** A few integers may have been rounded the other way before: no more than 1 % of the largest number, or one step. */
function expectNear(found: Tensor, expected: Tensor, what: string): void {
  const tolerance = expected.data instanceof Int8Array ? 1 : 0.01 * largest(expected);
  expectClose(found, expected, () => tolerance, what);
}

const conv = (name: string, from: string, to: string, outputs: number, rest: string): string =>
  `Convolution ${name} 1 1 ${from} ${to} 0=${outputs} 5=1 ${rest}`;
const depthwise = (name: string, from: string, to: string, channels: number, rest: string): string =>
  `ConvolutionDepthWise ${name} 1 1 ${from} ${to} 0=${channels} 7=${channels} 5=1 ${rest}`;

// ---- one layer at a time

const channelCounts = [1, 3, 5, 8, 12, 13, 17, 30, 60, 255];
const windows = [
  ["1=1", 1],
  ["1=1 3=2", 1],
  ["1=1 4=1", 1],
  ["1=2 3=2 4=1", 2],
  ["1=3", 3],
  ["1=3 4=1", 1],
  ["1=3 3=2 4=1", 2],
  ["1=3 3=2 4=0 15=1 14=0 16=1", 2],
  ["1=3 4=0 15=1 14=2 16=0", 2],
  ["1=3 2=2 4=2", 1],
  ["1=3 2=3 12=1 4=3 14=1", 1],
  ["1=3 4=-233", 1],
  ["1=3 3=2 4=-234", 1],
  ["1=5 4=2", 1],
  ["1=5 11=3 3=2 4=2 14=1", 3],
  ["1=7 3=2 4=3", 4],
  ["1=1 11=5 4=0 14=2", 1],
] as const;
/** Activations that round like the reference. */
const exactActivations = ["", "9=1", "9=2 -23310=1,0.1", "9=3 -23310=2,0.0,1.5", "9=3 -23310=2,-0.5,0.75"];
const otherActivations = ["9=4", "9=5", "9=6 -23310=2,0.2,0.5"];
const terms = [1, 2, 101, 102];
const widths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 40];

interface Layer {
  readonly line: string;
  readonly shape: Shape;
  readonly exact?: boolean;
}

function drawLayers(
  make: (window: string, inputs: number, outputs: number, term: number) => string,
): Layer[] {
  return windows.flatMap(([window, least], w) =>
    [0, 1, 2].map((i): Layer => {
      const n = w * 3 + i;
      const inputs = channelCounts[(n * 7) % 10];
      const outputs = channelCounts[(n * 3 + w) % 10];
      const exact = n % 5 !== 4;
      const list = exact ? exactActivations : otherActivations;
      const activation = list[w % list.length];
      const height = inputs * outputs > 10_000 ? least : Math.max(least, [1, 4, 3, 7][n % 4]);
      return {
        line: `${make(window, inputs, outputs, terms[n % 4])} 5=${n % 2} ${activation}`,
        shape: [inputs, height, Math.max(least, widths[(n * 5) % widths.length])],
        exact,
      };
    }),
  );
}

async function checkLayer(
  { line, shape, exact }: Layer,
  seed: number,
  options: WeightOptions = {},
): Promise<void> {
  const graph = graphOf(line, { x: shape }, { seed, ...options });
  // Some inputs saturate.
  await checkMachines(graph, randomInputs({ x: shape }, seed, seed % 3 ? 1 : 4), { exact });
}

const title = ({ line, shape }: Layer): string => `${line.replace(/.* x y /, "")} on ${shape.join("x")}`;
const entries = (layers: readonly Layer[]) => layers.map((layer, i) => [title(layer), layer, i] as const);

describe("int8 convolution", () => {
  const layers = drawLayers(
    (window, _, outputs, term) => `Convolution c 1 1 x y 0=${outputs} ${window} 8=${term}`,
  );
  it.each(entries(layers))("%s", async (_, layer, i) => checkLayer(layer, i));
});

describe("int8 depthwise convolution", () => {
  const layers = drawLayers(
    (window, inputs, _, term) => `ConvolutionDepthWise c 1 1 x y 0=${inputs} 7=${inputs} ${window} 8=${term}`,
  );
  it.each(entries(layers))("%s", async (_, layer, i) => checkLayer(layer, i));
});

describe("int8 grouped convolution", () => {
  const layers = groupings.flatMap(([group, inputs, outputs], i): Layer[] =>
    ["1=1", "1=3 4=1", "1=3 3=2 4=-233"].map((window, j) => ({
      line: `ConvolutionDepthWise c 1 1 x y 0=${outputs} 7=${group} ${window} 5=1 8=${terms[(i + j) % 4]} ${exactActivations[(i + j) % 5]}`,
      shape: [inputs, 5, 6 + i],
    })),
  );
  it.each(entries(layers))("%s", async (_, layer, i) => checkLayer(layer, i));
});

describe("int8 fully connected layer", () => {
  const shapes: Shape[] = [[1], [3], [17], [255], [5, 1, 1], [1, 3, 3], [3, 4, 5], [30, 7, 7]];
  const layers = shapes.flatMap((shape, i): Layer[] =>
    [1, 10, 33].map((outputs, j) => ({
      line: `InnerProduct c 1 1 x y 0=${outputs} 1=${(i + j) % 2} 8=${1 + (i % 2)} ${exactActivations[(i + j) % 5]}`,
      shape,
    })),
  );
  it.each(entries(layers))("%s", async (_, layer, i) => checkLayer(layer, i));
});

describe("int8, padded with an integer", () => {
  const layers = [127, 3, -1, -127].flatMap((value, i): Layer[] => [
    { line: `Convolution c 1 1 x y 0=13 1=3 4=1 5=1 18=${value}.0 8=${terms[i]}`, shape: [9, 6, 7] },
    {
      line: `ConvolutionDepthWise c 1 1 x y 0=13 7=13 1=3 4=1 5=1 18=${value}.0 8=${terms[i]}`,
      shape: [13, 6, 7],
    },
    {
      line: `ConvolutionDepthWise c 1 1 x y 0=6 7=3 1=3 4=-233 3=2 5=1 18=${value}.0 8=${terms[i]}`,
      shape: [9, 6, 7],
    },
  ]);
  it.each(entries(layers))("%s", async (_, layer, i) => checkLayer(layer, i));
});

describe("float weights, quantized at load", () => {
  const layers: Layer[] = [
    { line: "Convolution c 1 1 x y 0=13 1=3 4=1 5=1 8=2 9=1", shape: [5, 6, 7] },
    { line: "Convolution c 1 1 x y 0=6 1=1 8=102", shape: [13, 6, 7] },
    { line: "ConvolutionDepthWise c 1 1 x y 0=13 7=13 1=3 4=1 5=1 8=1", shape: [13, 6, 7] },
    { line: "ConvolutionDepthWise c 1 1 x y 0=6 7=3 1=3 4=1 5=1 8=101", shape: [9, 6, 7] },
    { line: "ConvolutionDepthWise c 1 1 x y 0=13 7=13 1=5 4=2 5=1 8=2", shape: [13, 6, 7] },
    { line: "InnerProduct c 1 1 x y 0=9 1=1 8=2", shape: [5, 3, 3] },
  ];
  it.each(entries(layers))("%s", async (_, layer, i) => checkLayer(layer, i, { floatWeights: true }));
});

describe("sums of several products in 16 bits", () => {
  const text = (kernel: string): string =>
    `${conv("a", "x", "p", 13, "1=1 8=2 9=1")}\n${conv("b", "p", "y", 9, `${kernel} 8=2`)}\n${conv("c", "p", "z", 30, `${kernel} 8=102`)}`;
  const cases = [3, 15, 31, 32, 60, 63, 64, 127].flatMap((limit) =>
    ["1=1", "1=3 4=1", "1=3 3=2 4=1 2=2"].map((kernel) => [limit, kernel] as const),
  );
  it.each(cases)("weights up to %d, %s", async (weightLimit, kernel) => {
    const shapes = { x: [7, 5, 6] };
    const graph = graphOf(text(kernel), shapes, { weightLimit, seed: weightLimit });
    // All inputs at their largest, and weights of one sign: the sums that come nearest to overflow.
    const { data } = graph.node("b")!.weights.weight;
    for (let i = 0; i < data.length; i += 2) data[i] = Math.abs(data[i]);
    await checkMachines(graph, randomInputs(shapes, 3, 1));
    await checkMachines(graph, randomInputs(shapes, 3, 100));
  });
});

describe("odd scales and weights", () => {
  const shape = [6, 5, 6];
  const layerTypes = [
    "Convolution c 1 1 x p 0=6 1=3 4=1 5=1 8=TERM",
    "ConvolutionDepthWise c 1 1 x p 0=6 7=6 1=3 4=1 5=1 8=TERM",
    "ConvolutionDepthWise c 1 1 x p 0=6 7=2 1=3 4=1 5=1 8=TERM",
  ];
  const network = (line: string, term: number): Graph =>
    graphOf(`${line.replace("TERM", String(term))}\nConvolution d 1 1 p y 0=5 1=1 5=1 8=2`, { x: shape });
  const edits: readonly (readonly [string, (graph: Graph) => void])[] = [
    [
      "a channel without weights, scale infinite",
      (graph) => {
        const { weight, weight_scales } = graph.node("c")!.weights;
        (weight.data as Int8Array).fill(0, 0, weight.data.length / 6);
        weight_scales.data[0] = Number.POSITIVE_INFINITY;
      },
    ],
    [
      "a channel with scale 0",
      (graph) => {
        graph.node("c")!.weights.weight_scales.data[0] = 0;
      },
    ],
    [
      "all weights 0",
      (graph) => {
        (graph.node("c")!.weights.weight.data as Int8Array).fill(0);
      },
    ],
    [
      "weights at both ends",
      (graph) => {
        const { data } = graph.node("c")!.weights.weight;
        for (let i = 0; i < data.length; i++) data[i] = i % 3 ? 127 : -127;
      },
    ],
    [
      "weights of -128",
      (graph) => {
        (graph.node("c")!.weights.weight.data as Int8Array).fill(-128);
      },
    ],
    [
      "tiny input scale",
      (graph) => {
        graph.node("c")!.weights.bottom_scale = f32Weight([1e-3]);
      },
    ],
    [
      "input scale of a nearly dead blob",
      (graph) => {
        graph.node("c")!.weights.bottom_scale = f32Weight([22667090]);
      },
    ],
  ];
  const cases = edits.flatMap(([what, edit]) =>
    layerTypes.flatMap((line) =>
      [1, 101].map((term) => [`${what}: ${line.replace("TERM", String(term))}`, line, term, edit] as const),
    ),
  );
  it.each(cases)("%s", async (_, line, term, edit) => {
    const graph = network(line, term);
    edit(graph);
    await checkMachines(graph, randomInputs({ x: shape }, 3, 2), { outputs: ["p", "y"] });
  });

  it.each(layerTypes)("a dead blob, scale infinite: %s", async (line) => {
    // Integers of 0·∞ are anything, and are multiplied by 1/∞.
    for (const term of [1, 101]) {
      const graph = network(line, term);
      for (const name of ["c", "d"])
        graph.node(name)!.weights.bottom_scale = f32Weight([Number.POSITIVE_INFINITY]);
      await checkMachines(graph, { x: { shape, data: new Float32Array(6 * 5 * 6) } });
    }
  });

  it("inputs beyond all integers saturate", async () => {
    const graph = network(layerTypes[0], 101);
    await checkMachines(graph, randomInputs({ x: shape }, 3, 1e6), { outputs: ["p", "y"] });
  });
});

// ---- networks

interface Network extends Check {
  readonly title: string;
  readonly text: string;
  readonly shapes?: Record<string, Shape>;
  /** Layers that share one scale: their bottom_scale or top_scale becomes 40. */
  readonly agree?: readonly string[];
}

function describeNetworks(what: string, networks: readonly Network[]): void {
  describe(what, () => {
    it.each(networks.map((network) => [network.title, network] as const))("%s", async (_, network) => {
      const shapes = network.shapes ?? { x: [5, 7, 9] };
      for (const seed of [1, 2]) {
        const graph = graphOf(network.text, shapes, { seed: seed + network.text.length });
        for (const name of network.agree ?? []) {
          const { weights } = graph.node(name)!;
          weights[weights.top_scale ? "top_scale" : "bottom_scale"] = f32Weight([40]);
        }
        await checkMachines(graph, randomInputs(shapes, seed), network);
      }
    });
  });
}

describeNetworks("chains", [
  {
    title: "float between",
    text: `${conv("a", "x", "p", 13, "1=3 4=1 8=2 9=1")}\n${conv("b", "p", "q", 6, "1=1 8=2 9=2 -23310=1,0.1")}\n${conv("c", "q", "y", 7, "1=3 3=2 4=1 8=2")}`,
  },
  {
    title: "requantized",
    text: `${conv("a", "x", "p", 13, "1=3 4=1 8=102 9=1")}\n${conv("b", "p", "q", 6, "1=1 8=102")}\n${conv("c", "q", "y", 7, "1=3 3=2 4=1 8=2")}`,
    outputs: ["p", "q", "y"],
  },
  {
    title: "a factor a channel between",
    text: `${conv("a", "x", "p", 13, "1=3 4=1 8=2")}\nSwish s 1 1 p q\nScale f 1 1 q r 0=13 1=1\n${depthwise("b", "r", "t", 13, "1=3 4=1 8=1 9=1")}\nScale g 1 1 t u 0=13 1=1\nClip k 1 1 u v 0=-0.3 1=0.4\n${conv("c", "v", "y", 7, "1=1 8=2")}`,
  },
  {
    title: "requantized, depthwise",
    text: `${conv("a", "x", "p", 13, "1=1 8=102 9=1")}\n${depthwise("b", "p", "q", 13, "1=3 4=1 8=101")}\n${conv("c", "q", "y", 7, "1=1 8=2")}`,
  },
  {
    title: "requantized, depthwise of stride 2 and kernel 5",
    text: `${conv("a", "x", "p", 17, "1=1 8=102")}\n${depthwise("b", "p", "q", 17, "1=5 3=2 4=2 8=101")}\n${depthwise("c", "q", "r", 17, "1=3 2=2 4=2 8=102")}\n${conv("d", "r", "y", 7, "1=1 8=2")}`,
  },
  {
    title: "only the last layer is float",
    text: `${conv("a", "x", "p", 12, "1=3 4=1 8=2 9=1")}\n${conv("b", "p", "y", 6, "1=1")}`,
    exact: false,
  },
  {
    title: "only the first layer is float",
    text: `${conv("a", "x", "p", 12, "1=3 4=1 9=1")}\n${conv("b", "p", "y", 6, "1=1 8=2")}`,
    exact: false,
  },
  {
    title: "eight padded layers that reuse buffers",
    text: [0, 1, 2, 3, 4, 5, 6, 7]
      .map((i) =>
        conv(
          `c${i}`,
          i ? `p${i - 1}` : "x",
          `p${i}`,
          5,
          `1=3 4=1 8=${i % 3 ? 2 : 102} ${i % 2 ? "9=1" : ""}`,
        ),
      )
      .join("\n"),
  },
  {
    title: "borders of several widths",
    text: `${conv("a", "x", "p", 4, "1=3 4=1 8=2")}\n${conv("b", "p", "q", 4, "1=7 4=3 8=2")}\n${conv("c", "q", "r", 4, "1=1 8=2")}\n${conv("d", "r", "s", 4, "1=5 4=2 8=2")}\n${conv("e", "s", "t", 4, "1=3 3=2 4=-233 8=2")}\n${conv("f", "t", "y", 4, "1=3 4=-234 8=2")}`,
  },
  {
    title: "fully connected at the end",
    text: `${conv("a", "x", "p", 13, "1=3 4=1 8=2 9=1")}\nInnerProduct b 1 1 p q 0=9 1=1 8=2 9=1\nInnerProduct c 1 1 q y 0=4 1=1 8=2`,
  },
  {
    title: "requantized into fully connected",
    text: `${conv("a", "x", "p", 13, "1=3 4=1 8=102 9=1")}\nInnerProduct b 1 1 p y 0=9 1=1 8=2`,
  },
  {
    title: "global pooling before fully connected",
    text: `${conv("a", "x", "p", 13, "1=3 4=1 8=2 9=1")}\nPooling g 1 1 p q 0=1 4=1\nInnerProduct b 1 1 q y 0=9 1=1 8=2`,
    exact: false,
  },
  {
    title: "flattened before fully connected",
    text: `${conv("a", "x", "p", 6, "1=3 4=1 8=2 9=1")}\nFlatten g 1 1 p q\nInnerProduct b 1 1 q y 0=9 1=1 8=2`,
  },
  {
    title: "grouped, requantized",
    text: `${conv("a", "x", "p", 12, "1=1 8=102 9=1")}\nConvolutionDepthWise b 1 1 p q 0=18 7=3 1=3 4=1 5=1 8=101\n${conv("c", "q", "y", 7, "1=3 4=1 8=2")}`,
  },
  {
    title: "head",
    text: `${conv("a", "x", "p", 12, "1=1 8=2 9=1")}\n${conv("b", "p", "q", 21, "1=1 8=2")}\nReshape r 1 1 q s 0=-1 1=7 2=3\nPermute t 1 1 s y 0=1`,
  },
  {
    title: "a layer in JavaScript between",
    text: `${conv("a", "x", "p", 12, "1=1 8=2")}\nAbsVal b 1 1 p q\n${conv("c", "q", "y", 7, "1=3 4=1 8=2")}`,
    inJavaScript: ["AbsVal"],
  },
  {
    title: "padded with a value",
    text: `${conv("a", "x", "p", 12, "1=1 8=2")}\n${conv("c", "p", "y", 7, "1=3 4=1 18=3.0 8=2")}`,
  },
  {
    title: "padded with a value below 0 behind an activation",
    text: `${conv("a", "x", "p", 12, "1=1 8=2 9=1")}\n${conv("c", "p", "y", 7, "1=3 4=1 18=-127.0 8=2")}`,
  },
  {
    title: "padded with different values by its readers",
    text: `${conv("a", "x", "p", 12, "1=1 8=2")}\n${conv("c", "p", "q", 7, "1=3 4=1 18=127.0 8=2")}\n${conv("d", "p", "r", 7, "1=3 4=1 18=-5.0 8=2")}\nBinaryOp s 2 1 q r y 0=0`,
  },
]);

const source = conv("a", "x", "p", 13, "1=1 8=2 9=1");
describeNetworks("several readers", [
  {
    title: "int8 and float",
    text: `${source}\n${conv("b", "p", "y", 6, "1=3 4=1 8=2")}\n${conv("c", "p", "z", 6, "1=3 4=1")}`,
    exact: false,
  },
  {
    title: "two scales",
    text: `${source}\n${conv("b", "p", "y", 6, "1=3 4=1 8=2")}\n${conv("c", "p", "z", 6, "1=1 8=2")}\n${conv("d", "p", "w", 6, "1=5 4=2 8=2")}`,
  },
  {
    title: "the same scale",
    text: `${source}\n${conv("b", "p", "y", 6, "1=3 4=1 8=2")}\n${conv("c", "p", "z", 6, "1=1 8=2")}`,
    agree: ["b", "c"],
  },
  {
    title: "requantized, two readers",
    text: `${conv("a", "x", "p", 13, "1=1 8=102 9=1")}\nSplit s 1 2 p p1 p2\n${conv("b", "p1", "y", 6, "1=3 4=1 8=2")}\n${depthwise("c", "p2", "z", 13, "1=3 4=1 8=1")}`,
  },
  {
    title: "requantized, read and an output",
    text: `${conv("a", "x", "p", 13, "1=1 8=102")}\n${conv("b", "p", "y", 6, "1=3 4=1 8=2")}`,
    outputs: ["p", "y"],
  },
  {
    title: "overlapping crops with scales of their own",
    text: `${source}\nCrop k 1 1 p q -23309=1,0 -23310=1,9 -23311=1,0\nCrop l 1 1 p r -23309=1,4 -23310=1,-233 -23311=1,0\n${conv("b", "q", "y", 6, "1=3 4=1 8=2")}\n${conv("c", "r", "z", 6, "1=1 8=2")}\n${conv("d", "p", "w", 6, "1=1 8=2")}`,
  },
  {
    title: "one half, then all with another scale, channel by channel",
    text: `${source}\n${depthwise("c", "p", "y", 13, "1=3 4=1 8=1")}\nPooling f 1 1 p q 0=0 1=3 2=2 3=1\n${conv("d", "q", "z", 6, "1=1 8=2")}\nCrop k 1 1 p r -23309=1,0 -23310=1,5 -23311=1,0\n${conv("b", "r", "w", 6, "1=3 4=1 8=2")}`,
  },
  {
    title: "residual and convolution",
    text: `${source}\n${conv("b", "p", "q", 13, "1=3 4=1 8=2")}\nBinaryOp s 2 1 q p r\nReLU t 1 1 r u\n${conv("c", "u", "y", 6, "1=1 8=2")}`,
  },
  {
    title: "chain of residuals",
    text: `${source}\n${[0, 1, 2].map((i) => `${conv(`b${i}`, i ? `r${i - 1}` : "p", `q${i}`, 13, "1=3 4=1 8=2 9=1")}\nBinaryOp s${i} 2 1 ${i ? `r${i - 1}` : "p"} q${i} r${i}`).join("\n")}\n${conv("c", "r2", "y", 6, "1=1 8=2")}`,
  },
  {
    title: "depthwise with a residual",
    text: `${source}\n${depthwise("b", "p", "q", 13, "1=3 4=1 8=1 9=1")}\nBinaryOp s 2 1 q p r\n${conv("c", "r", "y", 6, "1=1 8=2")}`,
  },
]);

/** Activations whose results are a little negative at most: bytes are stored with a zero point where that helps. */
const bounded: readonly (readonly [name: string, parameters: string, exact: boolean])[] = [
  ["clip", "9=3 -23310=2,-0.5,0.75", true],
  ["mish", "9=5", false],
  ["hard swish", "9=6 -23310=2,0.2,0.5", false],
];

describeNetworks(
  "numbers that are a little negative at most",
  bounded.flatMap(([name, activation, exact]): Network[] => {
    const a = conv("a", "x", "p", 13, `1=3 4=1 8=2 ${activation}`);
    const relu = conv("b", "x", "q", 7, "1=3 4=1 8=2 9=1");
    return [
      {
        title: `${name}, padded`,
        text: `${a}\n${conv("d", "p", "y", 6, "1=3 4=1 8=2")}\n${conv("e", "p", "z", 30, "1=1 8=2")}`,
        exact,
      },
      {
        title: `${name}, requantized and an output`,
        text: `${a.replace("8=2", "8=102")}\n${conv("d", "p", "y", 6, "1=3 4=1 8=2")}`,
        outputs: ["p", "y"],
        exact,
      },
      {
        title: `${name} beside ReLU, upsampled`,
        text: `${a}\n${relu}\nConcat k 2 1 p q m\nInterp u 1 1 m n 0=1 1=2.0 2=2.0\n${conv("d", "n", "y", 6, "1=3 4=1 8=2")}\n${conv("e", "q", "z", 6, "1=1 8=2")}`,
        exact,
      },
      {
        title: `${name} beside anything, upsampled`,
        text: `${a}\n${conv("b", "x", "q", 7, "1=1 8=2")}\nConcat k 2 1 p q m\nInterp u 1 1 m n 0=1 1=2.0 2=2.0\n${conv("d", "n", "y", 6, "1=3 4=1 8=2")}\n${conv("e", "p", "z", 6, "1=1 8=2")}`,
        exact,
      },
      {
        title: `${name} beside anything`,
        text: `${a}\n${conv("b", "x", "q", 7, "1=1 8=2")}\nConcat k 2 1 p q m\n${conv("d", "m", "y", 6, "1=3 4=1 8=2")}\n${conv("e", "p", "z", 6, "1=1 8=2")}`,
        exact,
      },
      {
        title: `${name}, maximum and depthwise`,
        text: `${a}\nPooling f 1 1 p q 0=0 1=3 2=2 3=1\n${conv("d", "q", "y", 6, "1=3 4=1 8=2")}\n${depthwise("e", "p", "z", 13, "1=3 4=1 8=1")}`,
        exact,
      },
    ];
  }),
);

it("behind Swish the dot product of pairs is used where it takes unsigned bytes", async () => {
  const text = `${conv("a", "x", "p", 13, "1=1 8=2")}\nSwish s 1 1 p q\n${conv("b", "q", "y", 6, "1=3 4=1 8=2")}`;
  const graph = graphOf(text, { x: [5, 7, 9] }, {});
  graph.node("b")!.weights.bottom_scale = f32Weight([30]);
  for (const [name, target] of int8Machines) {
    if (target.dot !== "i7") continue;
    const { program } = await runEngine(graph, randomInputs({ x: [5, 7, 9] }), target);
    expect(dots(program.plan)[1], name).toBe(target.pairTop === 255 ? "pairs" : "i16");
  }
});

/** Bounds of clips before bytes are stored: beyond their range, inside, one-sided, on one side of 0, the wrong way round. */
const clips = [
  "-0.5,3.4e38",
  "-3.4e38,0.4",
  "-5.0,0.4",
  "-0.4,0.3",
  "0.2,0.9",
  "-0.9,-0.2",
  "-9.0,9.0",
  "0.5,-0.5",
];

describeNetworks(
  "clips at the end",
  clips.flatMap((bounds): Network[] => {
    const a = conv("a", "x", "p", 13, `1=3 4=1 8=2 9=3 -23310=2,${bounds}`);
    const halves =
      "Crop k 1 1 p q -23309=1,0 -23310=1,9 -23311=1,0\nCrop l 1 1 p r -23309=1,4 -23310=1,-233 -23311=1,0";
    const readers = `${conv("d", "q", "y", 6, "1=3 4=1 8=2")}\n${conv("e", "r", "z", 30, "1=1 8=2")}`;
    return [
      { title: `${bounds}, one reader`, text: `${a}\n${conv("d", "p", "y", 6, "1=3 4=1 8=2")}` },
      { title: `${bounds}, scales by channel`, text: `${a}\n${halves}\n${readers}` },
      {
        title: `${bounds}, depthwise`,
        text: `${depthwise("a", "x", "p", 5, `1=3 4=1 8=1 9=3 -23310=2,${bounds}`)}\n${conv("d", "p", "y", 6, "1=1 8=2")}`,
      },
      {
        title: `${bounds}, maximum, int8 and float readers`,
        text: `${a}\nPooling f 1 1 p q 0=0 1=3 2=2 3=1\n${conv("d", "q", "y", 6, "1=3 4=1 8=2")}\n${depthwise("e", "q", "z", 13, "1=3 4=1")}`,
        exact: false,
      },
    ];
  }),
);

it("results that are too large for integers saturate", async () => {
  const text = `${conv("a", "x", "p", 13, "1=3 4=1 8=102")}\n${conv("d", "p", "y", 6, "1=3 4=1 8=2")}`;
  for (const factor of [1e3, 1e7, 2e8]) {
    const graph = graphOf(text, { x: [5, 7, 9] });
    const { top_scale: scale } = graph.node("a")!.weights;
    scale.data[0] = factor;
    graph.node("d")!.weights.bottom_scale = scale;
    await checkMachines(graph, randomInputs({ x: [5, 7, 9] }), { outputs: ["p", "y"] });
  }
});

const parts = `${conv("a", "x", "p", 5, "1=1 8=2 9=1")}\n${conv("b", "x", "q", 3, "1=1 8=2")}\n${conv("c", "x", "r", 12, "1=3 4=1 8=2 9=1")}`;
const requantizedParts = parts.replaceAll("8=2", "8=102");

/** ShuffleNetV2 units on `half` channels a branch, every layer int8; with `term` 101 the branches are requantized inside. */
function shuffleNet(half: number, units: number, term: 1 | 101): string {
  const lines = [
    conv("stem", "x", "s", half + 1, "1=3 4=1 9=1 8=2"),
    depthwise("d0", "s", "a0", half + 1, `1=3 3=2 4=1 8=${term}`),
    conv("l0", "a0", "b0", half, "1=1 9=1 8=2"),
    conv("r0", "s", "c0", half, `1=1 9=1 8=${term}`),
    depthwise("e0", "c0", "f0", half, `1=3 3=2 4=1 8=${term}`),
    conv("t0", "f0", "g0", half, "1=1 9=1 8=2"),
    "Concat k0 2 1 b0 g0 h0",
    "ShuffleChannel u0 1 1 h0 o0 0=2",
  ];
  for (let i = 1; i <= units; i++) {
    lines.push(
      `Slice z${i} 1 2 o${i - 1} m${i} n${i} -23300=2,${half},-233`,
      conv(`r${i}`, `n${i}`, `c${i}`, half, `1=1 9=1 8=${term}`),
      depthwise(`e${i}`, `c${i}`, `f${i}`, half, `1=3 4=1 8=${term}`),
      conv(`t${i}`, `f${i}`, `g${i}`, half, "1=1 9=1 8=2"),
      `Concat k${i} 2 1 m${i} g${i} h${i}`,
      `ShuffleChannel u${i} 1 1 h${i} o${i} 0=2`,
    );
  }
  lines.push(conv("end", `o${units}`, "y", 5, "1=3 4=1 8=2"), conv("side", "o0", "z", 6, "1=1 8=2"));
  return lines.join("\n");
}

describeNetworks("channels moved by name only", [
  ...[1, 3, 5, 8, 15].flatMap((half) =>
    [1, 3].flatMap((units) =>
      ([1, 101] as const).map(
        (term): Network => ({
          title: `${units + 1} shuffle units of ${half} channels, term ${term}`,
          text: shuffleNet(half, units, term),
          shapes: { x: [3, 9, 11] },
        }),
      ),
    ),
  ),
  {
    title: "concatenation",
    text: `${parts}\nConcat k 3 1 p q r m\n${conv("d", "m", "y", 6, "1=3 4=1 8=2")}\n${conv("e", "m", "z", 6, "1=1 8=2")}`,
  },
  {
    title: "concatenation of requantized blobs",
    text: `${requantizedParts}\nConcat k 3 1 p q r m\n${conv("d", "m", "y", 6, "1=3 4=1 8=2")}`,
    agree: ["a", "b", "c"],
  },
  {
    title: "concatenation of requantized blobs, also an output",
    text: `${requantizedParts}\nConcat k 3 1 p q r m\n${conv("d", "m", "y", 6, "1=1 8=2")}`,
    agree: ["a", "b", "c"],
    outputs: ["m", "y"],
  },
  {
    title: "shuffle of a requantized blob",
    text: `${conv("a", "x", "p", 12, "1=1 8=102")}\nShuffleChannel k 1 1 p q 0=3\n${conv("d", "q", "y", 6, "1=3 4=1 8=2")}\n${conv("e", "p", "z", 6, "1=1 8=2")}`,
    outputs: ["q", "y", "z"],
  },
  {
    title: "slices of a requantized blob",
    text: `${conv("a", "x", "p", 12, "1=1 8=102")}\nSlice k 1 2 p q r -23300=2,5,-233\n${conv("d", "q", "y", 6, "1=3 4=1 8=2")}\n${depthwise("e", "r", "z", 7, "1=3 4=1 8=1")}`,
    outputs: ["r", "y", "z"],
  },
  {
    title: "upsampled by nearest",
    text: `${conv("a", "x", "p", 6, "1=3 4=1 8=2 9=1")}\nInterp u 1 1 p q 0=1 1=2.0 2=2.0\n${conv("d", "q", "y", 6, "1=3 4=1 8=2")}\n${conv("e", "q", "z", 6, "1=1 8=2")}`,
  },
  {
    title: "upsampled and concatenated",
    text: `${conv("a", "x", "p", 6, "1=3 3=2 4=1 8=2 9=1")}\n${conv("b", "p", "q", 7, "1=3 3=2 4=1 8=2")}\nInterp u 1 1 q r 0=1 1=2.0 2=2.0\nConcat k 2 1 r p m\n${conv("d", "m", "y", 6, "1=1 8=2")}\n${conv("e", "m", "z", 6, "1=3 4=1 8=2")}`,
    shapes: { x: [5, 8, 12] },
  },
  {
    title: "requantized and upsampled",
    text: `${conv("a", "x", "p", 6, "1=3 4=1 8=102 9=1")}\nInterp u 1 1 p q 0=1 1=2.0 2=3.0\n${conv("d", "q", "y", 6, "1=3 4=1 8=2")}`,
    outputs: ["q", "y"],
  },
  {
    title: "upsampled by bilinear",
    text: `${conv("a", "x", "p", 6, "1=3 4=1 8=2 9=1")}\nInterp u 1 1 p q 0=2 1=2.0 2=2.0\n${conv("d", "q", "y", 6, "1=3 4=1 8=2")}`,
    exact: false,
  },
  {
    title: "activation layer on a requantized blob",
    text: `${conv("a", "x", "p", 6, "1=3 4=1 8=102")}\nReLU u 1 1 p q\n${conv("d", "q", "y", 6, "1=3 4=1 8=2")}`,
    outputs: ["q", "y"],
  },
]);

describeNetworks("pooling", [
  {
    title: "maximum, one scale",
    text: `${source}\nPooling f 1 1 p q 0=0 1=3 2=2 3=1\n${conv("b", "q", "y", 6, "1=3 4=1 8=2")}`,
  },
  {
    title: "maximum, two scales",
    text: `${source}\nPooling f 1 1 p q 0=0 1=3 2=2 3=1\n${conv("b", "q", "y", 6, "1=3 4=1 8=2")}\n${conv("c", "q", "z", 6, "1=1 8=2")}`,
  },
  {
    title: "maximum of negative numbers at borders",
    text: `${conv("a", "x", "p", 13, "1=1 8=2")}\nPooling f 1 1 p q 0=0 1=5 2=1 3=2 5=1\n${conv("b", "q", "y", 6, "1=3 4=1 8=2")}`,
  },
  {
    title: "maximum of a requantized blob",
    text: `${conv("a", "x", "p", 13, "1=1 8=102")}\nPooling f 1 1 p q 0=0 1=3 2=2 3=1 5=2\n${conv("b", "q", "y", 6, "1=1 8=2")}`,
    outputs: ["q", "y"],
  },
  ...[1, 3, 8, 17, 60].map(
    (channels): Network => ({
      title: `spatial pyramid of ${channels} channels`,
      text: `${conv("a", "x", "p", channels, "1=1 8=2 9=1")}\nPooling f 1 1 p q 0=0 1=5 2=1 3=2 5=1\nPooling g 1 1 p r 0=0 1=9 2=1 3=4 5=1\nPooling h 1 1 p s 0=0 1=13 2=1 3=6 5=1\nConcat k 4 1 p q r s m\n${conv("b", "m", "y", 6, "1=1 8=2")}`,
    }),
  ),
  {
    title: "windows without a pixel",
    text: `${source}\nPooling f 1 1 p q 0=0 1=1 2=2 5=0\n${conv("b", "q", "y", 6, "1=1 8=2")}`,
    shapes: { x: [5, 4, 6] },
  },
  {
    title: "average",
    text: `${source}\nPooling f 1 1 p q 0=1 1=3 2=2 3=1 5=1\n${conv("b", "q", "y", 6, "1=1 8=2")}`,
    exact: false,
  },
]);

describe("which dot product", () => {
  const relu = `${conv("a", "x", "p", 13, "1=1 8=2 9=1")}`;
  const clip = `${conv("b", "x", "q", 6, "1=1 8=2 9=3 -23310=2,0.0,6.0")}`;
  const plain = `${conv("c", "x", "r", 6, "1=1 8=2")}`;
  const i7 = int8Machines.find(([name]) => name === "i7, emulated")![1];
  it.each([
    ["after ReLU", `${relu}\n${conv("z", "p", "y", 6, "1=3 4=1 8=2")}`, ["i16", "relaxed"]],
    ["after Clip from 0", `${clip}\n${conv("z", "q", "y", 6, "1=1 8=2")}`, ["i16", "relaxed"]],
    ["after nothing", `${plain}\n${conv("z", "r", "y", 6, "1=1 8=2")}`, ["i16", "i16"]],
    [
      "concatenation, all after ReLU",
      `${relu}\n${clip}\nConcat k 2 1 p q m\n${conv("z", "m", "y", 6, "1=1 8=2")}`,
      ["i16", "i16", "relaxed"],
    ],
    [
      "concatenation with others",
      `${relu}\n${plain}\nConcat k 2 1 p r m\n${conv("z", "m", "y", 6, "1=1 8=2")}`,
      ["i16", "i16", "i16"],
    ],
    [
      "maximum pooling after ReLU",
      `${relu}\nPooling f 1 1 p m 0=0 1=3 2=2 3=1 5=1\n${conv("z", "m", "y", 6, "1=1 8=2")}`,
      ["i16", "relaxed"],
    ],
    [
      "upsampled after ReLU",
      `${relu}\nInterp f 1 1 p m 0=1 1=2.0 2=2.0\n${conv("z", "m", "y", 6, "1=1 8=2")}`,
      ["i16", "relaxed"],
    ],
    [
      "residual after ReLU",
      `${relu}\n${conv("d", "p", "s", 13, "1=1 8=2 9=1")}\nBinaryOp e 2 1 s p m\n${conv("z", "m", "y", 6, "1=1 8=2")}`,
      ["i16", "relaxed", "i16"],
    ],
    [
      "leaky",
      `${conv("a", "x", "p", 13, "1=1 8=2 9=2 -23310=1,0.1")}\n${conv("z", "p", "y", 6, "1=1 8=2")}`,
      ["i16", "i16"],
    ],
  ])("with inputs of seven bits only: %s", async (_, text, expected) => {
    const shapes = { x: [5, 7, 9] };
    const graph = graphOf(text, shapes);
    const { program } = await runEngine(graph, randomInputs(shapes), i7);
    expect(dots(program.plan)).toEqual(expected);
    await checkMachines(graph, randomInputs(shapes));
  });
});

describeNetworks("integers under other names", [
  {
    title: "Quantize",
    text: `Quantize g 1 1 x p 0=1\n${conv("b", "p", "y", 6, "1=3 4=1 8=2")}\n${conv("c", "x", "z", 6, "1=1 8=2")}`,
    outputs: ["p", "y", "z"],
  },
  {
    title: "activation layer on a requantized blob with other readers",
    text: `${conv("a", "x", "p", 6, "1=3 4=1 8=102")}\nReLU u 1 1 p q\n${conv("d", "q", "y", 6, "1=3 4=1 8=2")}\n${conv("e", "p", "z", 6, "1=1 8=2")}`,
    outputs: ["p", "q", "y", "z"],
  },
  {
    title: "global maximum of a requantized blob",
    text: `${conv("a", "x", "p", 6, "1=1 8=102")}\nPooling g 1 1 p q 0=0 4=1\nInnerProduct b 1 1 q y 0=4 1=1 8=2`,
  },
]);

describe("refusals", () => {
  const requantized = conv("a", "x", "p", 6, "1=1 8=102");
  it.each([
    ["float layers cannot read integers", `${requantized}\nAbsVal s 1 1 p y`, /int8 blob "p"/],
    ["integers are not reshaped", `${requantized}\nReshape s 1 1 p y 0=-1 1=6`, /int8 blob "p"/],
    [
      "integers are not flattened",
      `${requantized}\nFlatten s 1 1 p q\nInnerProduct b 1 1 q y 0=4 1=1 8=2`,
      /int8 blob "p"/,
    ],
    [
      "integers of different scales are not joined",
      `${requantized}\n${conv("b", "x", "q", 4, "1=1 8=102")}\nConcat c 2 1 p q y`,
      /int8 blob "p"/,
    ],
    ["Quantize with several scales", "Quantize q 1 1 x y 0=5", /Quantize "q"/],
    ["Requantize", "Requantize q 1 1 x y 0=1 1=1", /Requantize "q"/],
  ])("%s", async (_, text, message) => {
    const shapes = { x: [5, 7, 9] };
    const graph = graphOf(text, shapes);
    const { top_scale: scale } = graph.node("b")?.weights ?? {};
    if (scale) scale.data[0] = 17;
    await expect(runEngine(graph, randomInputs(shapes), int8Machines[0][1])).rejects.toThrow(message);
  });

  it("integers are not taken for an input's values", async () => {
    const graph = graphOf(conv("a", "x", "y", 6, "1=1 8=2"), { x: [5, 7, 9] });
    const x = { shape: [5, 7, 9], data: new Int8Array(5 * 7 * 9) };
    await expect(runEngine(graph, { x }, int8Machines[0][1])).rejects.toThrow(/input "x" is int8/);
  });
});
