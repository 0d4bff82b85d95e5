/** Single convolutions and fully connected layers against the reference kernels, with a strict bound. */
import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { runReference } from "../../src/engine/reference/index.ts";
import { type Graph, paramsOf } from "../../src/ir/graph.ts";
import type { Shape, Tensor } from "../../src/ir/tensor.ts";
import { f32Weight, weightToFloat32 } from "../../src/ir/weight.ts";
import { ops } from "../../src/ops/index.ts";
import {
  epsilon,
  expectClose,
  floatMachines,
  graphOf,
  groupings,
  randomInputs,
  referenceTypes,
  runEngine,
} from "./harness.ts";

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
  const layers = groupings.flatMap(([group, inputs, outputs], i): Layer[] =>
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
