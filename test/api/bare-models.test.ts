/** `.param` files of detectors as other tools leave them: what is made of them, and what is said about it. */
import { describe, expect, it } from "vitest";
import { parseParam } from "../../src/formats/ncnn/index.ts";
import { convert, isObject, type ModelParts, modelFiles, type OpenOptions, open } from "../../src/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import { startModel } from "../../src/open/model.ts";
import { printParam, writeWeights } from "../../src/steps.ts";

/** White in the cell (2, 5) of the grid of stride 8 only. */
const picture = {
  width: 64,
  height: 64,
  data: Uint8ClampedArray.from({ length: 64 * 64 * 4 }, (_, i) => {
    const [x, y] = [(i >> 2) % 64, Math.floor((i >> 2) / 64)];
    return x >= 16 && x < 24 && y >= 40 && y < 48 ? 255 : 0;
  }),
};
const facts: OpenOptions = { labels: ["white", "black"], size: 64 };
const center = { x: 20, y: 44 };

/**
 * Three levels with head convolutions `h0 h1 h2` of 3 anchors and 2 classes; the first anchor of the first level sees white
 * cells. `ends` are the layers behind them, with `N` for the number of the head.
 */
function detector(ends: string, headParams = "", levels = 3): ModelParts {
  const lines = ["Input images 0 1 images", "Convolution f0 1 1 images f0 0=1 1=8 3=8 6=192"];
  for (let n = 1; n < levels; n++) lines.push(`Pooling f${n} 1 1 f${n - 1} f${n} 0=1 1=2 2=2`);
  for (let n = 0; n < levels; n++) {
    lines.push(`Convolution h${n} 1 1 f${n} h${n} 0=21 1=1 5=1 6=21 ${headParams}`);
    if (ends) lines.push(...ends.replaceAll("N", String(n)).split("\n"));
  }
  const param = printParam(parseParam(`7767517\n${lines.length} 100\n${lines.join("\n")}\n`));
  const graph = parseParam(param);
  graph.node("f0")!.weights.weight = f32Weight(new Float32Array(192).fill(1 / 192));
  for (let n = 0; n < levels; n++) {
    const weight = new Float32Array(21);
    const bias = new Float32Array(21);
    for (let anchor = 0; anchor < 3; anchor++) bias.set([-20, 5, -5], anchor * 7 + 4);
    if (n === 0) {
      weight[4] = 10;
      bias[4] = -5;
    }
    graph.node(`h${n}`)!.weights = { weight: f32Weight(weight), bias: f32Weight(bias) };
  }
  return { param, bin: writeWeights(graph) };
}

const layout = "Reshape rN 1 1 hN rN 0=-1 1=7 2=3\nPermute pN 1 1 rN oN 0=1";

async function expectBox(
  parts: ModelParts,
  options = facts,
): Promise<{ assumptions: string[]; graph: Graph }> {
  const opened = await open(parts, options);
  const model = await startModel(opened, {});
  const found = (await model.detect(picture, { size: 64 })).filter(isObject);
  model.close();
  expect(found).toHaveLength(1);
  expect(found[0].label).toBe("white");
  expect(found[0].score).toBeCloseTo((1 / (1 + Math.exp(-5))) ** 2, 4);
  const { x, y, width, height } = found[0].box;
  expect([x + width / 2, y + height / 2, width, height]).toEqual([
    expect.closeTo(center.x, 3),
    expect.closeTo(center.y, 3),
    expect.closeTo(10, 3),
    expect.closeTo(13, 3),
  ]);
  return opened;
}

describe("heads that end", () => {
  const said = /^the outputs .* are the last convolutions of YOLOv5 heads with 3 anchors and 2 classes/;

  it("in the usual layout are left as they are", async () => {
    const { assumptions, graph } = await expectBox(detector(layout));
    expect(graph.nodes).toHaveLength(13);
    expect(assumptions.join()).not.toMatch(said);
  });

  it("in the convolution, as pnnx writes them", async () => {
    const { assumptions, graph } = await expectBox(detector(""));
    expect(assumptions[0]).toMatch(said);
    expect(assumptions[0]).not.toMatch(/cut off/);
    expect(graph.outputs).toEqual(["h0_head", "h1_head", "h2_head"]);
  });

  it.each([
    ["fixed sizes", "Reshape rN 1 1 hN rN 0=0 1=0 11=7 2=3"],
    ["an expression", 'Reshape rN 1 1 hN rN 6="0w,0h,7,3"'],
  ])("with anchors, rows, columns and values apart (%s), as training code leaves them", async (_, view) => {
    const { assumptions, graph } = await expectBox(detector(`${view}\nPermute pN 1 1 rN oN 0=3`));
    expect(assumptions[0]).toMatch(said);
    expect(graph.outputs).toEqual(["h0_head", "h1_head", "h2_head"]);
  });

  it("with other axes or numbers apart are none", async () => {
    const ends = [
      "Reshape rN 1 1 hN rN 0=0 1=0 11=3 2=7\nPermute pN 1 1 rN oN 0=3", // 7 anchors of 3 values
      "Reshape rN 1 1 hN rN 0=0 1=0 11=7 2=3\nPermute pN 1 1 rN oN 0=1",
      "Reshape rN 1 1 hN rN 0=0 1=0 11=7 2=3\nPermute pN 1 1 rN oN 0=3\nSigmoid zN 1 1 rN zN", // read by two
    ];
    for (const end of ends) expect((await open(detector(end), facts)).manifest.heads).toEqual([]);
  });

  it.each([
    [
      "a Sigmoid behind anchors, rows, columns and values",
      detector("Reshape rN 1 1 hN rN 0=0 1=0 11=7 2=3\nPermute pN 1 1 rN oN 0=3\nSigmoid sN 1 1 oN qN"),
    ],
    ["a Sigmoid behind the convolution", detector("Sigmoid sN 1 1 hN oN")],
    ["a sigmoid fused into the convolution", detector("", "9=4")],
    ["a Sigmoid behind the usual layout", detector(`${layout}\nSigmoid sN 1 1 oN qN`)],
  ])("in %s: it is not applied twice", async (_, parts) => {
    const { assumptions } = await expectBox(parts);
    expect(assumptions[0]).toMatch(/the sigmoid behind them is cut off/);
  });

  it("in a convolution whose Reshape has an expression", async () => {
    await expectBox(detector('Reshape rN 1 1 hN rN 6="*(0w,0h),7,3"\nPermute pN 1 1 rN oN 0=1'));
  });

  it("in one convolution, once the anchors are known", async () => {
    const one = detector("", "", 1);
    expect((await open(one, facts)).manifest.heads).toEqual([]);
    await expectBox(one, { ...facts, anchors: [[10, 13, 16, 30, 33, 23]] });
  });

  it("are converted to the usual layout", async () => {
    const opened = await open(detector("Sigmoid sN 1 1 hN oN"), facts);
    const { graph, manifest } = convert(opened);
    const files = modelFiles(graph, manifest);
    expect(String(files["model.param"])).not.toContain("Sigmoid");
    await expectBox({
      param: files[manifest.param],
      bin: files[manifest.bin] as Uint8Array,
      manifest,
    });
  });

  it.each([
    ["with outputs of other kinds", detector("", "").param as string, "Sigmoid z 1 1 f0 z"],
    [
      "with two convolutions on one grid",
      detector("").param as string,
      "Convolution z 1 1 f0 z 0=21 1=1 6=21",
    ],
    ["with other channels", detector("").param as string, "Convolution z 1 1 f2 z 0=24 1=1 6=24"],
  ])("%s are no heads", async (_, param, more) => {
    const text = param.replace(/^7767517\n(\d+) (\d+)/, (_all, n) => `7767517\n${Number(n) + 1} 100`);
    const opened = await open({ param: `${text.trimEnd()}\n${more}\n` }, { ...facts, weightsOptional: true });
    expect(opened.manifest.heads).toEqual([]);
    expect(opened.graph.nodes.some(({ type }) => type === "Permute")).toBe(false);
  });

  it("of channels that do not come to 3 anchors are asked about", async () => {
    const { manifest, assumptions } = await open(detector(""), { size: 64, labels: ["a", "b", "c"] });
    expect(manifest.heads).toEqual([]);
    expect(assumptions[0]).toMatch(/convolutions of 21 channels, .*give --anchors and --labels/);
  });
});

describe("a Reshape of fixed size", () => {
  const fixed = (side: number): ModelParts => {
    const parts = detector(layout);
    let n = 0;
    const cells = () => (side / (8 << n++)) ** 2;
    return { ...parts, param: String(parts.param).replaceAll("0=-1", () => `0=${cells()}`) };
  };

  it.each([640, 416, 96])("made at %i runs at another size", async (side) => {
    const { details } = await open(fixed(side), facts);
    expect(details).toEqual(["3 sizes of layers follow the input size"]);
    await expectBox(fixed(side));
    // The size is not known from the start, but asked for later.
    const model = await startModel(await open(fixed(side), { labels: facts.labels }), {});
    expect(await model.detect(picture, { size: 64 })).toHaveLength(1);
    model.close();
  });

  it("is kept where that is asked for", async () => {
    const { graph } = await open(fixed(640), { labels: facts.labels, keepSizes: true });
    expect(graph.node("r0")!.params.w).toBe(6400);
  });
});
