/** What becomes of int8 networks that do not do what the float one does: `quantize` and `deploy` protect or refuse them. */
import { mkdirSync, readdirSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { type Manifest, modelFiles } from "../../src/index.ts";
import { Graph } from "../../src/ir/graph.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import { open } from "../../src/node.ts";
import { dataPath, testData } from "../data.ts";
import { png, put, run, temporaryFolder, tinyModel } from "./_run.ts";

const folder = temporaryFolder();
const sub = (name: string): string => {
  const created = path.join(folder, name);
  mkdirSync(created, { recursive: true });
  return created;
};
const photos = sub("images");
for (let i = 0; i < 10; i++) {
  const [x, y] = [8 * (i % 7), 8 * ((3 * i) % 8)];
  put(photos, { [`p${i}.png`]: png(64, 64, (u, v) => u >= x && u < x + 8 && v >= y && v < y + 8) });
}

const convolution = (name: string, from: string, rows: readonly (readonly number[])[], group = 1) => ({
  type: group > 1 ? "ConvolutionDepthWise" : "Convolution",
  name,
  inputs: [from],
  outputs: [`${name}_out`],
  params: {
    ...{ num_output: rows.length, kernel_w: 1, weight_data_size: rows.flat().length },
    ...(group > 1 && { group }),
  },
  weights: { weight: f32Weight(rows.flat()) },
});

/**
 * Beside the three channels of the picture a fourth, `factor` times as great, whose single scale leaves nothing of the others; one layer
 * of little work reads them and makes the fourth small.
 */
function outlier(graph: Graph, factor: number): string {
  const picture = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ];
  graph.add({ type: "Input", name: "images", outputs: ["images"] });
  graph.add(convolution("spread", "images", [...picture, [factor, 0, 0]]));
  graph.add(convolution("mix", "spread_out", [[1], [1], [1], [1 / factor]], 4));
  return "mix_out";
}

/** The detector of white squares behind it. */
function detector(factor: number): string {
  const { graph: tiny, manifest } = tinyModel("squares");
  const graph = new Graph();
  const from = outlier(graph, factor);
  const head = tiny.node("head")!;
  const old = head.weights.weight.data as Float32Array;
  const rows = 21;
  const weights = new Float32Array((old.length / 3) * 4);
  for (let row = 0; row < rows; row++) weights.set(old.subarray(row * 192, row * 192 + 192), row * 256);
  const params = { ...head.params, weight_data_size: weights.length };
  graph.add({ ...head, inputs: [from], params, weights: { ...head.weights, weight: f32Weight(weights) } });
  for (const node of tiny.nodes.slice(2)) graph.add(node);
  return path.join(write(`squares-${factor}`, graph, manifest), "squares.json");
}

/** Not a detector: where the white is, left or right, as two probabilities. */
function classifier(factor: number): string {
  const { manifest } = tinyModel("sides");
  const graph = new Graph();
  const from = outlier(graph, factor);
  const side = (right: boolean): number[] =>
    Array.from({ length: 4 * 64 * 64 }, (_, i) => (i < 4096 && i % 64 >= 32 === right ? 0.1 : 0));
  graph.add({
    type: "InnerProduct",
    name: "sides",
    inputs: [from],
    outputs: ["logits"],
    params: { num_output: 2, weight_data_size: 2 * 4 * 64 * 64 },
    weights: { weight: f32Weight([...side(false), ...side(true)]) },
  });
  graph.add({ type: "Softmax", name: "prob", inputs: ["logits"], outputs: ["prob"] });
  return path.join(write(`sides-${factor}`, graph, { ...manifest, heads: [], labels: [] }), "sides.json");
}

function write(name: string, graph: Graph, manifest: Manifest): string {
  const out = sub(name);
  put(out, modelFiles(graph, manifest));
  return out;
}

async function tableOf(model: string): Promise<string> {
  const table = `${model}.table`;
  const { code, err } = await run("calibrate", model, "--images", photos, "--method", "minmax", "-o", table);
  expect(code, err).toBe(0);
  return table;
}

const quantize = async (model: string, out: string, ...more: string[]) =>
  run("quantize", model, "--table", await tableOf(model), "-o", out, ...more);

test("a network that int8 destroys: refused with what is wrong and what would help, and nothing written", async () => {
  const model = detector(1000);
  const out = sub("refused");
  const { code, err } = await quantize(model, out, "--calib", photos, "--budget-time", "0%");
  expect(code, err).toBe(1);
  expect(readdirSync(out)).toEqual([]);
  const [message] = err.split("\n").filter((line) => line.startsWith("error:"));
  expect(message).toMatch(
    /squares\.json: int8 does not do what the float network does: on 10 calibration pictures/,
  );
  expect(message).toMatch(/with 10 objects fidelity is [\d.]+ \(at least 70\), with all layers in int8; /);
  expect(message).toMatch(/the most sensitive layers are mix, /);
  expect(message).toMatch(/1 layer in float \([34](\.\d)? % of the work\) would do: --keep-float mix;/);
  expect(message).toContain("--force writes the files all the same");
});

test("with --force it is written, with a warning", async () => {
  const out = sub("forced");
  const args = ["--calib", photos, "--budget-time", "0%", "--force"];
  const { code, err } = await quantize(detector(1000), out, ...args);
  expect(code, err).toBe(0);
  expect(err).toMatch(/^warning: int8 does not do what the float network does/m);
  expect(readdirSync(out)).toHaveLength(4);
});

test("within the budget the layer that matters stays float, and the manifest has the figures", async () => {
  const out = sub("protected");
  const { code, err, out: json } = await quantize(detector(1000), out, "--calib", photos, "--json");
  expect(code, err).toBe(0);
  const { quantization } = JSON.parse(json);
  expect(quantization.keptFloat).toEqual([
    {
      name: "mix",
      reason: expect.stringContaining("number 1 of 3 in sensitivity, within the budget of 10 %"),
    },
  ]);
  const { guard } = (await open(path.join(out, "squares-int8.json"))).manifest.quantization ?? {};
  expect(guard).toEqual(quantization.guard);
  expect(guard).toMatchObject({ images: 10, objects: 10, floatWork: expect.closeTo(0.037, 2) });
  expect(guard?.before.parts.map(({ name }) => name)).toEqual(["box", "objectness", "class"]);
  expect(guard?.before.fidelity).toBeLessThan(0.3);
  expect(guard?.after.fidelity).toBeGreaterThan(0.92);
  expect(err).toMatch(/warning: With all layers in int8, fidelity .* with 1 layer in float/);
});

test("a healthy network passes without a word, and without pictures it is said that nothing was checked", async () => {
  const model = detector(1);
  const checked = await quantize(model, sub("healthy"), "--calib", photos);
  expect(checked).toMatchObject({ code: 0, err: expect.not.stringMatching(/fidelity/) });
  expect(checked.err).toContain("3 layers int8, 0 float");
  const unchecked = await quantize(detector(1000), sub("unchecked"));
  expect(unchecked).toMatchObject({
    code: 0,
    err: expect.stringContaining("nothing was checked: give pictures"),
  });
});

test("--plain is measured, and changes no layer", async () => {
  const { code, err } = await quantize(detector(1000), sub("plain"), "--calib", photos, "--plain");
  expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining("with all layers in int8") });
});

test("a network that is no detector is judged by its outputs", async () => {
  const healthy = await quantize(classifier(1), sub("sides"), "--calib", photos, "--json");
  expect(healthy.code, healthy.err).toBe(0);
  const { guard } = JSON.parse(healthy.out).quantization;
  expect(guard.objects).toBeUndefined();
  expect(guard.after.outputs).toEqual([
    { name: "prob", sqnr: expect.any(Number), cosine: expect.closeTo(1, 1) },
  ]);
  const broken = await quantize(
    classifier(1000),
    sub("sides-broken"),
    "--calib",
    photos,
    "--budget-time",
    "0%",
  );
  expect(broken).toMatchObject({ code: 1, err: expect.stringContaining('"prob" has cosine') });
  const kept = await quantize(classifier(1000), sub("sides-kept"), "--calib", photos, "--json");
  expect(kept.code, kept.err).toBe(1); // the first layers are more than a tenth of the work
});

test("deploy: the same guard", async () => {
  const model = detector(1000);
  const args = ["--calib", photos, "--eval", photos, "--method", "minmax"];
  const out = path.join(folder, "deployed");
  const refused = await run("deploy", model, ...args, "--budget-time", "0%", "-o", out);
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining("int8 does not do what") });
  expect(readdirSync(folder)).not.toContain("deployed");
  const kept = await run("deploy", model, ...args, "-o", out, "--json");
  expect(kept.code, kept.err).toBe(0);
  const { guard, quantization } = JSON.parse(kept.out);
  expect(quantization.keptFloat.map(({ name }: { name: string }) => name)).toEqual(["mix"]);
  expect(guard).toEqual(quantization.guard);
});

testData("picodet_s: its boxes are kept", { timeout: 300_000 }, async () => {
  const model = dataPath("models/real/picodet_s_320.onnx");
  const few = [
    "--calib",
    dataPath("coco/images/train2017"),
    "--limit",
    "8",
    "--size",
    "192",
    "--method",
    "minmax",
  ];
  const { code, err, out } = await run(
    "deploy",
    model,
    ...few,
    "--json",
    "-o",
    path.join(sub("picodet"), "out"),
  );
  expect(code, err).toBe(0);
  const { guard } = JSON.parse(out).quantization;
  expect(guard.before.fidelity).toBeLessThan(0.5);
  expect(guard.after.fidelity).toBeGreaterThan(0.7);
  expect(guard.floatWork).toBeLessThanOrEqual(0.1);
});
