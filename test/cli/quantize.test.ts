/** `calibrate`, `quantize` and `deploy` from pictures to files, and what is said of broken inputs. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import sharp from "sharp";
import { expect, test } from "vitest";
import { type Manifest, modelFiles } from "../../src/index.ts";
import { Graph } from "../../src/ir/graph.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import { open, replaceFolder } from "../../src/node.ts";
import { dataPath, testData } from "../data.ts";
import { png, put, run, temporaryFolder, tinyModel } from "./_run.ts";

const folder = temporaryFolder();
const sub = (name: string): string => {
  const created = path.join(folder, name);
  mkdirSync(created, { recursive: true });
  return created;
};

/** The tiny detector behind two more convolutions, so that there are int8 blobs and something to choose. */
function model(change: (graph: Graph, manifest: Manifest) => void = () => {}): {
  graph: Graph;
  manifest: Manifest;
} {
  const { graph: tiny, manifest } = tinyModel();
  const graph = new Graph();
  graph.add({ type: "Input", name: "images", outputs: ["images"] });
  for (const [i, from] of ["images", "x0"].entries()) {
    graph.add({
      type: "ConvolutionDepthWise",
      name: `mix${i}`,
      inputs: [from],
      outputs: [`x${i}`],
      params: {
        num_output: 3,
        kernel_w: 3,
        pad_left: 1,
        bias_term: 1,
        weight_data_size: 27,
        group: 3,
        activation_type: 1,
      },
      weights: {
        weight: f32Weight(Array.from({ length: 27 }, (_, at) => (at % 9 === 4 ? 1 : 0.01))),
        bias: f32Weight([0, 0, 0]),
      },
    });
  }
  for (const node of tiny.nodes.slice(1)) {
    graph.add(node.name === "head" ? { ...node, inputs: ["x1"] } : node);
  }
  change(graph, manifest);
  return { graph, manifest };
}

const files = modelFiles(model().graph, model().manifest);
put(folder, files);
const manifest = path.join(folder, "tiny.json");

const photos = sub("images");
const labels = sub("labels");
for (let i = 0; i < 10; i++) {
  const [x, y] = [8 * (i % 7), 8 * ((3 * i) % 8)];
  put(photos, { [`p${i}.png`]: png(64, 64, (u, v) => u >= x && u < x + 8 && v >= y && v < y + 8) });
  put(labels, { [`p${i}.txt`]: `0 ${(x + 4) / 64} ${(y + 4) / 64} 0.125 0.125\n` });
}

async function calibrated(name: string, ...more: string[]): Promise<string> {
  const table = path.join(folder, name);
  const { code, err } = await run("calibrate", manifest, "--images", photos, "-o", table, ...more);
  expect(code, err).toBe(0);
  return table;
}

test.each(["auto", "minmax", "kl", "aciq", "eq", "percentile", "mse"])(
  "calibrate and quantize with %s",
  async (method) => {
    const table = await calibrated(`${method}.table`, "--method", method);
    const text = readFileSync(table, "utf8");
    expect(text).toMatch(/^mix0_param_0 [\d.]+ [\d.]+ [\d.]+ \nmix1_param_0 /);
    expect(text).toMatch(/\nmix0 \d+\.\d{6} \n/);
    const out = sub(`int8-${method}`);
    const { code, err } = await run("quantize", manifest, "--table", table, "-o", out);
    expect(code, err).toBe(0);
    expect(err.includes("using the corrections")).toBe(method === "auto");
    expect(readdirSync(out).sort()).toEqual([
      "tiny-int8.bin",
      "tiny-int8.h",
      "tiny-int8.json",
      "tiny-int8.param",
    ]);
    const int8 = await open(path.join(out, "tiny-int8.json"));
    expect(Object.keys(int8.manifest.quantization?.layers ?? {})).toEqual(["mix0", "mix1", "head"]);
    expect(int8.graph.node("head")?.weights.weight.storage).toBe("i8");
    // The detector of white squares still is one.
    const boxes = await run("detect", path.join(out, "tiny-int8.json"), path.join(photos, "p1.png"));
    expect(boxes.out).toMatch(/^white 0\.\d+ 8\.\d 24\.\d 8\.\d 8\.\d\n$/);
  },
);

test("parts that are observed apart merge to the table of one run", async () => {
  const whole = await calibrated("whole.table", "--method", "kl");
  const parts = ["1/3", "2/3", "3/3"].map((shard) => ({ shard, file: path.join(folder, `part${shard[0]}`) }));
  for (const { shard, file } of parts) {
    expect((await run("calibrate", manifest, "--images", photos, "--shard", shard, "-o", file)).code).toBe(0);
  }
  const merged = path.join(folder, "merged.table");
  const list = parts.map(({ file }) => file);
  expect((await run("calibrate", manifest, "--merge", ...list, "--method", "kl", "-o", merged)).code).toBe(0);
  expect(readFileSync(merged)).toEqual(readFileSync(whole));
  const other = await run("calibrate", manifest, "--merge", ...list, "--size", "32", "-o", merged);
  expect(other).toMatchObject({
    code: 2,
    err: expect.stringContaining("another model, size or pre-processing"),
  });
  const broken = put(folder, { part9: readFileSync(list[0]).subarray(0, 60) });
  expect(await run("calibrate", manifest, "--merge", broken, "-o", merged)).toMatchObject({
    code: 1,
    err: expect.stringContaining("part9: truncated"),
  });
});

test("other pre-processing than the manifest's is done, with a warning that says what it costs", async () => {
  const table = path.join(folder, "other.table");
  const flags = ["--mean", "104,117,123", "--norm", "0.017", "--pixel", "BGR", "--resize", "stretch"];
  const { code, err } = await run(
    "calibrate",
    manifest,
    "--images",
    photos,
    "--method",
    "minmax",
    "-o",
    table,
    ...flags,
  );
  expect(code).toBe(0);
  expect(err).toMatch(
    /warning: .*pixel BGR against RGB; mean 104,117,123 against 0,0,0; norm .*cost 7\.7 AP/,
  );
  const scale = Number(/\nmix0 (\S+)/.exec(readFileSync(table, "utf8"))?.[1]);
  expect(scale).toBeCloseTo(127 / ((255 - 104) * 0.017), 1);
});

test("layers stay float: those missing from the table, those asked for", async () => {
  const table = await calibrated("some.table", "--method", "minmax");
  const lines = readFileSync(table, "utf8").split("\n");
  writeFileSync(table, lines.filter((line) => !line.startsWith("mix0")).join("\n"));
  const out = sub("some-int8");
  const asked = ["--keep-float", "head", "--json"];
  const { out: json } = await run("quantize", manifest, "--table", table, "-o", out, ...asked);
  expect(JSON.parse(json).quantization.keptFloat).toEqual([
    { name: "mix0", reason: "not in the table" },
    { name: "head", reason: "asked for" },
  ]);
  const unknown = await run("quantize", manifest, "--table", table, "-o", out, "--keep-float", "hed");
  expect(unknown).toMatchObject({ code: 2, err: expect.stringContaining('no layer "hed"') });
});

test("corrections beside a table are for the model and table that they were made with", async () => {
  const table = await calibrated("fitting.table");
  const out = sub("edited");
  const text = readFileSync(table, "utf8");
  writeFileSync(table, text.replace(/\nmix0 \S+/, "\nmix0 1.000000"));
  const edited = await run("quantize", manifest, "--table", table, "-o", out);
  expect(edited.err).toContain("does not fit the scales in the table: only the table is used");
  expect((await open(path.join(out, "tiny-int8.json"))).manifest.quantization?.layers.mix0.input).toBe(1);
  // A layer that is taken out of the table stays float, and the others are corrected.
  writeFileSync(
    table,
    text
      .split("\n")
      .filter((line) => !/^head[ _]/.test(line))
      .join("\n"),
  );
  const fewer = await run("quantize", manifest, "--table", table, "-o", out, "--json");
  expect(fewer.err).toContain("using the corrections");
  expect(JSON.parse(fewer.out).quantization.keptFloat).toEqual([
    { name: "head", reason: "not in the table" },
  ]);
});

test("budgets: sensitive layers stay float", async () => {
  const table = await calibrated("budget.table", "--method", "minmax");
  const text = readFileSync(table, "utf8");
  // A scale that rounds everything to nothing makes one layer bad.
  writeFileSync(table, text.replace(/\nmix1 \S+/, "\nmix1 0.100000"));
  const args = ["--table", table, "-o", sub("budget"), "--json"];
  const none = await run("quantize", manifest, ...args, "--budget-ap", "1");
  expect(none).toMatchObject({ code: 2, err: expect.stringContaining("a budget needs pictures") });
  const { out, err } = await run("quantize", manifest, ...args, "--budget-ap", "1", "--images", photos);
  expect(JSON.parse(out).quantization.keptFloat, err).toEqual([
    { name: "mix1", reason: "number 1 of 3 in sensitivity, within the budget of 1 AP" },
  ]);
  const time = await run("quantize", manifest, ...args, "--budget-time", "100%", "--images", photos);
  expect(time.code, time.err).toBe(0);
  expect((await run("quantize", manifest, ...args, "--budget-time", "5 ms")).err).toContain(
    "Expected a percentage",
  );
});

test("deploy writes a folder with models, table, report and pictures; again, it replaces it", async () => {
  const out = path.join(folder, "deployed");
  const args = ["deploy", manifest, "--calib", photos, "--eval", photos, "-o", out];
  const first = await run(...args);
  expect(first.code, first.err).toBe(0);
  expect(first.out).toMatch(/^ +AP +AP50 +fidelity .*\nfp32 +100\.0 .*\nfp16 +100\.0 .*\nint8 +\d/);
  expect(readdirSync(out).sort()).toEqual([
    "fp16",
    "int8",
    "ncnnkit-files.json",
    "pictures",
    "report.html",
    "tiny.table",
  ]);
  expect(readdirSync(path.join(out, "int8")).sort()).toEqual(
    ["bin", "h", "json", "param"].map((extension) => `tiny-int8.${extension}`),
  );
  expect(readdirSync(path.join(out, "fp16"))).toHaveLength(4);
  const int8 = await open(path.join(out, "int8"));
  expect(int8.manifest.quantization).toMatchObject({
    method: "auto",
    images: 10,
    accuracy: { images: 10, apFloat: expect.closeTo(1, 9) },
  });
  const page = readFileSync(path.join(out, "report.html"), "utf8");
  expect(page).toContain("<h1>tiny: fp32 to int8</h1>");
  expect(page).not.toContain(folder); // nothing of this machine's folders
  // The table belongs to the fp16 model.
  const again = await run(
    "quantize",
    path.join(out, "fp16"),
    "--table",
    path.join(out, "tiny.table"),
    "-o",
    sub("again"),
  );
  expect(again.code, again.err).toBe(0);

  writeFileSync(path.join(out, "notes.txt"), "of the user");
  expect((await run(...args, "--method", "kl", "--json")).code).toBe(0);
  expect(readFileSync(path.join(out, "notes.txt"), "utf8")).toBe("of the user");
  expect((await open(path.join(out, "int8"))).manifest.quantization?.method).toBe("kl");
  expect([...readdirSync(folder), ...readdirSync(out)].filter((name) => name.startsWith("."))).toEqual([]);
});

test("deploy without labelled pictures keeps some out, and says so", async () => {
  const out = path.join(folder, "held-out");
  const { code, out: json, err } = await run("deploy", manifest, "--calib", photos, "-o", out, "--json");
  expect(code, err).toBe(0);
  const result = JSON.parse(json);
  expect(result).toMatchObject({
    images: 2,
    calibration: { images: 8 },
    measuredOn: expect.stringContaining("kept out of calibration"),
  });
  expect(result.variants[2].coco).toBeUndefined();
  expect(result.variants[2].fidelity).toBeGreaterThan(0.5);
});

test("deploy does not replace a folder that is not its own", async () => {
  const mine = sub("mine");
  put(mine, { "thesis.txt": "x" });
  const { code, err } = await run("deploy", manifest, "--calib", photos, "-o", mine);
  expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining("not an earlier result") });
  expect(readdirSync(mine)).toEqual(["thesis.txt"]);
});

test("Ctrl-C while the folder is written leaves the old one and nothing else", async () => {
  const parent = sub("interrupt");
  const target = path.join(parent, "out");
  await replaceFolder(target, { "a/b.txt": "old" });
  const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`a/file-${i}`, "x"]));
  const listener = (): void => {}; // keeps this process alive
  process.on("SIGINT", listener);
  try {
    const writing = expect(replaceFolder(target, many)).rejects.toThrow("interrupted");
    expect(readdirSync(target)).toHaveLength(3);
    process.kill(process.pid, "SIGINT");
    await writing;
  } finally {
    process.off("SIGINT", listener);
  }
  expect(readdirSync(parent)).toEqual(["out"]);
  expect(readdirSync(target)).toEqual(["a", "ncnnkit-files.json"]);
  expect(readFileSync(path.join(target, "a/b.txt"), "utf8")).toBe("old");
});

test("unreadable pictures are told and left out", async () => {
  const mixed = sub("mixed");
  put(mixed, { "a.png": readFileSync(path.join(photos, "p0.png")), "b.png": "no picture" });
  put(mixed, { "gone.txt": `${path.join(mixed, "a.png")}\nmissing.png\n` });
  for (const source of [mixed, path.join(mixed, "gone.txt")]) {
    const { code, err } = await run(
      "calibrate",
      manifest,
      "--images",
      source,
      "-o",
      path.join(folder, "mixed.table"),
    );
    expect(code, err).toBe(0);
    expect(err.match(/skipped /g)).toHaveLength(1);
    expect(err).toContain("3 layers, 1 picture,");
  }
});

test("black pictures: layers whose input is always zero are told, and quantize", async () => {
  const black = sub("black");
  put(black, { "a.png": png(64, 64) });
  for (const method of ["auto", "kl", "minmax"]) {
    const table = path.join(folder, `black-${method}.table`);
    const { code, err } = await run(
      "calibrate",
      manifest,
      "--images",
      black,
      "--method",
      method,
      "-o",
      table,
    );
    expect(code, err).toBe(0);
    expect(err).toContain("layer mix0: its input images is all zero");
    const quantized = await run("quantize", manifest, "--table", table, "-o", sub(`black-${method}`));
    expect(quantized.code, quantized.err).toBe(0);
  }
});

test("bad input: one clear line each", async () => {
  const nan = model((graph) => {
    (graph.node("mix1")?.weights.weight.data as Float32Array)[3] = Number.NaN;
  });
  const broken = put(sub("nan"), { ...modelFiles(nan.graph, nan.manifest) });
  const table = await calibrated("good.table", "--method", "minmax");
  const foreign = put(folder, {
    "foreign.table": "conv9_param_0 1.0 \nmix0_param_0 1.0 1.0 1.0 \nconv9 2.0 \n",
  });
  const narrow = put(folder, { "narrow.table": "mix0_param_0 1.0 1.0 \nmix0 2.0 \n" });
  await run("quantize", manifest, "--table", table, "-o", sub("done"));
  const done = path.join(folder, "done", "tiny-int8.json");
  const contradicting = put(sub("contradicting"), {
    ...files,
    "tiny.json": String(files["tiny.json"]).replace('["white", "black"]', '["white", "black", "grey"]'),
  });
  const out = path.join(folder, "never");
  const cases: [string[], RegExp][] = [
    [["calibrate", manifest, "--images", sub("nothing"), "-o", `${out}.table`], /no pictures in this folder/],
    [["calibrate", broken, "--images", photos, "-o", `${out}.table`], /layer "mix1": weight\[3\] is NaN/],
    [["calibrate", done, "--images", photos, "-o", `${out}.table`], /layer "mix0" is int8 already/],
    [["calibrate", contradicting, "--images", photos, "-o", `${out}.table`], /expected 8 \(5 \+ 3 labels\)/],
    [
      ["quantize", manifest, "--table", foreign, "-o", out],
      /foreign\.table: the table belongs to another model: 1 of its 2 layers .*conv9/,
    ],
    [["quantize", manifest, "--table", narrow, "-o", out], /"mix0" has 3 weight scales, the table gives 2/],
    [["quantize", done, "--table", table, "-o", out], /is int8 already/],
    [["quantize", broken, "--table", table, "-o", out], /not finite/],
    [
      ["quantize", manifest, "--table", path.join(folder, "no.table"), "-o", out],
      /no\.table: there is no such file/,
    ],
    [["quantize", manifest, "--table", path.join(folder, "tiny.bin"), "-o", out], /tiny\.bin/],
    [["deploy", manifest, "--calib", sub("nothing"), "-o", out], /no pictures in this folder/],
    [["deploy", done, "--calib", photos, "-o", out], /int8 already/],
    [["deploy", broken, "--calib", photos, "-o", out], /not finite/],
    [["deploy", contradicting, "--calib", photos, "-o", out], /expected 8 \(5 \+ 3 labels\)/],
  ];
  for (const [args, problem] of cases) {
    const result = await run(...args);
    expect(result, args.join(" ")).toMatchObject({ code: 1, out: "" });
    const errors = result.err.split("\n").filter((line) => line.startsWith("error: "));
    expect(errors, result.err).toHaveLength(1);
    expect(errors[0]).toMatch(problem);
    expect(result.err).not.toContain("defect");
  }
  expect(existsSync(out)).toBe(false);
  expect(existsSync(`${out}.table`)).toBe(false);
});

test.each([
  [["calibrate", manifest, "-o", "t"], "give pictures with --images"],
  [["calibrate", manifest, "--images", photos], "required option '-o, --out <file>'"],
  [["calibrate", manifest, "--images", photos, "-o", "t", "--shard", "3/2"], "as in 1/4"],
  [["calibrate", manifest, "--images", photos, "-o", "t", "--mean", "1,2"], "expected 3, one a channel"],
  [
    ["calibrate", manifest, "--images", photos, "-o", "t", "--method", "best"],
    "Allowed choices are auto, kl",
  ],
  [["quantize", manifest, "-o", "x"], "required option '--table <file>'"],
  [["deploy", manifest], "required option '--calib <path>'"],
])("misuse: %s", async (args, message) => {
  const { code, out, err } = await run(...args);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toContain(message);
});

testData("a real checkpoint is deployed with small loss", async () => {
  const out = path.join(folder, "real");
  const calib = sub("real-calib");
  const source = dataPath("coco/images/train2017");
  for (const name of readdirSync(source).slice(0, 4)) {
    put(calib, { [name]: await sharp(path.join(source, name)).resize(160).jpeg().toBuffer() });
  }
  const evaluation = ["--eval", dataPath("coco/coco.yaml"), "--eval-limit", "4", "--size", "160"];
  const fast = ["--method", "mse"];
  const {
    code,
    out: json,
    err,
  } = await run(
    ...[
      "deploy",
      dataPath("models/yolov5ss.pt"),
      "--calib",
      calib,
      "-o",
      out,
      "--json",
      ...evaluation,
      ...fast,
    ],
  );
  expect(code, err).toBe(0);
  const result = JSON.parse(json);
  expect(Object.keys(result.quantization.layers).length).toBeGreaterThan(70);
  expect(result.variants[1].fidelity).toBeGreaterThan(0.95);
  expect(result.variants[2].fidelity).toBeGreaterThan(0.6);
  expect(result.variants[2].bytes).toBeLessThan(result.variants[0].bytes / 3);
  const worst = result.layers.filter((layer: { sqnr: number }) => layer.sqnr < 3);
  expect(worst).toEqual([]);
});
