/** Exports of ultralytics that do more than boxes, against its predict: a zip of small ones, or all in the folder NCNNKIT_TASK_EXPORTS. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { unzipSync } from "fflate";
import { afterAll, describe, expect, test } from "vitest";
import type { OnnxModel } from "../../src/formats/onnx/index.ts";
import { readOnnxModel } from "../../src/formats/onnx/read.ts";
import { writeOnnx } from "../../src/formats/onnx/write.ts";
import { load, type Model, type OpenedModel } from "../../src/node.ts";
import { openModel } from "../../src/open/formats.ts";
import { startModel } from "../../src/open/model.ts";
import { memoryFolder } from "../../src/open/source.ts";
import { taskOf } from "../../src/steps.ts";
import { compare, type Golden, pictureOf } from "./_tasks.ts";

const folder = process.env.NCNNKIT_TASK_EXPORTS;
const zip = path.resolve(import.meta.dirname, "data/tasks.zip");
const archive = folder ? {} : unzipSync(new Uint8Array(readFileSync(zip)));
const names = (folder ? readdirSync(folder) : Object.keys(archive))
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.replace(/\.json$/, ""))
  .sort();

const goldenOf = (name: string): Golden =>
  JSON.parse(
    folder
      ? readFileSync(path.join(folder, `${name}.json`), "utf8")
      : new TextDecoder().decode(archive[`${name}.json`]),
  ) as Golden;

async function modelOf(name: string, keepDecode = false): Promise<Model> {
  if (folder) {
    const file = path.join(folder, `${name}.onnx`);
    return load(existsSync(file) ? file : path.join(folder, name), { backend: "wasm", keepDecode });
  }
  const parts = Object.entries(archive).flatMap(([file, bytes]) => {
    const own =
      file === `${name}.onnx` ? file : file.startsWith(`${name}/`) ? path.posix.basename(file) : undefined;
    return own ? [{ name: own, bytes }] : [];
  });
  const [main] = parts.filter(({ name: file }) => /\.(onnx|param)$/.test(file));
  return startModel(await openModel(memoryFolder(parts), main.name, { keepDecode }), { backend: "wasm" });
}

const lines: string[] = [];
afterAll(() => {
  if (folder) console.log(lines.join("\n"));
});

async function expectSame(name: string, keepDecode = false): Promise<void> {
  const golden = goldenOf(name);
  const model = await modelOf(name, keepDecode);
  try {
    expect(taskOf(model.manifest.heads)).toBe(golden.task);
    expect(model.assumptions.filter((line) => !/one name|kept/.test(line))).toEqual([]);
    let found = 0;
    for (const picture of golden.pictures) {
      const { conf, iou, max_det } = golden.options;
      const isSorted = golden.task === "classify";
      const options = isSorted ? { maxDetections: 1000 } : { confidence: conf, iou, maxDetections: max_det };
      const all = await model.detect(pictureOf(picture.width, picture.height), options);
      const { missing, extra, ...worst } = compare(golden, picture, all);
      lines.push(`${name}: ${JSON.stringify({ ...worst, missing: missing.length, extra: extra.length })}`);
      found += worst.found - missing.length;
      expect({ missing, extra }).toEqual({ missing: [], extra: [] });
      expect(worst.score).toBeLessThanOrEqual(1e-3);
      expect(worst.mask).toBeGreaterThanOrEqual(0.98);
      expect(worst.points).toBeLessThanOrEqual(0.1);
    }
    expect(found).toBeGreaterThan(5);
  } finally {
    model.close();
  }
}

describe("what is found is what predict finds", () => {
  test.each(names)("%s", (name) => expectSame(name), 60_000);
});

describe.skipIf(folder)("exports that are kept or are not whole", () => {
  /** What a file says when it is changed. */
  async function opened(
    name: string,
    change: (model: OnnxModel) => void,
    options = {},
  ): Promise<OpenedModel> {
    const model = readOnnxModel(archive[`${name}.onnx`], "a.onnx");
    change(model);
    return openModel(memoryFolder([{ name: "a.onnx", bytes: writeOnnx(model) }]), "a.onnx", options);
  }
  const keepOutputs =
    (...names: string[]) =>
    (model: OnnxModel): void => {
      model.graph.outputs = model.graph.outputs.filter(({ name }) => names.includes(name));
    };

  test.each(["yolov8-seg-plain", "yolov8-pose-simplify", "yolo11-obb-dynamic", "yolo26-obb-plain"])(
    "the decoding of %s may stay in the graph",
    (name) => expectSame(name, true),
    60_000,
  );
  test("coefficients without prototypes, and prototypes alone", async () => {
    const { whyNoHeads } = await opened("yolov8-seg-plain", keepOutputs("output0"));
    expect(whyNoHeads).toContain(
      "8 numbers behind the class scores are like mask coefficients, but no output has 8 prototypes",
    );
    expect((await opened("yolov8-seg-plain", keepOutputs("output1"))).manifest.heads).toEqual([]);
  });
  test("a task that is not that of the outputs", async () => {
    const { whyNoHeads } = await opened("yolov8-pose-simplify", (model) => {
      model.metadata.task = "obb";
    });
    expect(whyNoHeads).toContain('the file says that its task is "obb", but its outputs are those of "pose"');
    const semantic = await opened("yolov8-seg-plain", (model) => {
      keepOutputs("output1")(model);
      model.metadata.task = "semantic";
    });
    expect(semantic.whyNoHeads).toContain('the file says that its task is "semantic"');
  });
  test("a list of numbers is a classifier where something says so", async () => {
    const bare = (model: OnnxModel): void => {
      model.metadata = {};
    };
    const { whyNoHeads } = await opened("yolov8-cls-simplify", bare);
    expect(whyNoHeads).toContain("a list of 7 numbers a picture whose sum is 1");
    expect(whyNoHeads).toContain("--family ultralytics-cls or yolov5-cls");
    const told = await opened("yolov8-cls-simplify", bare, { family: "yolov5-cls", size: 64 });
    expect(told.manifest).toMatchObject({
      heads: [{ kind: "classes", softmax: true }],
      input: { width: 64, resize: "crop", mean: [123.675, 116.28, 103.53] },
    });
    expect(told.manifest.labels).toHaveLength(7);
    const named = await opened("yolov8-cls-simplify", bare, { labels: [..."abcdefg"] });
    expect(named.manifest.input).toMatchObject({ resize: "crop", antialias: true });
    expect(named.assumptions.join()).toContain("the middle cut out");
  });
  test("classifiers of oblong pictures stretch them", async () => {
    const { manifest } = await opened("yolov8-cls-simplify", () => {}, { size: { width: 128, height: 64 } });
    expect(manifest.input).toMatchObject({ resize: "stretch", antialias: true });
  });
});
