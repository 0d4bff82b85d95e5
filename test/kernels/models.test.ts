/**
 * What the engine makes of the real networks, and what they give, as hashes (goldens.ts). The machines that are planned for, and
 * the one that runs, are given: nothing depends on this one.
 */
import { afterAll, expect, test } from "vitest";
import { Random } from "../../src/base/random.ts";
import { compilePlan } from "../../src/engine/wasm/module.ts";
import { makePlan } from "../../src/engine/wasm/plan.ts";
import { Program } from "../../src/engine/wasm/program.ts";
import type { PlanTarget } from "../../src/engine/wasm/target.ts";
import { readNcnn } from "../../src/formats/ncnn/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Shape } from "../../src/ir/tensor.ts";
import { zoo } from "../../src/zoo/index.ts";
import { synthesize } from "../../src/zoo/weights.ts";
import { dataBytes, dataText, describeData } from "../data.ts";
import { int8Machines } from "../engine/harness.ts";
import { official } from "../zoo/_official.ts";
import { digest, Goldens, kernelGoldens, programDigest } from "./goldens.ts";

const [[, plain]] = int8Machines;
const relaxed: PlanTarget = {
  ...plain,
  relaxed: true,
  fusedMadd: true,
  signSelect: true,
  constantsInMemory: true,
  tiles: {
    ...plain.tiles,
    f32: { pixels: 6, vectors: 2 },
    relaxed: { pixels: 6, vectors: 2 },
    pairs: { pixels: 4, vectors: 2 },
  },
};
const machines: Readonly<Record<string, PlanTarget>> = {
  plain,
  pairs: { ...relaxed, dot: "i7", pairTop: 255 },
  unsigned: { ...relaxed, dot: "unsigned", threads: 4 },
};

interface Model {
  readonly name: string;
  /** Taken smaller where the network allows it. */
  readonly size: readonly [height: number, width: number];
  readonly make: () => Graph;
}

function stored(file: string, height = 96, width = 128): Model {
  const make = (): Graph => readNcnn(dataText(`${file}.param`), dataBytes(`${file}.bin`));
  return { name: file, size: [height, width], make };
}

const models: Model[] = [
  stored("models/yolov5ss"),
  stored("models/yolov5ss-int8"),
  stored("golden/off-kl-320"),
  stored("models/v5lite-e"),
  stored("models/v5lite-s"),
  stored("models/nanodet_m", 320, 320),
  stored("models/squeezenet_v1.1", 227, 227),
  stored("models/FastestDet"),
  stored("models/yolo-fastestv2-opt"),
  stored("models/real/nanodet-plus-coco-416"),
  stored("models/real/yolo-fastest-1.1"),
  stored("models/real/yolox-nano"),
  stored("trials/softmax-int8/int8/softmax-int8", 32, 32),
];

const goldens = new Goldens("models");
afterAll(() => goldens.write());

async function check(name: string, graph: Graph, shape: Shape): Promise<void> {
  const [input] = graph.inputs;
  const shapes = { [input]: shape };
  for (const [machine, target] of Object.entries(machines)) {
    const plan = makePlan(graph, shapes, graph.outputs, target);
    const compiled = compilePlan(plan, target);
    const kernels = kernelGoldens([plan]);
    const value = `${compiled.bytes.length} ${programDigest(plan, compiled)} ${kernels}`;
    goldens.check(`${name}:${machine}`, value, `the program of ${name} for ${machine}`);
  }
  const inputs = { [input]: { shape, data: new Random(3).floats(shape.reduce((a, b) => a * b, 1)) } };
  const program = await Program.make(graph, shapes, graph.outputs, plain);
  const found = Object.entries(program.run(inputs)).map(([blob, { data }]) => {
    expect(data.every(Number.isFinite), blob).toBe(true);
    return `${blob} ${data.length} ${digest(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))}`;
  });
  goldens.check(`${name}:outputs`, found.join(" "), `the outputs of ${name}`);
}

describeData("real networks", () => {
  test.each(models)("$name", async ({ name, size, make }) => {
    await check(name, make(), [3, ...size]);
  });
});

describeData("official networks with invented weights", () => {
  const names = zoo.map((network) => network.name).filter((name) => !/_(320|416|640)/.test(name));
  test.each(names)("%s", { timeout: 300_000 }, async (name) => {
    const { graph, size } = official(name);
    const shape: Shape = [3, size, size];
    synthesize(graph, { [graph.inputs[0]]: shape });
    await check(name, graph, shape);
  });
});
