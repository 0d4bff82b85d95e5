/** Datasets as people have them: pictures of one name, exports, links, lists, habits of labels. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { modelFiles } from "../../src/index.ts";
import { dataPath, testData } from "../data.ts";
import { png, put, run, temporaryFolder, tinyFiles, tinyModel } from "./_run.ts";

const root = temporaryFolder();
put(root, tinyFiles());
const manifest = path.join(root, "tiny.json");
const numbered = tinyModel("numbered");
numbered.manifest.labels = ["class 0", "class 1"];
put(root, modelFiles(numbered.graph, numbered.manifest));
const nameless = path.join(root, "numbered.json");

/** Writes files in folders below `root/name`, which is given back. */
function place(name: string, files: Record<string, Uint8Array | string>): string {
  for (const [file, content] of Object.entries(files)) {
    const target = path.join(root, name, file);
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, content);
  }
  return path.join(root, name);
}
/** A picture with one white square of 8 pixels, which is all that the model finds, and its label. */
const square = (x: number, y: number): Uint8Array =>
  png(64, 64, (u, v) => u >= x && u < x + 8 && v >= y && v < y + 8);
const label = (x: number, y: number): string => `0 ${(x + 4) / 64} ${(y + 4) / 64} 0.125 0.125\n`;
const names = "names: [white, black]\n";

async function evaluated(...args: string[]) {
  const { code, out, err } = await run("eval", manifest, ...args, "--json");
  expect(err).not.toContain("defect");
  return { code, err, result: code === 0 ? JSON.parse(out) : undefined };
}
const perfect = (images: number, objects = images) => ({
  ...{ images, objects },
  models: [{ coco: { AP: expect.closeTo(1, 9), AR1: expect.closeTo(1, 9) } }],
});

const cameras = {
  "images/cam1/0001.png": square(16, 40),
  "images/cam2/0001.png": square(32, 8),
  "images/cam3/1.png": square(8, 8),
  "labels/cam1/0001.txt": label(16, 40),
  "labels/cam2/0001.txt": label(32, 8),
  "labels/cam3/1.txt": label(8, 8),
};

test("pictures of one name in several folders are several pictures", async () => {
  const data = place("cameras", { ...cameras, "data.yaml": `val: images\n${names}` });
  const { result } = await evaluated("--data", data);
  expect(result).toMatchObject(perfect(3));
  // Labels of each other's: nothing is right, where all three as one picture would find two of three.
  const crossed = place("crossed", {
    ...cameras,
    "labels/cam1/0001.txt": label(32, 8),
    "labels/cam2/0001.txt": label(8, 8),
    "labels/cam3/1.txt": label(16, 40),
  });
  const wrong = await evaluated("--data", path.join(crossed, "images"));
  expect(wrong.result.models[0].coco.AP).toBeLessThan(0.05); // what AP there is comes from boxes of score 0.007
  const { out } = await run("eval", manifest, nameless, "--data", path.join(crossed, "images"), "--json");
  expect(out).toBe(""); // other class names
  const both = await run("eval", manifest, manifest, "--data", path.join(crossed, "images"), "--json");
  expect(JSON.parse(both.out).models[1].fidelity).toMatchObject({
    fidelity: expect.closeTo(1, 9),
    objects: 3,
  });
});

test("detect --save keeps both results of pictures that share a name", async () => {
  const data = place("stems", { "a.png": square(16, 40), "a.bmp.png": square(8, 8), "b.png": square(8, 8) });
  copyFileSync(path.join(data, "b.png"), path.join(data, "a.jpg")); // the content tells the format
  const out = path.join(root, "stems-out");
  const { err } = await run("detect", manifest, data, "--out", out, "--save", "txt");
  expect(err).toContain("2 pictures would share a name with another; theirs are called like a.jpg.txt");
  const texts = readdirSync(out).filter((name) => name.endsWith(".txt"));
  expect(texts.sort()).toEqual(["a.bmp.txt", "a.jpg.txt", "a.png.txt", "b.txt"]);
  expect(readFileSync(path.join(out, "a.png.txt"), "utf8")).toContain("0 0.3125 0.6875");
  expect(readFileSync(path.join(out, "a.jpg.txt"), "utf8")).toContain("0 0.1875 0.1875");
});

test("COCO results: numbers where pictures have them, paths where two would be the same", async () => {
  const data = place("ids", { ...cameras, "images/cam1/000000000139.png": square(0, 0) });
  const out = path.join(root, "ids-out");
  const { err } = await run("detect", manifest, path.join(data, "images"), "--out", out, "--save", "coco");
  expect(err).toContain("3 pictures would share a name with another; the image_id of those is their path");
  const rows = JSON.parse(readFileSync(path.join(out, "detections.json"), "utf8"));
  expect(rows.map((row: { image_id: unknown; file_name: string }) => [row.image_id, row.file_name])).toEqual([
    [139, "cam1/000000000139.png"],
    ["cam1/0001.png", "cam1/0001.png"],
    ["cam2/0001.png", "cam2/0001.png"],
    ["cam3/1.png", "cam3/1.png"],
  ]);
  // The same name from two folders on the command line.
  const folders = ["cam1", "cam2"].map((name) => path.join(data, "images", name, "0001.png"));
  await run("detect", manifest, ...folders, "--out", out, "--save", "coco");
  const again = JSON.parse(readFileSync(path.join(out, "detections.json"), "utf8"));
  expect(again.map((row: { image_id: unknown }) => row.image_id)).toEqual(["0001.png", "0001-2.png"]);
});

const export_ = {
  "train/images/a.png": square(16, 40),
  "train/labels/a.txt": label(16, 40),
  "valid/images/a.png": square(32, 8),
  "valid/labels/a.txt": label(32, 8),
};

test.each([
  ["Roboflow's", "data.yaml", "train: ../train/images\nval: ../valid/images\n", 1, "is taken for"],
  ["backslashes", "data.yaml", "val: valid\\images\n", 1, ""],
  ["a list of splits", "data.yaml", "val: [train/images, valid/images]\n", 2, ""],
  ["a path", "yaml/data.yaml", "path: ..\nval:\n  - valid/images\n", 1, ""],
  ["relative to the repository", "data/data.yaml", "path: ./\nval: valid/images\n", 1, "is taken for"],
  ["a pattern", "data.yaml", "val: '**/images/*.png'\n", 2, ""],
  ["the same twice", "data.yaml", "val: [valid/images, valid]\n", 1, "1 picture named again"],
])("a yaml as it is met: %s", async (title, file, text, images, warning) => {
  const data = place(`yaml ${title}`, { ...export_, [file]: text + names });
  const { result, err } = await evaluated("--data", path.join(data, file));
  expect(result).toMatchObject(perfect(images));
  if (warning) expect(err).toContain(warning);
  else expect(err).toBe("");
});

test("a yaml whose pictures are nowhere says where it looked", async () => {
  const data = place("nowhere", { "data.yaml": `val: valid/images\n${names}` });
  const { code, err } = await evaluated("--data", data);
  expect(code).toBe(1);
  expect(err).toMatch(/val: valid\/images: there is no such folder, list or picture; looked for .*nowhere/);
});

test("labels: clipped by a pixel; beyond that the picture is skipped and named", async () => {
  const data = place("labels", {
    "images/a.png": square(16, 40),
    "images/b.png": square(0, 8),
    "images/c.png": square(32, 8),
    "images/d.png": square(40, 40),
    "images/e.png": square(48, 40),
    "labels/a.txt": `${label(16, 40)}${label(16, 40)}`,
    "labels/b.txt": label(0, 8).replace("0.0625 ", "0.062500001 "),
    "labels/c.txt": label(32, 8).replace("\n", " 0.93\n"),
    "labels/d.txt": "0 1.2 0.5 0.1 0.1\n",
    "labels/e.txt": "0 0.75 0.625 0.875 0.625 0.875 0.75 0.75 0.75\n",
  });
  const { result, err } = await evaluated("--data", path.join(data, "images"));
  expect(result).toMatchObject(perfect(4));
  expect(result.skipped).toEqual([expect.stringMatching(/d\.png: .*d\.txt: line 1: found 1\.2, expected/)]);
  expect(err).toMatch(/warning: .*c\.txt: the last value of 1 line is taken for a score/);
  expect(err).toMatch(/warning: .*a\.txt: 1 line said again/);
});

test("links in folders of pictures are followed, once, and circles end", async () => {
  const data = place("links", { "real/train/a.png": square(8, 8), "real/train/a.txt": label(8, 8) });
  mkdirSync(path.join(data, "images"));
  const link = (target: string, name: string): void => symlinkSync(target, path.join(data, name));
  link("../real/train", "images/train");
  link("../images", "images/up");
  link("../../real", "real/train/again");
  link("nothing", "images/broken");
  const { out } = await run("detect", manifest, path.join(data, "images"), "--json");
  const files = (text: string) => JSON.parse(text).images.map(({ file }: { file: string }) => file);
  expect(files(out)).toEqual([path.join(data, "images/train/a.png")]);
  const pattern = await run("detect", manifest, path.join(data, "images/**/*.png"), "--json");
  expect(files(pattern.out)).toEqual([path.join(data, "images/train/a.png")]);
});

test("lists as Windows and classifiers write them", async () => {
  const data = place("lists", {
    "images/图片 1.png": square(16, 40),
    "images/b c.png": square(32, 8),
    "labels/图片 1.txt": label(16, 40),
    "labels/b c.txt": label(32, 8),
  });
  const gbk = Buffer.concat([
    Buffer.from("images\\", "latin1"),
    Buffer.from([0xcd, 0xbc, 0xc6, 0xac]), // 图片
    Buffer.from(" 1.png\r\nimages\\b c.png 3\r\n", "latin1"),
  ]);
  const text = 'images/图片 1.png\n# a comment\n"images\\b c.png",1\n./images/b c.png\n';
  for (const [name, bytes] of Object.entries({
    "gbk.txt": gbk,
    "utf8.txt": Buffer.from(`\ufeff${text}`),
    "utf16.txt": Buffer.from(`\ufeff${text}`, "utf16le"),
  })) {
    place("lists", { [name]: bytes });
    expect((await evaluated("--data", path.join(data, name))).result, name).toMatchObject({
      ...perfect(2),
      skipped: [],
    });
  }
  const table = path.join(data, "tiny.table");
  const list = path.join(data, "gbk.txt");
  const files = [path.join(root, "tiny.param"), path.join(root, "tiny.bin")];
  const settings = ["mean=[0,0,0]", "norm=[1,1,1]", "shape=[64,64,3]", "pixel=RGB"];
  expect((await run("ncnn2table", ...files, list, table, ...settings)).code).toBe(0);
  const empty = place("lists", { "empty.txt": "\n\n" });
  const { code, err } = await evaluated("--data", path.join(empty, "empty.txt"));
  expect([code, err]).toEqual([1, expect.stringContaining("the list is empty")]);
});

test("a model without names takes those of the yaml", async () => {
  const data = place("nameless", { ...export_, "data.yaml": "val: valid/images\nnames: [cat, dog]\n" });
  const { out, err } = await run("eval", nameless, "--data", data, "--json");
  expect(JSON.parse(out).models[0].coco.perClass[0]).toMatchObject({
    label: "cat",
    AP: expect.closeTo(1, 9),
  });
  expect(err).toContain("2 class names are taken for the model");
  place("nameless", { "data.yaml": "val: valid/images\nnames: [cat, dog, cow]\n" });
  const other = await run("eval", nameless, "--data", data);
  expect([other.code, other.err]).toEqual([2, expect.stringContaining("found 3 class names")]);
  const known = await run("eval", manifest, "--data", data);
  expect([known.code, known.err]).toEqual([2, expect.stringContaining("are no labels of the model")]);
});

test("COCO: names stay in the folder, sizes must fit, unused categories do not matter", async () => {
  const coco = (change: object = {}): string =>
    JSON.stringify({
      images: [{ id: 7, file_name: "valid\\images\\a.png", width: 64, height: 64, ...change }],
      categories: [
        { id: 0, name: "squares" },
        { id: 1, name: "white" },
      ],
      annotations: [
        { image_id: 7, category_id: 1, bbox: [32, 8, 8, 8] },
        { image_id: 8, category_id: 1, bbox: [32, 8, 8, 8] },
      ],
    });
  const data = place("coco", { ...export_, "a.json": coco(), "b.json": coco({ width: 32 }) });
  const at = (name: string): string[] => ["--data", path.join(data, name), "--images", data];
  const { result, err } = await evaluated(...at("a.json"));
  expect(result).toMatchObject(perfect(1));
  expect(err).toContain("1 annotation left out");
  const other = await evaluated(...at("b.json"));
  expect(other.code).toBe(1);
  expect(other.err).toMatch(/a\.png: 64x64 pixels, but .* has boxes for 32x64/);
  place("coco", { "c.json": coco({ file_name: "../links/real/train/a.png" }) });
  const outside = await evaluated(...at("c.json"));
  expect([outside.code, outside.err]).toEqual([1, expect.stringContaining("images.0.file_name")]);
});

test("what is no detector is refused before pictures are looked at", async () => {
  const { graph, manifest: facts } = tinyModel("plain");
  put(root, modelFiles(graph, { ...facts, heads: [], labels: [] }));
  const model = path.join(root, "plain.json");
  for (const args of [
    ["deploy", model, "--calib", "missing"],
    ["eval", model, "--data", "missing"],
  ]) {
    const { code, err } = await run(...args);
    expect([code, err]).toEqual([1, expect.stringContaining("is no detector that can be decoded")]);
  }
});

test("the same part is not merged twice", async () => {
  const data = place("parts", { "a.png": square(8, 8), "b.png": square(16, 8) });
  const part = path.join(data, "part1");
  await run("calibrate", manifest, "--images", data, "--shard", "1/2", "-o", part);
  copyFileSync(part, `${part}-copy`);
  const { code, err } = await run("calibrate", manifest, "--merge", part, `${part}-copy`, "-o", "x.table");
  expect([code, err]).toEqual([2, expect.stringContaining("are the same part")]);
});

testData("the datasets of people's reports", async () => {
  const { graph, manifest: facts } = tinyModel("dots");
  put(root, modelFiles(graph, { ...facts, labels: ["dot", "other"] }));
  const model = path.join(root, "dots.json");
  const trial = async (...parts: string[]) => {
    const { out, err } = await run(
      "eval",
      model,
      "--data",
      dataPath(path.join("trials", ...parts)),
      "--json",
    );
    return { ...JSON.parse(out), err };
  };
  expect(await trial("same-names", "data.yaml")).toMatchObject({ images: 3, objects: 3, skipped: [] });
  expect(await trial("roboflow-yaml", "data.yaml")).toMatchObject({ images: 6, objects: 8, skipped: [] });
  expect(await trial("labels-outside", "data.yaml")).toMatchObject({ images: 5, objects: 6, skipped: [] });
});
