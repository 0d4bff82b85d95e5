/** The webgpu backend in Chromium, on its software adapter: every kind of step, and the size of what a page fetches for it. */
import path from "node:path";
import { gzipSync } from "node:zlib";
import { build, type Rollup } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runReference } from "../../src/engine/reference/index.ts";
import { printParam, writeWeights } from "../../src/formats/ncnn/index.ts";
import type { Shape, Tensor } from "../../src/ir/tensor.ts";
import { expectLike } from "../engine/gpu.ts";
import { gpuNetworks } from "../engine/gpu-networks.ts";
import { graphOf, randomInputs } from "../engine/graph-of.ts";
import { canRun, startBrowser, type TestBrowser } from "./page.ts";

/** What crosses to the page and back: numbers as lists. */
type Plain = Record<string, { shape: Shape; data: number[]; isInteger?: boolean }>;

const compute = `async ({ param, bin, inputs }) => {
  const { readNcnn } = await import("/dist/formats/ncnn/index.js");
  const { createSession } = await import("/dist/engine/session.js");
  const graph = readNcnn(param, new Uint8Array(bin));
  const session = await createSession(graph, { backend: "webgpu" });
  const tensors = Object.entries(inputs).map(([blob, { shape, data }]) => [blob, { shape, data: Float32Array.from(data) }]);
  const outputs = Object.entries(await session.run(Object.fromEntries(tensors)));
  session.close();
  const plain = outputs.map(([blob, { shape, data }]) => [blob, { shape, data: [...data], isInteger: data instanceof Int8Array }]);
  return { fallback: session.fallback, outputs: Object.fromEntries(plain) };
}`;

const tensorOf = ({ shape, data, isInteger }: Plain[string]): Tensor => ({
  shape,
  data: isInteger ? Int8Array.from(data) : Float32Array.from(data),
});

describe.skipIf(!canRun)("webgpu in Chromium", () => {
  let browser: TestBrowser;
  let page: Awaited<ReturnType<TestBrowser["open"]>>;
  beforeAll(async () => {
    browser = await startBrowser([
      "--enable-unsafe-webgpu",
      "--use-webgpu-adapter=swiftshader",
      "--enable-features=Vulkan",
    ]);
    page = await browser.open("/plain");
  });
  afterAll(() => browser?.close());

  it.each(gpuNetworks)("%s", async (_, text, shapes) => {
    const graph = graphOf(text, shapes);
    const inputs = randomInputs(shapes);
    const expected = runReference(graph, inputs);
    const plain: Plain = Object.fromEntries(
      Object.entries(inputs).map(([blob, { shape, data }]) => [blob, { shape, data: [...data] }]),
    );
    const sent = { param: printParam(graph), bin: [...writeWeights(graph)], inputs: plain };
    const answer = await page.evaluate(`(${compute})(${JSON.stringify(sent)})`);
    const { fallback, outputs } = answer as { fallback?: string; outputs: Plain };
    expect(fallback).toBeUndefined();
    for (const [blob, value] of Object.entries(expected)) expectLike(tensorOf(outputs[blob]), value, blob);
  });
});

it("a page that never asks for it does not fetch it, and one that does fetches 40 kB at most", async () => {
  const built = await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      minify: true,
      lib: { entry: path.resolve(import.meta.dirname, "../../src/index.ts"), formats: ["es"] },
    },
  });
  const [{ output }] = built as Rollup.RollupOutput[];
  const chunks = output.filter((one) => one.type === "chunk");
  const shaders = chunks.filter(({ code }) => code.includes("@workgroup_size"));
  expect(shaders.map(({ isEntry }) => isEntry)).toEqual([false]);
  expect(gzipSync(shaders[0].code).length).toBeLessThan(40_000);
});
