/** `convert`, `export` and `simplify` on ONNX files: what is recognised, said and kept. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parseParam } from "../../src/formats/ncnn/index.ts";
import { type OnnxModel, readOnnxModel, writeOnnx } from "../../src/formats/onnx/index.ts";
import { int, ints } from "../../src/formats/onnx/model.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { dotModel, otherDecode, yolov5, yolov7 } from "../formats/onnx/_dot.ts";
import { fixtures } from "../formats/onnx/_fixtures.ts";
import { floats } from "../formats/onnx/_model.ts";
import { png, put, run, temporaryFolder, tinyFiles } from "./_run.ts";

const folder = temporaryFolder();
const at = (name: string): string => path.join(folder, name);
/** Small YOLOv5 networks with three classes, made for 64x64. */
const raw = "yolov5-v6-t12.onnx";
const focus = "yolov5-v5-t11.onnx";
const decoded = "yolov5-v6-split-t17.onnx";

beforeAll(() => {
  for (const { file, bytes } of fixtures())
    if ([raw, focus, decoded].includes(file)) put(folder, { [file]: bytes });
  put(folder, tinyFiles());
});

const converted = (name: string): Graph => parseParam(readFileSync(at(`out/${name}.param`), "utf8"));
const manifest = (name: string) => JSON.parse(readFileSync(at(`out/${name}.json`), "utf8"));
const convert = (file: string, ...rest: string[]) =>
  run("convert", at(file), "-o", at("out"), "--labels", "a,b,c", ...rest);

describe("convert", () => {
  test("decoding in the graph is cut off; strides and anchors come from it", async () => {
    const { code, err } = await convert(decoded, "--verbose");
    expect(code).toBe(0);
    expect(err).toContain("opset 17, written by pytorch: ");
    expect(err).toMatch(/patterns of operators that are one layer: .*Swish \d+/);
    expect(err).toContain("the decoding of boxes is cut off");
    expect(err).toContain("3 sizes of layers follow the input size");
    const { heads, labels, input } = manifest("yolov5-v6-split-t17");
    expect(heads.map((head: { stride: number }) => head.stride)).toEqual([8, 16, 32]);
    expect(heads[0].anchors).toEqual([10, 13, 16, 30, 33, 23]);
    expect([labels, input.width, input.stride]).toEqual([["a", "b", "c"], 64, 32]);
    expect(converted("yolov5-v6-split-t17").outputs).toHaveLength(3);
  });
  test("--keep-decode keeps it", async () => {
    const { code, err } = await convert(decoded, "--keep-decode");
    expect([code, err]).toEqual([0, expect.stringContaining("decoding is part of the graph and is kept")]);
    expect(converted("yolov5-v6-split-t17").outputs).toEqual(["876"]);
    expect(manifest("yolov5-v6-split-t17").heads).toMatchObject([
      { kind: "boxes", blob: "876", layout: "rows", box: "cxcywh", unit: "pixels", objectness: true },
    ]);
  });
  test("anchors that the file does not tell are asked for, and taken", async () => {
    expect((await convert(raw)).err).toMatch(/anchors are the defaults of YOLOv5.*--anchors/);
    const anchors = "1,2,3,4,5,6 7,8,9,10,11,12 13,14,15,16,17,18";
    const { code, err } = await convert(raw, "--anchors", anchors);
    expect([code, err]).toEqual([0, expect.not.stringContaining("anchors")]);
    expect(manifest("yolov5-v6-t12").heads[2].anchors).toEqual([13, 14, 15, 16, 17, 18]);
  });
  test("sizes follow the input unless --static", async () => {
    const widths = () =>
      converted("yolov5-v6-t12").nodes.flatMap(({ type, params }) => (type === "Reshape" ? [params.w] : []));
    await convert(raw, "--no-optimize");
    expect(widths()).toEqual([-1, -1, -1]);
    for (const more of [["--no-optimize"], []]) {
      await convert(raw, "--static", ...more);
      expect(widths()).toEqual([64, 16, 4]);
    }
  });
  test("Focus becomes a convolution unless --keep-focus", async () => {
    const reorgs = () => converted("yolov5-v5-t11").nodes.filter(({ type }) => type === "Reorg").length;
    await convert(focus);
    expect(reorgs()).toBe(0);
    await convert(focus, "--keep-focus");
    expect(reorgs()).toBe(1);
  });
});

describe("boxes of ONNX files (a white cell at 8,8 gives the first anchor around 12,12)", () => {
  const anchors = [10, 13, 16, 30, 33, 23];
  const names = { names: "{0: 'dot', 1: 'other'}" };
  const detect = async (model: OnnxModel, ...rest: string[]) => {
    const isWhite = (x: number, y: number): boolean => x >= 8 && x < 16 && y >= 8 && y < 16;
    put(folder, { "dot.png": png(32, 32, isWhite), "dot.onnx": writeOnnx(model) });
    return run("detect", at("dot.onnx"), at("dot.png"), ...rest);
  };
  test.each<[string, OnnxModel]>([
    ["YOLOv5's decoding", dotModel(yolov5(anchors), { metadata: names })],
    ["YOLOv7's, 4·anchor in one constant", dotModel(yolov7(anchors), { metadata: names })],
    ["normalized", dotModel(yolov7(anchors, 1 / 32), { metadata: names })],
    [
      "levels as bytes, channels last",
      dotModel(
        yolov5(anchors),
        { metadata: names },
        {
          nodes: [
            ["Cast", ["images"], ["f"], { to: int(1) }],
            ["Div", ["f", "n"], ["g"]],
            ["Transpose", ["g"], ["x"], { perm: ints([0, 3, 1, 2]) }],
          ],
          constants: { n: floats([], [255]) },
          shape: [1, 32, 32, 3],
          type: "uint8",
        },
      ),
    ],
    ["one channel", dotModel(yolov5(anchors), { metadata: names, channels: 1 })],
  ])("%s", async (_, model) => {
    const { code, out } = await detect(model);
    expect([code, out]).toEqual([0, "dot 1.000 7.0 5.5 10.0 13.0\n"]);
  });
  test("a decoding that is another's is kept and named", async () => {
    const decode = otherDecode(anchors, {});
    const constants = { ...decode.constants, stride: floats([], [6]) };
    const { code, err } = await detect(dotModel({ ...decode, constants }, { metadata: names }));
    expect([code, err]).toEqual([1, expect.stringContaining("nearest: a centre is 12·σ(t)")]);
  });
  test("names that do not fit are refused, odd ones said, --labels goes before both", async () => {
    const named = (text: string) => dotModel(yolov5(anchors), { metadata: { names: text } });
    const many = await detect(named("['a', 'b', 'c']"));
    expect([many.code, many.out]).toEqual([1, ""]);
    expect(many.err).toContain(
      'names 3 classes ("a", "b", "c"), its heads have 2; give the right names with',
    );
    const counted = await detect(named("{1: 'a', 2: 'b'}"));
    expect([counted.out.split(" ")[0], counted.err]).toEqual([
      "a",
      expect.stringContaining("numbered 1 to 2"),
    ]);
    for (const text of ["['a', 'b', 'c']", "{1: 'a', 2: 'b'}", "?"]) {
      const given = await detect(named(text), "--labels", "p,q");
      expect([given.out.split(" ")[0], given.err]).toEqual(["p", expect.not.stringContaining("names")]);
    }
  });
});

describe("export", () => {
  test("heads, stride, anchors and labels are in the metadata", async () => {
    const { code, out } = await run(
      "export",
      at("tiny.json"),
      "-o",
      at("tiny.onnx"),
      "--imgsz",
      "128x64",
      "--json",
    );
    expect([code, JSON.parse(out)]).toMatchObject([
      0,
      { width: 128, height: 64, labels: ["white", "black"] },
    ]);
    const { graph, metadata, opsets } = readOnnxModel(readFileSync(at("tiny.onnx")), "tiny.onnx");
    expect(graph.inputs).toEqual([{ name: "images", type: "float32", shape: [1, 3, 64, 128] }]);
    expect(graph.outputs.map(({ name, shape }) => [name, shape])).toEqual([["output", [1, 3, 128, 7]]]);
    expect(metadata).toMatchObject({ stride: "8", task: "detect", imgsz: "[64, 128]" });
    expect(opsets).toEqual({ "": 17 });
  });
  test("--dynamic leaves height and width open", async () => {
    expect((await run("export", at("tiny.json"), "-o", at("open.onnx"), "--dynamic")).code).toBe(0);
    const { graph } = readOnnxModel(readFileSync(at("open.onnx")), "open.onnx");
    expect(graph.inputs[0].shape).toEqual([1, 3, "height", "width"]);
    const simplified = await run(
      "simplify",
      at("open.onnx"),
      at("fixed.onnx"),
      "--overwrite-input-shape",
      "1,3,64,32",
    );
    expect(simplified.code).toBe(0);
    expect(simplified.err).toContain("images: [1, 3, 64, 32]\noutput: [1, 3, 32, 7]\n");
  });
  test.each([
    [["--imgsz", "60"], 2, "a multiple of the model's stride 8"],
    [["--dynamic", "--static"], 2, "contradict"],
  ])("%j is misuse", async (more, code, message) => {
    const found = await run("export", at("tiny.json"), "-o", at("x.onnx"), ...more);
    expect([found.code, found.err]).toEqual([code, expect.stringContaining(message)]);
  });
});

describe("simplify", () => {
  test("prints operators before and after", async () => {
    const { code, out } = await run("simplify", at(decoded), at("s.onnx"));
    expect(code).toBe(0);
    expect(out).toMatch(/^operator +original +simplified\n/);
    const [, before, after] = /^all +(\d+) +(\d+)$/m.exec(out) ?? [];
    expect(Number(after)).toBeLessThan(Number(before));
    expect(out).toMatch(/^Conv +60 +60$/m);
    const json = JSON.parse((await run("simplify", at(decoded), at("s.onnx"), "--json")).out);
    expect(json.operators).toContainEqual({ operator: "Conv", before: 60, after: 60 });
    expect(json.outputs).toEqual([{ name: "876", shape: [1, 252, 8] }]);
  });
  test.each([
    [["--overwrite-input-shape", "1,3,0,64"], "Expected extents of at least 1"],
    [["--overwrite-input-shape", "image:1,3,64,64"], 'no input "image"; the inputs are images'],
    [["--overwrite-input-shape", "images:3,64,64"], 'input "images" has 4 axes'],
    [["--unused-output", "output9"], 'no output "output9"'],
    [["--unused-output", "876"], "nothing would be left"],
  ])("%j is misuse", async (more, message) => {
    const { code, out, err } = await run("simplify", at(decoded), at("x.onnx"), ...more);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain(message);
  });
  test("a file is not simplified onto itself", async () => {
    expect(await run("simplify", at(decoded), at(decoded))).toMatchObject({ code: 2 });
  });
});
