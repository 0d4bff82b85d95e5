/** bench, profile and compare as a user runs them. */
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { encodePicture, modelFiles, type Picture } from "../../src/node.ts";
import { put, run, temporaryFolder, tinyModel } from "./_run.ts";

const folder = temporaryFolder();
let model = "";
let picture = "";

beforeAll(async () => {
  const { graph, manifest } = tinyModel();
  put(folder, modelFiles(graph, manifest));
  model = path.join(folder, "tiny.json");
  const pixels: Picture = { width: 64, height: 64, channels: 3, data: new Uint8Array(64 * 64 * 3).fill(200) };
  picture = put(folder, { "grey.png": await encodePicture(pixels, "grey.png") });
});

describe("bench", () => {
  it("prints a line in the manner of benchncnn, and what it was measured on", async () => {
    const { code, out } = await run("bench", model, "--loops", "3");
    expect(code).toBe(0);
    expect(out).toMatch(
      /tiny {2}min = +[\d.]+ {2}max = +[\d.]+ {2}avg = +[\d.]+ {2}median = +[\d.]+ {2}\(\d+x\d+, 3 loops/,
    );
    expect(out).toMatch(/runtime +Node/);
    expect(out).toMatch(/first result after \d+ ms/);
  });
  it("--json has the same figures, in order", async () => {
    const { code, out } = await run("bench", model, "--int8", model, "--loops", "2", "--json");
    expect(code).toBe(0);
    const { rows, peakBytes } = JSON.parse(out);
    expect(rows).toHaveLength(2);
    expect(rows[0].min).toBeGreaterThan(0);
    expect(rows[0].min).toBeLessThanOrEqual(rows[0].median);
    expect(rows[0].median).toBeLessThanOrEqual(rows[0].max);
    expect(peakBytes).toBeGreaterThan(1e6);
  });
  it("runs the reference backend too", async () => {
    const { code, out } = await run("bench", model, "--backend", "reference", "--loops", "1", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out).rows[0].memoryBytes).toBe(0);
  });
  it.each([["--loops", "0"], ["--loops", "x"], ["--size", "-3"], ["--nonsense"]])(
    "misused: %s %s",
    async (...args) => {
      expect((await run("bench", model, ...args)).code).toBe(2);
    },
  );
});

describe("profile", () => {
  it("lists steps with kernels, and the rest that no step explains", async () => {
    const { code, out } = await run("profile", model, "--loops", "3");
    expect(code).toBe(0);
    expect(out).toMatch(/conv f32 8x8s8 3>21/);
    expect(out).toMatch(/not explained by a step/);
  });
  it("--plan prints the steps and the memory", async () => {
    const { code, out } = await run("profile", model, "--plan");
    expect(code).toBe(0);
    expect(out).toMatch(/import 3 /);
    expect(out).toMatch(/memory \d+ kB/);
  });
  it("--json is a record of steps", async () => {
    const { out } = await run("profile", model, "--loops", "2", "--json");
    const { steps, total } = JSON.parse(out);
    expect(steps.length).toBeGreaterThan(1);
    expect(total).toBeGreaterThan(0);
  });
});

describe("compare", () => {
  it("one model: engine against reference, all blobs near or equal", async () => {
    const { code, out } = await run("compare", model, "--input", picture, "--json");
    expect(code).toBe(0);
    const rows = JSON.parse(out);
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) expect(row.maxAbs).toBeLessThan(1e-4);
  });
  it("finds the layer at which a model was changed", async () => {
    const { graph, manifest } = tinyModel("changed");
    const conv = graph.nodes.find((node) => node.type === "Convolution")!;
    const bias = Float32Array.from(conv.weights.bias.data);
    bias[3] += 0.5;
    conv.weights = { ...conv.weights, bias: { storage: "f32", data: bias } };
    put(folder, modelFiles(graph, manifest));
    const changed = path.join(folder, "changed.json");
    const { code, out } = await run("compare", model, changed, "--input", picture, "--json");
    expect(code).toBe(0);
    const [worst] = JSON.parse(out).filter((row: { type: string }) => row.type === "Convolution");
    expect(worst.maxAbs).toBeCloseTo(0.5, 4);
    expect(worst.worstChannel.channel).toBe(3);
  });
  it("without a picture it says what to give", async () => {
    const { code, err } = await run("compare", model);
    expect(code).toBe(2);
    expect(err).toMatch(/--input .*--images/);
  });
});
