/** export, simplify and the official tools' command lines, on a small model from checkpoint-like graph to int8 files. */
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { encodePicture, modelFiles, open, type Picture } from "../../src/node.ts";
import { put, run, temporaryFolder, tinyModel } from "./_run.ts";

const folder = temporaryFolder();
const at = (name: string): string => path.join(folder, name);
let model = "";

beforeAll(async () => {
  const { graph, manifest } = tinyModel();
  put(folder, modelFiles(graph, manifest));
  model = at("tiny.json");
  const names: string[] = [];
  for (const [i, level] of [40, 120, 250].entries()) {
    const picture: Picture = {
      width: 48,
      height: 40,
      channels: 3,
      data: new Uint8Array(48 * 40 * 3).fill(level),
    };
    names.push(put(folder, { [`p${i}.png`]: await encodePicture(picture, "p.png") }));
  }
  writeFileSync(at("list.txt"), `${names.join("\n")}\n`);
});

describe("the chain of official tools", () => {
  it("export, simplify: ONNX that is read back with heads, anchors and labels", async () => {
    expect((await run("export", model, "-o", at("t.onnx"))).code).toBe(0);
    const simplified = await run("simplify", at("t.onnx"), at("s.onnx"));
    expect(simplified.code).toBe(0);
    const [before, after] = [await open(model), await open(at("s.onnx"))];
    expect(after.manifest.labels).toEqual(before.manifest.labels);
    const facts = ({ manifest }: typeof before): unknown =>
      manifest.heads.map((head) => ({ ...head, blob: undefined }));
    expect(facts(after)).toEqual(facts(before));
  });
  it("onnx2ncnn, ncnnoptimize, ncnn2table, ncnn2int8, ncnn2mem", async () => {
    expect((await run("onnx2ncnn", at("s.onnx"), at("a.param"), at("a.bin"))).code).toBe(0);
    const optimized = await run(
      "ncnnoptimize",
      at("a.param"),
      at("a.bin"),
      at("b.param"),
      at("b.bin"),
      "65536",
    );
    expect(optimized.code).toBe(0);
    expect(statSync(at("b.bin")).size).toBeLessThan(statSync(at("a.bin")).size);
    const keys = [
      "mean=[0,0,0]",
      "norm=[0.0039,0.0039,0.0039]",
      "shape=[64,64,3]",
      "pixel=RGB",
      "thread=1",
      "method=kl",
    ];
    const table = await run("ncnn2table", at("b.param"), at("b.bin"), at("list.txt"), at("b.table"), ...keys);
    expect(table.code).toBe(0);
    expect(readFileSync(at("b.table"), "utf8")).toMatch(/_param_0 (inf |[\d.]+ )+\n/);
    const int8 = await run(
      "ncnn2int8",
      at("b.param"),
      at("b.bin"),
      at("q.param"),
      at("q.bin"),
      at("b.table"),
    );
    expect(int8.code).toBe(0);
    expect(readFileSync(at("q.param"), "utf8")).toMatch(/^Convolution .* 8=2/m);
    expect((await run("ncnn2mem", at("q.param"), at("q.bin"), at("q.id.h"), at("q.mem.h"))).code).toBe(0);
    expect(readFileSync(at("q.id.h"), "utf8")).toContain("namespace");
  });
  it.each([
    ["onnx2ncnn"],
    ["ncnnoptimize", "a", "b"],
    ["ncnn2table", "a"],
    ["ncnn2int8", "a", "b"],
    ["ncnnmerge", "a"],
    ["ncnn2mem", "a"],
  ])("%s with too few arguments: usage, misused", async (...args) => {
    const { code, err } = await run(...args);
    expect(code).toBe(2);
    expect(err).toMatch(/usage/i);
  });
  it("files that are not there or not what they should be fail with one clear line and leave nothing", async () => {
    const missing = await run("onnx2ncnn", at("none.onnx"), at("x.param"), at("x.bin"));
    expect(missing.code).toBe(1);
    expect(missing.err).toContain("none.onnx");
    writeFileSync(at("broken.onnx"), readFileSync(at("s.onnx")).subarray(0, 200));
    const broken = await run("onnx2ncnn", at("broken.onnx"), at("x.param"), at("x.bin"));
    expect(broken.code).toBe(1);
    expect(existsSync(at("x.param"))).toBe(false);
  });
});
