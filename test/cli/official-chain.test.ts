/** The official tools on a real checkpoint, word for word as people type them, and what each does at its edges. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Graph, inferShapes } from "../../src/ir/graph.ts";
import { ops } from "../../src/ops/index.ts";
import { parseTable, readNcnn } from "../../src/steps.ts";
import { dataBytes, dataPath, describeData } from "../data.ts";
import { compareGraphs, slicesAsCrops } from "../passes/isomorphic.ts";
import { put, run, temporaryFolder, tinyFiles } from "./_run.ts";

const folder = temporaryFolder();
const at = (name: string): string => path.join(folder, name);
const read = (name: string): Buffer => readFileSync(at(name));
const graphOf = (name: string): Graph =>
  readNcnn(read(`${name}.param`), read(`${name}.bin`), `${name}.param`, `${name}.bin`);
const int8Layers = (graph: Graph): number => graph.nodes.filter((node) => node.params.int8_scale_term).length;

put(folder, tinyFiles());

describeData("yolov5ss, typed as in the README of any guide", () => {
  const before = process.cwd();
  beforeAll(async () => {
    process.chdir(folder);
    const images = dataPath("coco/images/train2017");
    const names = readdirSync(images).slice(0, 2);
    put(folder, {
      "imagelist.txt": names.map((name) => path.join(images, name)).join("\n"),
    });
    const model = dataPath("models/yolov5ss.pt");
    expect((await run("export", model, "-o", "yolov5ss.onnx", "--imgsz", "320")).code).toBe(0);
    expect((await run("simplify", "yolov5ss.onnx", "yolov5ss-sim.onnx")).code).toBe(0);
  });
  afterAll(() => process.chdir(before));

  const words = (line: string): string[] => line.split(" ").slice(1);
  test("the four commands", async () => {
    const commands = [
      "ncnnkit onnx2ncnn yolov5ss-sim.onnx yolov5ss.param yolov5ss.bin",
      "ncnnkit ncnnoptimize yolov5ss.param yolov5ss.bin yolov5ss-opt.param yolov5ss-opt.bin 65536",
      "ncnnkit ncnn2table yolov5ss-opt.param yolov5ss-opt.bin imagelist.txt yolov5ss.table mean=[0,0,0] norm=[0.0039,0.0039,0.0039] shape=[640,640,3] pixel=RGB thread=2 method=kl",
      "ncnnkit ncnn2int8 yolov5ss-opt.param yolov5ss-opt.bin yolov5ss-opt-int8.param yolov5ss-opt-int8.bin yolov5ss.table",
    ];
    const runs = [];
    for (const line of commands) {
      const result = await run(...words(line));
      expect([line, result.code, result.out, result.code ? result.err : ""]).toEqual([line, 0, "", ""]);
      runs.push(result.err);
    }
    expect(runs[1]).toMatch(/^fuse_convolution_activation \S+Conv \S+Relu$/m);
    expect(runs[2]).toContain("mean = [0.000000,0.000000,0.000000]\nnorm = [0.003900,0.003900,0.003900]\n");
    expect(runs[2]).toMatch(/^\S+ +: max = [\d.]+ +threshold = [\d.]+ +scale = [\d.]+ *$/m);
    expect(runs[3]).toMatch(/^quantize_convolutiondepthwise \S+$/m);
    expect(parseTable(read("yolov5ss.table").toString()).activations.size).toBe(82);
    expect(int8Layers(graphOf("yolov5ss-opt-int8"))).toBe(82);
    // The heads follow the input.
    const shapes = inferShapes(graphOf("yolov5ss-opt-int8"), ops, { images: [3, 416, 320] });
    expect(shapes.get("output0")).toEqual([3, (416 / 8) * (320 / 8), 85]);
  });

  const author = () => readNcnn(dataBytes("models/yolov5ss.param"), dataBytes("models/yolov5ss.bin"));
  const expectAuthors = (name: string): void => {
    const { pairs, onlyInFirst, onlyInSecond } = compareGraphs(
      slicesAsCrops(graphOf(name), { images: [3, 320, 320] }),
      author(),
    );
    expect({ onlyInFirst, onlyInSecond }).toEqual({ onlyInFirst: [], onlyInSecond: [] });
    expect(pairs).toHaveLength(author().nodes.length);
    expect(read(`${name}.bin`)).toHaveLength(dataBytes("models/yolov5ss.bin").length);
  };
  test("ncnnoptimize makes the author's graph, up to names", () => expectAuthors("yolov5ss-opt"));
  test("also of the checkpoint as it is", async () => {
    const model = dataPath("models/yolov5ss.pt");
    expect((await run("convert", model, "-o", "plain", "--no-optimize")).code).toBe(0);
    const files = ["plain/yolov5ss.param", "plain/yolov5ss.bin", "plain-opt.param", "plain-opt.bin"];
    expect((await run("ncnnoptimize", ...files, "65536")).code).toBe(0);
    expect(graphOf("plain/yolov5ss").nodes.length).toBeGreaterThan(250);
    expectAuthors("plain-opt");
  });

  test("flags 0, 1 and 65536; cutting", async () => {
    const optimize = async (...rest: string[]): Promise<number> =>
      (await run("ncnnoptimize", "yolov5ss.param", "yolov5ss.bin", "f.param", "f.bin", ...rest)).code;
    const sizes: number[] = [];
    for (const flag of ["0", "1", "65536"]) {
      expect(await optimize(flag)).toBe(0);
      sizes.push(read("f.bin").length);
    }
    expect(sizes[1]).toBe(sizes[2]);
    expect(sizes[0] / sizes[1]).toBeGreaterThan(1.9);
    const { nodes } = graphOf("f");
    const [first, last] = [nodes[10].name, nodes[20].name];
    expect(await optimize("0", first, last)).toBe(0);
    const cut = graphOf("f").nodes.filter((node) => node.type !== "Input");
    expect(cut.map((node) => node.name)).toEqual(nodes.slice(10, 21).map((node) => node.name));
    expect(await optimize("0", "nothing")).toBe(2);
    expect(await optimize("half")).toBe(2);
  });
});

test("onnx2ncnn without names writes ncnn.param and ncnn.bin", async () => {
  await run("export", at("tiny.json"), "-o", at("tiny.onnx"));
  const before = process.cwd();
  const into = at("default-names");
  mkdirSync(into);
  try {
    process.chdir(into);
    expect((await run("onnx2ncnn", at("tiny.onnx"))).code).toBe(0);
  } finally {
    process.chdir(before);
  }
  expect(readdirSync(into).sort()).toEqual(["ncnn.bin", "ncnn.param"]);
});

test("null as .bin: invented weights", async () => {
  const { code } = await run("ncnnoptimize", at("tiny.param"), "null", at("n.param"), at("n.bin"), "0");
  expect(code).toBe(0);
  expect(read("n.bin")).toHaveLength(read("tiny.bin").length);
});

test("ncnnmerge: names under the file's name, the .bins one after the other", async () => {
  put(folder, { "other.one.param": read("tiny.param"), "other.one.bin": read("tiny.bin") });
  const files = [at("tiny.param"), at("tiny.bin"), at("other.one.param"), at("other.one.bin")];
  expect((await run("ncnnmerge", ...files, at("both.param"), at("both.bin"))).code).toBe(0);
  expect(read("both.bin")).toEqual(Buffer.concat([read("tiny.bin"), read("tiny.bin")]));
  const { inputs, outputs, nodes } = graphOf("both");
  expect({ inputs, outputs }).toEqual({
    inputs: ["tiny/images", "other.one/images"],
    outputs: ["tiny/output", "other.one/output"],
  });
  expect(nodes.map((node) => node.name)).toContain("other.one/head");
  const twice = [
    at("tiny.param"),
    at("tiny.bin"),
    at("tiny.param"),
    at("tiny.bin"),
    at("x.param"),
    at("x.bin"),
  ];
  const { code, err } = await run("ncnnmerge", ...twice);
  expect([code, err]).toEqual([1, expect.stringContaining('two models are called "tiny"')]);
});

test("ncnn2mem: the arrays hold the files, the constants their indices", async () => {
  const headers = [at("my-id.h"), at("my-mem.h")];
  expect((await run("ncnn2mem", at("tiny.param"), at("tiny.bin"), ...headers)).code).toBe(0);
  const memory = read("my-mem.h").toString();
  const bytes = (name: string): Buffer => {
    const body =
      new RegExp(`static const unsigned char ${name}\\[\\] = \\{\\n([^}]*)\\};`).exec(memory)?.[1] ?? "";
    return Buffer.from(body.split(",").flatMap((text) => (text.trim() ? [Number(text)] : [])));
  };
  expect(bytes("tiny_param_bin")).toEqual(read("tiny.param.bin"));
  expect(bytes("tiny_bin")).toEqual(read("tiny.bin"));
  expect(memory).toMatch(/^#ifndef NCNN_INCLUDE_GUARD_my_mem_h\n/);
  const graph = readNcnn(read("tiny.param.bin"), read("tiny.bin"));
  expect(graph.nodes.map((node) => node.type)).toEqual(["Input", "Convolution", "Reshape", "Permute"]);
  expect(read("my-id.h").toString()).toBe(`#ifndef NCNN_INCLUDE_GUARD_my_id_h
#define NCNN_INCLUDE_GUARD_my_id_h
namespace tiny_param_id {
const int LAYER_images = 0;
const int BLOB_images = 0;
const int LAYER_head = 1;
const int BLOB_raw = 1;
const int LAYER_reshape = 2;
const int BLOB_grid = 2;
const int LAYER_permute = 3;
const int BLOB_output = 3;
} // namespace tiny_param_id
#endif // NCNN_INCLUDE_GUARD_my_id_h
`);
});

/** A float32 array as numpy saves it. */
function npy(shape: readonly number[], data: Float32Array, type = "<f4"): Uint8Array {
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const header = `${text.padEnd(117)}\n`;
  const bytes = new Uint8Array(10 + header.length + data.byteLength);
  bytes.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, header.length, 0]);
  bytes.set(new TextEncoder().encode(header), 10);
  bytes.set(new Uint8Array(data.buffer), 10 + header.length);
  return bytes;
}

describe("ncnn2table", () => {
  const model = [at("tiny.param"), at("tiny.bin")];
  const table = (name = "t.table"): string => at(name);
  const scaleOf = (name: string): number | undefined =>
    parseTable(read(name).toString()).activations.get("head");

  test("type=1: arrays as they are", async () => {
    const data = new Float32Array(3 * 16 * 16).fill(2);
    put(folder, { "a.npy": npy([3, 16, 16], data), "arrays.txt": `${at("a.npy")}\n\n` });
    const keys = ["shape=[16,16,3]", "type=1", "method=aciq"];
    const { code, err } = await run("ncnn2table", ...model, at("arrays.txt"), table(), ...keys);
    expect([code, err]).toEqual([0, expect.stringContaining("method = aciq\ntype = 1\n")]);
    expect(scaleOf("t.table")).toBeGreaterThan(0);
    const wrong = await run("ncnn2table", ...model, at("arrays.txt"), table(), "shape=[8,8,3]", "type=1");
    expect([wrong.code, wrong.err]).toEqual([
      1,
      expect.stringContaining("shape=[16,16,3], expected [8,8,3]"),
    ]);
    put(folder, { "a.npy": npy([3, 16, 16], data, "<f8") });
    const double = await run("ncnn2table", ...model, at("arrays.txt"), table(), ...keys);
    expect([double.code, double.err]).toEqual([
      1,
      expect.stringMatching(/a\.npy: dtype <f8, expected float32/),
    ]);
    put(folder, { "a.npy": npy([3, 1600, 1600], data) });
    const short = await run("ncnn2table", ...model, at("arrays.txt"), table(), ...keys);
    expect([short.code, short.err]).toEqual([1, expect.stringContaining("cannot fit")]);
  });

  test("without data: only layers whose weights alone are quantized, here none", async () => {
    const { code, err } = await run("ncnn2table", ...model, table("none.table"), "method=kl");
    expect([code, read("none.table").toString()]).toEqual([0, ""]);
    expect(err).toContain("without pictures the table is empty");
  });

  test.each([
    [[], "expect 1 means, but got 0"],
    [["mean=[0,0,0]"], "expect 1 norms, but got 0"],
    [["mean=[0,0]", "norm=[1,1,1]"], "mean of images: found 2 numbers, expected 3 for RGB"],
    [["mean=[0,0,0],[0,0,0]", "norm=[1,1,1]"], "expect 1 means, but got 2"],
    [["mean=[0,a,0]", "norm=[1,1,1]"], "malformed mean [0,a,0]"],
    [["method=best"], "unknown method best, expect kl / aciq / eq"],
    [["pixel=RAW"], "pixel=RAW"],
    [["thread=-1"], "malformed thread -1"],
    [["-h1"], "Usage: ncnn2table"],
  ])("%j is misuse", async (keys, message) => {
    put(folder, { "pictures.txt": "no.jpg\n" });
    const usual = ["shape=[64,64,3]", "pixel=RGB"];
    const { code, out, err } = await run(
      "ncnn2table",
      ...model,
      at("pictures.txt"),
      table(),
      ...usual,
      ...keys,
    );
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain(message);
  });

  test("a picture that is missing fails, and names it", async () => {
    const keys = ["mean=0,0,0", "norm=1,1,1", "shape=64,64,3", "pixel=BGR", "colour=1", "odd"];
    const { code, err } = await run("ncnn2table", ...model, at("pictures.txt"), table(), ...keys);
    expect(code).toBe(1);
    expect(err).toMatch(/unknown key colour is ignored[\s\S]*unrecognized arg odd[\s\S]*error: .*no\.jpg/);
  });
});

test("ncnn2int8 without table: nothing but storage changes", async () => {
  const { code, err } = await run("ncnn2int8", at("tiny.param"), at("tiny.bin"), at("i.param"), at("i.bin"));
  expect(code).toBe(0);
  expect(err).toContain("no layer became int8");
  expect(int8Layers(graphOf("i"))).toBe(0);
});

describe("broken ONNX", () => {
  const onnx2ncnn = (file: string) => run("onnx2ncnn", file, at("b.param"), at("b.bin"));
  test.each([0, 1, 40, 300, 5000])("cut after %d bytes", async (length) => {
    const file = put(folder, { "cut.onnx": read("tiny.onnx").subarray(0, length) });
    const { code, out, err } = await onnx2ncnn(file);
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(/^error: .*cut\.onnx: /);
    expect(err).not.toContain("defect");
  });
  test("simplify and convert refuse them too", async () => {
    for (const args of [
      ["simplify", at("cut.onnx"), at("c.onnx")],
      ["convert", at("cut.onnx"), "-o", at("never")],
    ]) {
      const { code, err } = await run(...args);
      expect([args[0], code]).toEqual([args[0], 1]);
      expect(err).toContain("cut.onnx");
    }
    expect(readdirSync(folder)).not.toContain("c.onnx");
    expect(readdirSync(folder)).not.toContain("never");
  });
  test("tensors in files outside the folder are not read", async () => {
    writeFileSync(at("secret.bin"), new Uint8Array(64));
    const inside = at("inside");
    mkdirSync(inside);
    for (const [location, problem] of [
      ["../secret.bin", /leaves the folder/],
      ["missing.bin", /missing/],
    ] as const) {
      const file = put(inside, { "external.onnx": externalModel(location) });
      const { code, err } = await onnx2ncnn(file);
      expect([location, code]).toEqual([location, 1]);
      expect(err).toMatch(problem);
    }
    put(inside, { "weights.bin": new Uint8Array(new Float32Array([2]).buffer) });
    const file = put(inside, { "external.onnx": externalModel("weights.bin") });
    expect((await onnx2ncnn(file)).code).toBe(0);
    expect((await run("simplify", file, at("e.onnx"))).code).toBe(0);
    expect((await run("onnx2ncnn", at("e.onnx"), at("e.param"), at("e.bin"))).code).toBe(0);
  });
});

/** `y = x · w` with the one-element w in a file; wire format written by hand. */
function externalModel(location: string): Uint8Array {
  const text = (value: string): number[] => [...new TextEncoder().encode(value)];
  const field = (number: number, bytes: readonly number[]): number[] => [
    number * 8 + 2,
    bytes.length,
    ...bytes,
  ];
  const pair = (key: string, value: string): number[] =>
    field(13, [...field(1, text(key)), ...field(2, text(value))]);
  const float = 1;
  const external = 1;
  const weight = [8, 1, 16, float, ...field(8, text("w")), ...pair("location", location), 14 * 8, external];
  const extent = field(1, [8, 4]);
  const shape = field(2, [...field(1, [8, 1]), ...field(1, [8, 3]), ...extent, ...extent]);
  const value = (name: string): number[] => [
    ...field(1, text(name)),
    ...field(2, field(1, [8, float, ...shape])),
  ];
  const node = [
    ...field(1, text("x")),
    ...field(1, text("w")),
    ...field(2, text("y")),
    ...field(4, text("Mul")),
  ];
  const graph = [
    ...field(1, node),
    ...field(2, text("g")),
    ...field(5, weight),
    ...field(11, value("x")),
    ...field(12, value("y")),
  ];
  return Uint8Array.from([8, 8, ...field(7, graph), ...field(8, [...field(1, []), 16, 17])]);
}
