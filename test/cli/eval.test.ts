/** `eval`: known detections on known labels, all kinds of data, and what is said of broken ones. */
import { mkdirSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { modelFiles } from "../../src/index.ts";
import { dataPath, testData } from "../data.ts";
import { png, put, run, temporaryFolder, tinyFiles, tinyModel } from "./_run.ts";

const folder = temporaryFolder();
const model = put(folder, tinyFiles());
const manifest = path.join(folder, "tiny.json");
const sub = (name: string): string => {
  const created = path.join(folder, name);
  mkdirSync(created, { recursive: true });
  return created;
};

/** Two pictures with a white square of 8 pixels each; the model finds just that. */
const squares = { "a.png": [16, 40], "b.png": [32, 8] } as const;
const images = sub("data/images/val");
const labels = sub("data/labels/val");
for (const [name, [x, y]] of Object.entries(squares)) {
  put(images, { [name]: png(64, 64, (u, v) => u >= x && u < x + 8 && v >= y && v < y + 8) });
  put(labels, { [name.replace("png", "txt")]: `0 ${(x + 4) / 64} ${(y + 4) / 64} 0.125 0.125\n` });
}
const yaml = put(sub("data"), {
  "data.yaml": "path: .\ntrain: images/val\nval: images/val\nnames: [white, black]\n",
});

test.each([
  ["a yaml", yaml],
  ["its folder", path.dirname(yaml)],
  ["a folder of pictures", images],
])("AP of a model that is right, from %s", async (_, data) => {
  const { code, out } = await run("eval", manifest, "--data", data, "--json");
  expect(code).toBe(0);
  const result = JSON.parse(out);
  expect(result).toMatchObject({ images: 2, objects: 2, width: 64, height: 64, skipped: [] });
  expect(result.models[0].coco.AP).toBeCloseTo(1, 9);
  expect(result.models[0].coco.perClass[0]).toMatchObject({ label: "white", objects: 2 });
});

/** The same labels as a COCO file, with its own ids and a class that no object has. */
function cocoFile(name = "white"): string {
  return JSON.stringify({
    images: [
      { id: 7, file_name: "a.png", width: 64, height: 64 },
      { id: 9, file_name: "b.png", width: 64, height: 64 },
    ],
    categories: [
      { id: 90, name },
      { id: 3, name: "black" },
    ],
    annotations: [
      { image_id: 7, category_id: 90, bbox: [16, 40, 8, 8], area: 64, iscrowd: 0 },
      { image_id: 9, category_id: 90, bbox: [32, 8, 8, 8], area: 64, iscrowd: 0 },
    ],
  });
}

test("a COCO file finds its pictures, or is told where they are", async () => {
  const beside = put(sub("data/images"), { "instances_val.json": cocoFile() });
  const found = JSON.parse((await run("eval", model, "--data", beside, "--json")).out);
  expect(found.models[0].coco.AP).toBeCloseTo(1, 9);
  const away = put(sub("elsewhere"), { "instances_val.json": cocoFile() });
  const lost = await run("eval", model, "--data", away);
  expect(lost).toMatchObject({ code: 1, out: "" });
  expect(lost.err).toContain("give theirs with --images");
  const told = await run("eval", model, "--data", away, "--images", images, "--json");
  expect(JSON.parse(told.out).models[0].coco.AP).toBeCloseTo(1, 9);
});

test("a second model is compared with the first, and wrong labels cost AP", async () => {
  const { graph, manifest: facts } = tinyModel("dim");
  const bias = graph.node("head")?.weights.bias.data as Float32Array;
  for (let anchor = 0; anchor < 3; anchor++) bias[anchor * 7 + 4] -= 1; // lower scores everywhere
  const dim = put(sub("dim"), modelFiles(graph, facts));
  const { out } = await run("eval", manifest, dim, "--data", yaml, "--json");
  const [, second] = JSON.parse(out).models;
  expect(second.fidelity).toMatchObject({ fidelity: expect.closeTo(1, 9), objects: 2 });
  // σ(4) and σ(5) are the objectness, the class is the same.
  const ratio = (1 + Math.exp(-5)) / (1 + Math.exp(-4));
  expect(second.fidelity.small.change).toBeCloseTo(ratio - 1, 3);
  expect(second.fidelity.large.change).toBe(null);
  const text = (await run("eval", manifest, dim, "--data", yaml, "--per-class")).out;
  expect(text).toMatch(/2 pictures at 64x64, 2 objects/);
  expect(text).toMatch(/white +2 +100\.0/);
});

test("a picture that cannot be read is told and skipped", async () => {
  const some = sub("some/images");
  put(some, { "a.png": png(64, 64, (u, v) => u < 8 && v < 8), "broken.png": "no picture" });
  put(sub("some/labels"), { "a.txt": "0 0.0625 0.0625 0.125 0.125\n" });
  const { code, out, err } = await run("eval", manifest, "--data", some, "--json");
  expect(code).toBe(0);
  expect(err).toMatch(/skipped .*broken\.png/);
  expect(JSON.parse(out)).toMatchObject({ images: 1, skipped: [expect.stringContaining("broken.png")] });
});

test("bad data: one line that says what is wrong", async () => {
  const empty = sub("empty/images");
  put(sub("empty/labels"), { "a.txt": "0 0.5 0.5 0.1 0.1\n" });
  const bare = sub("bare");
  put(bare, { "a.png": png(8, 8) });
  const foreign = sub("foreign/images");
  put(foreign, { "a.png": png(8, 8) });
  put(sub("foreign/labels"), { "a.txt": "5 0.5 0.5 0.1 0.1\n" });
  const names = put(sub("names"), { "d.yaml": `val: ${images}\nnames: [cat, dog]\n` });
  const coco = put(sub("data/images"), { "other.json": cocoFile("zebra") });
  const broken = sub("broken");
  put(broken, { "a.png": "x", "b.png": "y" });
  put(broken, { "a.txt": "" });
  const cases: [string, number, RegExp][] = [
    [empty, 1, /no pictures in this folder/],
    [bare, 1, /none of the 1 pictures has a label file; expected .*a\.txt/],
    [foreign, 1, /a\.txt: class 5: the model has classes 0 to 1/],
    [names, 2, /"cat", "dog" are no labels of the model, which has white, black/],
    [coco, 2, /"zebra" are no labels of the model/],
    [broken, 1, /none of the 2 pictures could be read/],
    [path.join(folder, "missing.yaml"), 1, /no such file/],
  ];
  for (const [data, status, problem] of cases) {
    const { code, out, err } = await run("eval", manifest, "--data", data);
    expect({ code, out }, data).toEqual({ code: status, out: "" });
    expect(err).toMatch(problem);
    expect(err).not.toContain("defect");
  }
});

test("models with other classes are not compared", async () => {
  const { graph, manifest: facts } = tinyModel("other");
  facts.labels = ["white", "grey"];
  const other = put(sub("other"), modelFiles(graph, facts));
  const { code, err } = await run("eval", manifest, other, "--data", yaml);
  expect(code).toBe(2);
  expect(err).toContain('class 1 is "black" and "grey"');
});

testData("a real model on COCO pictures, against its own int8 form", async () => {
  const args = ["--data", dataPath("coco/coco.yaml"), "--size", "160", "--limit", "6", "--json"];
  const models = ["yolov5ss.param", "yolov5ss-int8.param"].map((name) => dataPath(`models/${name}`));
  const { code, out } = await run("eval", ...models, ...args);
  expect(code).toBe(0);
  const [float, int8] = JSON.parse(out).models;
  expect(float.coco.AP50).toBeGreaterThan(0.2);
  expect(int8.fidelity.fidelity).toBeGreaterThan(0.3);
  expect(int8.fidelity.fidelity).toBeLessThan(0.95);
});
