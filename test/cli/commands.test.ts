/** What the commands print and write. */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import sharp from "sharp";
import { expect, test } from "vitest";
import { version } from "../../src/index.ts";
import { writeFiles } from "../../src/node.ts";
import { dataPath, testData } from "../data.ts";
import { png, put, run, temporaryFolder, tinyFiles } from "./_run.ts";

const folder = temporaryFolder();
const model = put(folder, { "tiny.json": tinyFiles()["tiny.json"], ...tinyFiles() });
const manifest = path.join(folder, "tiny.json");
const pictures = path.join(folder, "pictures");
mkdirSync(path.join(pictures, "deep"), { recursive: true });
/** One white cell of the head's grid: the box of its first anchor, 8x8, lies exactly on it. */
const cell = (x: number, y: number): boolean => x >= 16 && x < 24 && y >= 40 && y < 48;
put(pictures, { "a.png": png(64, 64, cell), "b.png": png(64, 64), "notes.txt": "no picture" });
put(path.join(pictures, "deep"), { "c.png": png(64, 64, cell) });

test("detect prints a line per box", async () => {
  const { code, out, err } = await run("detect", manifest, path.join(pictures, "a.png"));
  expect(out).toBe("white 0.987 16.0 40.0 8.0 8.0\n");
  expect(err).toMatch(/^1 box on 1 picture, \d+ ms each\n$/);
  expect(code).toBe(0);
});

test("detect --json prints JSON only, with what was skipped", async () => {
  put(pictures, { "broken.png": "no" });
  const { code, out } = await run("detect", manifest, pictures, "--json", "--conf", "0.5");
  const result = JSON.parse(out);
  expect(code).toBe(0);
  expect(result.images.map(({ file }: { file: string }) => path.relative(pictures, file))).toEqual([
    "a.png",
    "b.png",
    path.join("deep", "c.png"),
  ]);
  expect(result.images[0]).toMatchObject({
    width: 64,
    height: 64,
    detections: [{ label: "white", classId: 0, box: { x: 16, y: 40, width: 8, height: 8 } }],
  });
  expect(result.failed).toMatchObject([{ file: path.join(pictures, "broken.png") }]);
});

test("detect goes on after a damaged picture, and warns", async () => {
  const square = sharp({ create: { width: 64, height: 64, channels: 3, background: "#000" } });
  const whole = new Uint8Array(await square.jpeg().toBuffer());
  const damaged = path.join(folder, "damaged");
  mkdirSync(damaged);
  put(damaged, { "a.jpg": whole.subarray(0, -2), "b.jpe": whole, "c.jfif": whole.subarray(0, 90) });
  const { code, out, err } = await run("detect", manifest, damaged, "--json");
  expect(code).toBe(0);
  expect(JSON.parse(out).images).toHaveLength(2);
  expect(err).toMatch(/warning: .*a\.jpg: damaged, read as far as it goes: it ends too early/);
  expect(err).toMatch(/skipped .*c\.jfif: not a picture/);
});

test.each([
  ["*.png", ["a.png", "b.png"]],
  ["**/*.png", ["a.png", "b.png", path.join("deep", "c.png")]],
  ["[ab].png", ["a.png", "b.png"]],
  ["{a,x}.p?g", ["a.png"]],
])("pattern %s", async (pattern, expected) => {
  const { out } = await run("detect", manifest, path.join(pictures, pattern), "--json");
  const found = JSON.parse(out).images.map(({ file }: { file: string }) => path.relative(pictures, file));
  expect(found).toEqual(expected);
});

test("detect --out writes pictures with boxes, beside them YOLO text or COCO results", async () => {
  const out = path.join(folder, "out");
  const images = [path.join(pictures, "a.png"), path.join(pictures, "deep")];
  expect((await run("detect", manifest, ...images, "--out", out, "--save", "txt")).code).toBe(0);
  expect(readdirSync(out).sort()).toEqual(["a.png", "a.txt", "c.png", "c.txt"]);
  const [id, cx, cy, w, h, score] = readFileSync(path.join(out, "a.txt"), "utf8")
    .trim()
    .split(" ")
    .map(Number);
  expect([id, cx, cy, w, h]).toEqual([0, 20 / 64, 44 / 64, 8 / 64, 8 / 64]);
  expect(score).toBeCloseTo(0.987, 3);
  const drawn = await sharp(path.join(out, "a.png")).raw().toBuffer({ resolveWithObject: true });
  expect(drawn.info).toMatchObject({ width: 64, height: 64 });
  const grey = Array.from(drawn.data).every(
    (value, i) => value === drawn.data[i - (i % drawn.info.channels)],
  );
  expect(grey).toBe(false); // something coloured was drawn on a grey picture

  expect((await run("detect", manifest, ...images, "--out", out, "--save", "coco")).code).toBe(0);
  const rows = JSON.parse(readFileSync(path.join(out, "detections.json"), "utf8"));
  expect(rows).toMatchObject([
    { image_id: "a", category_id: 0, bbox: [16, 40, 8, 8] },
    { image_id: "c", category_id: 0, bbox: [16, 40, 8, 8] },
  ]);
});

test("a picture is never overwritten by its annotated copy", async () => {
  const before = readFileSync(path.join(pictures, "a.png"));
  const { code, err } = await run("detect", manifest, path.join(pictures, "a.png"), "--out", pictures);
  expect(code).toBe(2);
  expect(err).toContain("would overwrite");
  expect(readFileSync(path.join(pictures, "a.png"))).toEqual(before);
});

test("EXIF orientation is respected", async () => {
  const upright = await sharp(png(64, 32, (x, y) => x >= 8 && x < 16 && y < 8))
    .toColourspace("srgb")
    .raw()
    .toBuffer();
  const jpeg = await sharp(upright, { raw: { width: 64, height: 32, channels: 3 } })
    .rotate(90)
    .jpeg({ quality: 100 })
    .withMetadata({ orientation: 8 }) // turn back by 90° to see it
    .toBuffer();
  const file = put(folder, { "turned.jpg": jpeg });
  const [image] = JSON.parse((await run("detect", manifest, file, "--json")).out).images;
  expect(image).toMatchObject({ width: 64, height: 32 });
  expect(image.detections[0].box.x).toBeCloseTo(8, 1);
  expect(image.detections[0].box.y).toBeCloseTo(0, 1);
});

test("a bare .param is detected with, and what was assumed is said", async () => {
  const bare = path.join(folder, "bare");
  mkdirSync(bare);
  const file = put(bare, { "tiny.param": tinyFiles()["tiny.param"], "tiny.bin": tinyFiles()["tiny.bin"] });
  const image = path.join(pictures, "a.png");
  const blind = await run("detect", file, image, "--size", "64");
  expect(blind.code).toBe(1);
  expect(blind.err).toMatch(/warning: .*--anchors[\s\S]*error: tiny is no detector/);
  const facts = ["--size", "64", "--anchors", "8,8,16,16,24,24", "--labels", "white,black"];
  const told = await run("detect", file, image, ...facts);
  expect(told.out).toBe("white 0.987 16.0 40.0 8.0 8.0\n");
  expect((await run("detect", file, image, "--size", "64", "--anchors", "8,8,16,16")).err).toContain(
    "expected 6 numbers for stride 8",
  );
});

test("convert writes four files that load again", async () => {
  const out = path.join(folder, "converted");
  const { code } = await run("convert", manifest, "-o", out, "--fp16", "--name", "half");
  expect(code).toBe(0);
  expect(readdirSync(out).sort()).toEqual(["half.bin", "half.h", "half.json", "half.param"]);
  const [first, second] = [manifest, path.join(out, "half.json")].map((file) =>
    run("inspect", file, "--json"),
  );
  const [full, half] = [JSON.parse((await first).out), JSON.parse((await second).out)];
  expect(half.storage).toEqual({ f16: full.storage.f32 - 21, f32: 21 });
  expect(half.manifest.provenance.passes).toContain("store-fp16");
  const boxes = await run("detect", path.join(out, "half.json"), path.join(pictures, "a.png"));
  expect(boxes.out).toBe("white 0.987 16.0 40.0 8.0 8.0\n");
});

test("convert does not overwrite its source", async () => {
  const { code, err } = await run("convert", path.join(folder, "tiny.param"), "-o", folder);
  expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining("would be overwritten") });
});

test("inspect says what is in a model", async () => {
  const { out } = await run("inspect", manifest, "--graph");
  expect(out.replaceAll(manifest, "MODEL")).toMatchInlineSnapshot(`
    "file        MODEL (ncnnkit model manifest)
    task        detect
    input       images 64x64x3, RGB, (level - 0) * 0.00392157, letterbox with grey 114
    outputs     output 7x64x3
    heads       output: yolov5, stride 8, anchors 8,8,16,16,24,24
    told by     the manifest
    classes     2: white, black
    layers      4: Convolution 1, Input 1, Permute 1, Reshape 1
    parameters  4.05 k; 4.05 k float32; 0.02 MiB
    work        258 k multiply-accumulates at 64x64

    type         name     inputs  outputs         MACs   parameters
    Input        images           images 64x64x3
    Convolution  head     images  raw 8x8x21      258 k  num_output=21 kernel_w=8 stride_w=8 bias_term=1 weight_data_size=4032
    Reshape      reshape  raw     grid 64x7x3            w=-1 h=7 c=3
    Permute      permute  grid    output 7x64x3          order_type=1
    "
  `);
});

test.each([
  [[], "Usage: ncnnkit"],
  [["detct"], "Did you mean detect?"],
  [["detect", "--jsom", "m", "i"], "Did you mean --json?"],
  [["detect", "m"], "name pictures or videos to look at, or --camera"],
  [["detect", "m", "i", "--conf", "2"], "Expected a number from 0 to 1"],
  [["detect", "m", "i", "--conf", ""], "Expected a number from 0 to 1"],
  [["detect", "m", "i", "--size", "big"], "Expected a side in pixels"],
  [["detect", "m", "i", "--anchors", "1,2,3"], "Expected widths and heights"],
  [["detect", "m", "i", "--backend", "gpu"], "Allowed: wasm, webgpu, reference, auto"],
  [["detect", "m", "i", "--save", "xml", "--out", "o"], "Allowed choices are txt, coco"],
  [["detect", "m", "i", "--save", "txt"], "--save needs --out"],
  [["convert", "m"], "required option '-o, --out <dir>' not specified"],
  [["convert", model, "-o", "x", "--name", "../y"], "expected a file name"],
  [["detect", manifest, path.join(pictures, "a.png"), "--size", "65"], "multiple of the model's stride 8"],
  [["detect", manifest, path.join(pictures, "a.png"), "--classes", "pink"], "white, black"],
])("misuse: %s", async (args, message) => {
  const { code, out, err } = await run(...args);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toContain(message);
  expect(err).not.toMatch(/\n\s+at /);
});

test("help and version go to stdout", async () => {
  expect(await run("--version")).toEqual({ code: 0, out: `${version}\n`, err: "" });
  for (const command of ["detect", "convert", "inspect"]) {
    const { code, out, err } = await run(command, "--help");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain("Examples:\n  ncnnkit ");
  }
});

test("a stack is shown with --debug only", async () => {
  const missing = path.join(folder, "no.pt");
  expect((await run("inspect", missing)).err).not.toContain("\n    at ");
  expect((await run("inspect", missing, "--debug")).err).toContain("\n    at ");
});

testData("from the checkpoint and from the author's files to the same boxes", async () => {
  const picture = dataPath("coco/images/val2017/000000000139.jpg");
  const boxes = async (name: string) => {
    const { out } = await run("detect", dataPath(`models/${name}`), picture, "--json", "--size", "320");
    return JSON.parse(out).images[0].detections;
  };
  const ours = await boxes("yolov5ss.pt");
  const theirs = await boxes("yolov5ss.param"); // float16 weights
  expect(ours.map(({ label }: { label: string }) => label)).toEqual(["tv", "chair", "chair"]);
  expect(theirs).toHaveLength(3);
  for (const [i, { label, score, box }] of ours.entries()) {
    expect(theirs[i].label).toBe(label);
    expect(Math.abs(theirs[i].score - score)).toBeLessThan(0.01);
    for (const side of ["x", "y", "width", "height"]) {
      expect(Math.abs(theirs[i].box[side] - box[side])).toBeLessThan(1);
    }
  }
});

test("Ctrl-C while files are written leaves none of them", async () => {
  const target = path.join(folder, "deep", "interrupted");
  const files = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`file-${i}`, "x".repeat(1000)]));
  let heard = 0;
  const listener = (): void => void heard++; // keeps this process alive, and shows that the signal goes on
  process.on("SIGINT", listener);
  try {
    const writing = expect(writeFiles(target, files)).rejects.toThrow("interrupted");
    expect(readdirSync(target)).toEqual([expect.stringMatching(`^\\.ncnnkit-${process.pid}-\\d+\\.part$`)]);
    process.kill(process.pid, "SIGINT");
    await writing;
  } finally {
    process.off("SIGINT", listener);
  }
  expect(heard).toBeGreaterThan(0);
  expect(existsSync(path.join(folder, "deep"))).toBe(false);
});

test("convert and export keep what is not theirs to replace", async () => {
  const into = path.join(folder, "keeps");
  mkdirSync(into);
  put(into, { "tiny.json": '{ "name": "a project" }' });
  const refused = await run("convert", model, "-o", into);
  expect(refused).toMatchObject({ code: 2, err: expect.stringContaining("tiny.json is not from ncnnkit") });
  expect(readdirSync(into)).toEqual(["tiny.json"]);
  const own = path.join(folder, "own");
  for (let i = 0; i < 2; i++) expect((await run("convert", model, "-o", own)).code).toBe(0);
  // The folder is what is read: its files must not be replaced, under any path to it.
  symlinkSync(own, path.join(folder, "own-link"));
  const same = await run("convert", own, "-o", path.join(folder, "own-link"));
  expect(same).toMatchObject({ code: 2, err: expect.stringContaining("would be overwritten") });
  const onnx = path.join(own, "tiny.onnx");
  expect((await run("export", path.join(own, "tiny.json"))).code).toBe(0);
  expect(await run("export", path.join(own, "tiny.json"))).toMatchObject({
    code: 2,
    err: expect.stringContaining("tiny.onnx is there already; to replace it, name it with -o"),
  });
  expect((await run("export", path.join(own, "tiny.json"), "-o", onnx)).code).toBe(0);
});

test("detect writes over no picture that it reads, and no labels", async () => {
  const all = path.join(folder, "inputs");
  mkdirSync(path.join(all, "below"), { recursive: true });
  const white = png(64, 64, cell);
  put(all, { "x.png": white, "x.txt": "0 0.5 0.5 0.1 0.1\n" });
  put(path.join(all, "below"), { "x.png": white });
  symlinkSync(all, path.join(folder, "inputs-link"));
  const link = path.join(folder, "inputs-link");
  // The boxes of below/x.png would go where the other picture is.
  const [x, below] = [path.join(all, "x.png"), path.join(all, "below", "x.png")];
  for (const [files, out] of [
    [[below, x], all],
    [[x], link],
  ] as const) {
    const { code, err } = await run("detect", manifest, ...files, "--out", out);
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringMatching(/would overwrite .*x\.png/) });
  }
  const jpg = path.join(all, "y.jpeg");
  writeFileSync(jpg, white);
  writeFileSync(path.join(all, "y.txt"), "0 0.5 0.5 0.1 0.1\n");
  const labels = await run("detect", manifest, path.join(all, "y.jpeg"), "--out", link, "--save", "txt");
  expect(labels).toMatchObject({ code: 2, err: expect.stringContaining("would overwrite") });
  expect(readFileSync(path.join(all, "y.txt"), "utf8")).toBe("0 0.5 0.5 0.1 0.1\n");
  expect(readFileSync(x)).toEqual(Buffer.from(white));
});
