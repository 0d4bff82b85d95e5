/** Plans as records: what becomes a step and what does not, and who lies where in memory. */
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { Arena } from "../../src/engine/arena.ts";
import { compilePlan } from "../../src/engine/wasm/module.ts";
import { makePlan } from "../../src/engine/wasm/plan.ts";
import type { Plan, PlanBuffer } from "../../src/engine/wasm/records.ts";
import { readNcnn } from "../../src/formats/ncnn/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Shape } from "../../src/ir/tensor.ts";
import type { ConvolutionSpec } from "../../src/kernels/wasm/index.ts";
import { dataBytes, dataText, describeData } from "../data.ts";
import { floatMachines, graphOf, int8Machines } from "./harness.ts";

const plain = floatMachines[0][1];
const planOf = (text: string, shapes: Record<string, Shape>, target = plain, outputs?: string[]): Plan => {
  const graph = graphOf(text, shapes);
  return makePlan(graph, shapes, outputs ?? graph.outputs, target);
};
const labels = ({ steps }: Plan): string[] => steps.map(({ label }) => label);
const nodes = ({ steps }: Plan): string[] => steps.map((step) => step.nodes.join("+"));
/** Runs of memory that each convolution sums over. */
const segments = ({ steps }: Plan): number[] =>
  steps
    .filter(({ label }) => label.startsWith("conv"))
    .map(({ label }) => Number(/ seg(\d+)/.exec(label)?.[1] ?? 1));

/** Two shuffle units of stride 1 behind a stem. */
const shuffleUnits = `
Convolution stem 1 1 x s 0=16 1=3 3=2 4=1 5=1 9=1
Slice z1 1 2 s m1 n1 -23300=2,8,-233
Convolution r1 1 1 n1 c1 0=8 1=1 5=1 9=1
ConvolutionDepthWise e1 1 1 c1 f1 0=8 7=8 1=3 4=1 5=1
Convolution t1 1 1 f1 g1 0=8 1=1 5=1 9=1
Concat k1 2 1 m1 g1 h1
ShuffleChannel u1 1 1 h1 o1 0=2
Crop y2 1 1 o1 m2 -23309=1,0 -23310=1,8 -23311=1,0
Crop z2 1 1 o1 n2 -23309=1,8 -23310=1,-233 -23311=1,0
Convolution r2 1 1 n2 c2 0=8 1=1 5=1
ReLU a2 1 1 c2 d2
ConvolutionDepthWise e2 1 1 d2 f2 0=8 7=8 1=3 4=1 5=1
Convolution t2 1 1 f2 g2 0=8 1=1 5=1 9=1
Concat k2 2 1 m2 g2 h2
ShuffleChannel u2 1 1 h2 o2 0=2
Convolution end 1 1 o2 y 0=12 1=1 5=1`;

describe("a plan", () => {
  it("has no step for Slice, Crop, Concat and ShuffleChannel", () => {
    const plan = planOf(shuffleUnits, { x: [3, 16, 24] });
    expect(nodes(plan)).toEqual(
      ["", "stem", "r1", "e1", "t1", "r2+a2", "e2", "t2", "end", "", ""].slice(0, plan.steps.length),
    );
    expect(
      labels(plan)
        .slice(0, 9)
        .map((label) => label.split(" ")[0]),
    ).toEqual(["import", "conv", "conv", "depthwise", "conv", "conv", "depthwise", "conv", "conv"]);
    // What follows writes the output in ncnn's layout.
    expect(
      labels(plan)
        .slice(9)
        .every((label) => /^(gather|copy)/.test(label)),
    ).toBe(true);
    const moved = plan.steps.filter(({ label }) => /^(gather|copy|import)/.test(label));
    expect(moved.length).toBeLessThanOrEqual(3);
  });

  it("reads moved channels as few runs of memory", () => {
    const plan = planOf(shuffleUnits, { x: [3, 16, 24] });
    // stem: a tap each, three channels not being a vector; r1: half of the stem; r2: halves of two blobs, each in one piece; end: all there is.
    expect(segments(plan)).toEqual([9, 1, 1, 2, 1, 3]);
  });

  it("names what a step does", () => {
    const plan = planOf(shuffleUnits, { x: [3, 16, 24] });
    expect(labels(plan)).toEqual(
      expect.arrayContaining(["import 3 24x16", "conv f32 8>8 12x8", "depthwise f32 3x3 8 12x8"]),
    );
    expect(labels(plan)[1]).toMatch(/^conv f32 3x3s2 3>16 12x8 seg9/);
    expect(plan.steps[1].macs).toBe(16 * 3 * 9 * 12 * 8);
  });

  it("takes activations and residuals into convolutions", () => {
    const text = `
Convolution a 1 1 x p 0=8 1=1 5=1
HardSwish b 1 1 p q
Convolution c 1 1 q r 0=8 1=3 4=1 5=1
BinaryOp d 2 1 r q s
ReLU e 1 1 s t
Pooling f 1 1 t y 0=1 4=1`;
    expect(nodes(planOf(text, { x: [4, 6, 6] })).filter(Boolean)).toEqual(["a+b", "c+d+e", "f"]);
    // A blob that is asked for is made as it is.
    const whole = planOf(text, { x: [4, 6, 6] }, plain, ["y", "p", "s"]);
    expect(nodes(whole).filter(Boolean)).toEqual(["a", "b", "c+d", "e", "f"]);
  });

  it("leaves out what nobody asks for", () => {
    const text =
      "Convolution a 1 1 x p 0=8 1=1\nConvolution b 1 1 p y 0=4 1=1\nConvolution c 1 1 p z 0=4 1=1";
    expect(nodes(planOf(text, { x: [4, 6, 6] }, plain, ["z"])).filter(Boolean)).toEqual(["a", "c"]);
    expect(planOf(text, { x: [4, 6, 6] }, plain, []).steps).toEqual([]);
  });

  it("quantizes where a value is made, once for each scale", () => {
    const text = `
Convolution a 1 1 x p 0=8 1=1 5=1 9=1
Convolution b 1 1 p y 0=4 1=3 4=1 8=2
Convolution c 1 1 p z 0=4 1=1 8=2
Convolution d 1 1 p w 0=4 1=1`;
    const graph = graphOf(text, { x: [4, 6, 6] });
    const scale = (node: string, value: number): void => {
      graph.node(node)!.weights.bottom_scale.data[0] = value;
    };
    const copies = (outputs: string[]): string[] =>
      makePlan(graph, { x: [4, 6, 6] }, outputs, int8Machines[0][1])
        .buffers.filter(({ name }) => name === "p")
        .map(({ dtype }) => dtype);
    scale("b", 20);
    scale("c", 20);
    expect(copies(["y", "z"])).toEqual(["i8"]);
    expect(copies(["y", "z", "w"])).toEqual(["f32", "i8"]);
    scale("c", 30);
    expect(copies(["y", "z"])).toEqual(["i8", "i8"]);
  });

  it("chains pairs of products where weights are small", () => {
    const text = "Convolution a 1 1 x p 0=8 1=1 9=1\nConvolution b 1 1 p y 0=8 1=1 8=2";
    const target = int8Machines.find(([name]) => name === "i7 pairs, emulated")![1];
    const specs = (weightLimit: number): ConvolutionSpec[] => {
      const graph = graphOf(text, { x: [4, 6, 6] }, { weightLimit });
      return makePlan(graph, { x: [4, 6, 6] }, ["y"], target).steps.flatMap(({ calls }) =>
        calls.flatMap(({ spec }) => (spec.kind === "convolution" && spec.dot !== "f32" ? [spec] : [])),
      );
    };
    expect(specs(3)).toMatchObject([{ dot: "pairs" }]);
    expect(specs(3)[0].chain).toBeGreaterThan(1);
  });
});

// ---- memory

interface Place {
  readonly address: number;
  readonly byteLength: number;
  readonly first: number;
  readonly last: number;
  readonly pool?: string;
}

/** The first two places that are in use at one time and overlap, or where something was written into a pool's border. */
function conflict(places: readonly Place[]): string | undefined {
  const sorted = [...places].sort((a, b) => a.address - b.address);
  for (const [i, a] of sorted.entries()) {
    for (const b of sorted.slice(i + 1)) {
      if (b.address >= a.address + a.byteLength) break;
      const together = a.first <= b.last && b.first <= a.last;
      if (together || a.pool !== b.pool) return `${JSON.stringify(a)} and ${JSON.stringify(b)}`;
      // Buffers without border may follow each other anywhere.
    }
  }
  return undefined;
}

test("more memory than there are addresses is refused before anything is allocated", () => {
  const text = "Interp r 1 1 x y 0=1 3=20000 4=20000\nReLU q 1 1 y z\nInterp t 1 1 z u 0=1 3=2 4=2";
  expect(() => planOf(text, { x: [1, 4, 4] })).toThrow(/needs \d+ MiB of memory at this input size/);
});

test("steps that are never taken may be any number", () => {
  const most = 2 ** 31 - 1;
  const compile = (text: string, shape: Shape) => () => compilePlan(planOf(text, { x: shape }), plain);
  expect(compile(`Convolution c 1 1 x y 0=4 1=3 3=${most}`, [3, 4, 4])).not.toThrow();
  expect(compile(`Convolution c 1 1 x y 0=4 1=1 2=${most}`, [3, 4, 4])).not.toThrow();
  expect(compile(`Deconvolution c 1 1 x y 0=4 1=1 3=${most}`, [3, 1, 1])).not.toThrow();
});

describe("the arena", () => {
  const request = fc.record({ size: fc.integer({ min: 1, max: 4000 }), life: fc.nat(9), pool: fc.nat(5) });
  it("never gives one place to two buffers that live together", () => {
    fc.assert(
      fc.property(
        fc.array(request, { maxLength: 60 }),
        fc.integer({ min: 0, max: 64 }),
        (requests, slack) => {
          const arena = new Arena(64, slack);
          const places = requests.map(({ size, life, pool }, first): Place => {
            // Half of the buffers are in no pool; all of one pool are equally large.
            const name = pool < 3 ? `${pool}` : undefined;
            const byteLength = name === undefined ? size : 100 * (pool + 1);
            const address = arena.allocate(byteLength, first, first + life, name);
            return { address, byteLength: byteLength + slack, first, last: first + life, pool: name };
          });
          expect(conflict(places)).toBeUndefined();
          for (const { address, byteLength } of places) {
            expect(address % 64).toBe(0);
            expect(address).toBeGreaterThanOrEqual(64);
            expect(address + byteLength).toBeLessThanOrEqual(arena.end);
          }
        },
      ),
      { numRuns: 300, seed: 3 },
    );
  });

  it("uses memory again", () => {
    const arena = new Arena(0, 0);
    const addresses = [0, 1, 2, 3, 4, 5].map((step) => arena.allocate(640, step, step + 1));
    expect(new Set(addresses).size).toBe(2);
    const pooled = [6, 7, 8, 9].map((step) => arena.allocate(640, step, step + 1, "border"));
    expect(new Set(pooled).size).toBe(2);
  });
});

/** A border belongs to pictures of one kind only: those whose memory looks alike. */
const placesOf = ({ buffers }: Plan): Place[] =>
  buffers.map((buffer: PlanBuffer) => ({
    ...buffer,
    pool: buffer.bordered ? `${buffer.byteLength}` : undefined,
  }));

describeData("real networks", () => {
  const load = (folder: string, model: string): Graph =>
    readNcnn(dataText(`${folder}/${model}.param`), dataBytes(`${folder}/${model}.bin`));
  const models = [
    ["models", "yolov5ss"],
    ["models", "yolov5ss-int8"],
    ["golden", "off-kl-320"],
    ["models", "nanodet_m"],
    ["models", "squeezenet_v1.1"],
    ["models", "v5lite-s"],
    ["models", "FastestDet"],
  ];
  it.each(models)("%s/%s: no two values in one place", (folder, model) => {
    const graph = load(folder, model);
    const shapes = { [graph.inputs[0]]: [3, 96, 128] };
    for (const [name, target] of int8Machines) {
      const plan = makePlan(graph, shapes, graph.outputs, target);
      expect(conflict(placesOf(plan)), name).toBeUndefined();
      const sum = plan.buffers.reduce((bytes, { byteLength }) => bytes + byteLength, 0);
      const end = Math.max(...plan.buffers.map(({ address, byteLength }) => address + byteLength));
      expect(end, name).toBeLessThan(sum * 0.75);
      expect(
        plan.steps.every((step) => !step.reference),
        name,
      ).toBe(true);
    }
  });

  it("yolov5ss at 640 needs no more than 100 MB", () => {
    const graph = load("models", "yolov5ss");
    const { memoryBytes } = makePlan(graph, { [graph.inputs[0]]: [3, 640, 640] }, graph.outputs, plain);
    expect(memoryBytes).toBeLessThan(100e6);
  });
});
