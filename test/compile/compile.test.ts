/** Compiled files: the numbers of the engine, the boxes of the library, from a folder that knows nothing of ncnnkit. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { Random } from "../../src/base/random.ts";
import { compileModel } from "../../src/compile/index.ts";
import { postprocess } from "../../src/detect/detect.ts";
import type { Picture } from "../../src/detect/picture.ts";
import { Placer } from "../../src/detect/placer.ts";
import { makeStandalone } from "../../src/engine/standalone.ts";
import { Program } from "../../src/engine/wasm/program.ts";
import { fileTarget } from "../../src/engine/wasm/target.ts";
import { blobsOf } from "../../src/heads/index.ts";
import { type Detection, load, modelFiles, NcnnkitError, open } from "../../src/node.ts";
import type { OpenedModel } from "../../src/open/format.ts";
import { compileModel as fromSteps } from "../../src/steps.ts";
import { features } from "../../src/wasm/index.ts";
import { run, tinyModel } from "../cli/_run.ts";
import { dataPath, describeData } from "../data.ts";
import { noise, noisy, openedOf, writeCompiled } from "./_compiled.ts";

const size = (side: number) => ({ width: side, height: side });

/** What the engine and the library make of a picture, on machines like that of a file. */
async function expectedOf(
  { graph, manifest }: OpenedModel,
  picture: Picture,
  side: { width: number; height: number },
  options = {},
  target = fileTarget("i16", 1),
): Promise<{ raw: Awaited<ReturnType<Program["run"]>>; found: Detection[] }> {
  const { input } = manifest;
  const placer = new Placer(input);
  const { pixels, transform } = placer.place(picture, side);
  const shapes = { [input.blob]: [input.channels, side.height, side.width] };
  const source = { blob: input.blob, levels: placer.levels };
  const program = await Program.make(graph, shapes, blobsOf(manifest.heads), target, source);
  const raw = program.look(pixels).blobs;
  return { raw, found: postprocess(raw, manifest, transform, options) };
}

/** Floats of the library's doubles. */
const rounded = (found: readonly Detection[]): unknown[] =>
  found.map((each) => {
    const { task, label, classId, score } = each;
    const { x, y, width, height } = (each as { box: { x: number; y: number; width: number; height: number } })
      .box;
    const box = {
      x: Math.fround(x),
      y: Math.fround(y),
      width: Math.fround(width),
      height: Math.fround(height),
    };
    return { task, label, classId, score: Math.fround(score), box };
  });

test("the public name is this function", () => {
  expect(fromSteps).toBe(compileModel);
});

describe("a small detector", () => {
  test("outputs and boxes are those of the engine, at every size and shape of picture", async () => {
    const opened = noisy();
    const { module } = await writeCompiled(opened, { sizes: [64, { width: 96, height: 32 }] });
    const detector = await module.load();
    const pictures = [noise(64, 64, 3), noise(31, 77, 4), noise(200, 9, 3), noise(1, 1, 4), noise(97, 64, 3)];
    let boxes = 0;
    for (const side of [size(64), { width: 96, height: 32 }, size(64)]) {
      for (const picture of pictures) {
        const options = { confidence: 0.2, iou: 0.5, maxDetections: 40 };
        const { raw, found } = await expectedOf(opened, picture, side, options);
        expect(detector.run(picture, { size: side }).output).toEqual(raw.output);
        expect(detector.detect(picture, { ...options, size: side })).toEqual(rounded(found));
        boxes += found.length;
      }
    }
    expect(boxes).toBeGreaterThan(50);
  });

  test.each([
    ["stretch", { resize: "stretch" }],
    ["crop", { resize: "crop" }],
    ["corner", { letterboxAlign: "corner" }],
    ["BGR with means", { pixel: "BGR", mean: [103.5, 116.3, 123.7], norm: [0.017, 0.018, 0.019] }],
  ] as const)("pre-processing: %s", async (_, preprocessing) => {
    const opened = noisy();
    Object.assign(opened.manifest.input, preprocessing);
    const { module } = await writeCompiled(opened);
    const detector = await module.load();
    for (const picture of [noise(60, 80, 3), noise(130, 50, 4), noise(64, 64, 3), noise(3, 40, 4)]) {
      const { raw } = await expectedOf(opened, picture, size(64));
      expect(detector.run(picture).output).toEqual(raw.output);
    }
  });

  test("by several threads it computes the same, and by one where there are no more", async () => {
    const opened = noisy();
    const [{ module: plain }, { module: shared, folder }] = [
      await writeCompiled(opened, { sizes: [64, 96] }),
      await writeCompiled(opened, { sizes: [64, 96], threads: 3 }),
    ];
    const one = await plain.load();
    for (const threads of [1, 2, 3]) {
      const detector = await shared.load({ threads });
      for (const side of [64, 96, 64]) {
        const picture = noise(60, 80, 3, side);
        expect(detector.run(picture, { size: side })).toEqual(one.run(picture, { size: side }));
        expect(detector.detect(picture, { size: side })).toEqual(one.detect(picture, { size: side }));
      }
      detector.close();
    }
    const model = await load(path.join(folder, "noisy.wasm"));
    expect((await model.detect(noise(60, 80, 3), { confidence: 0.2 })).length).toBeGreaterThan(0);
  });

  test("without vectors it computes the same", async () => {
    const opened = noisy();
    const [plain, scalar] = await Promise.all(
      [false, true].map(async (scalar) => (await writeCompiled(opened, { scalar })).module.load()),
    );
    for (const picture of [noise(60, 80, 3), noise(64, 64, 4)]) {
      expect(scalar.run(picture)).toEqual(plain.run(picture));
      expect(scalar.detect(picture)).toEqual(plain.detect(picture));
    }
    await expect(compileModel(opened, { scalar: true, target: "both" })).rejects.toThrow(
      "files without vectors are portable",
    );
  });

  test("detect of the module loads by itself, and says what is wrong", async () => {
    const { module } = await writeCompiled(openedOf(tinyModel()));
    const white = { width: 8, height: 8, data: new Uint8Array(192).fill(255) };
    expect((await module.detect(white))[0]).toMatchObject({ label: "white", task: "detect" });
    await expect(module.detect(white, { size: 32 })).rejects.toThrow(
      "tiny: size 32x32: the file was made for 64x64",
    );
    await expect(module.detect({ width: 8, height: 8, data: new Uint8Array(8) })).rejects.toThrow(
      "tiny: a picture is { width, height, data } with three or four bytes a pixel",
    );
    await expect(module.detect({ width: 70000, height: 1, data: new Uint8Array(210000) })).rejects.toThrow(
      "tiny: a picture of 70000x1 is too large",
    );
    await expect(module.load({ mode: "signed" })).rejects.toThrow(
      "tiny: there is no file for signed, only for portable",
    );
  });

  test("sizes that are no multiples of the stride, and nothing to compile, are misuse", async () => {
    const opened = openedOf(tinyModel());
    await expect(compileModel(opened, { sizes: [60] })).rejects.toThrow(
      "size 60x60: expected multiples of the model's stride 8",
    );
    await expect(compileModel({ ...opened, hasWeights: false })).rejects.toThrow("nothing to compile");
    await expect(compileModel(opened, { target: "x86" as "both" })).rejects.toThrow(
      'target "x86": expected one of',
    );
  });

  test("a layer without a kernel is named", async () => {
    const { graph, manifest } = tinyModel();
    const permute = graph.nodes.at(-1)!;
    graph.add({ type: "Noop", name: "odd", inputs: [...permute.outputs], outputs: ["last"] });
    const opened = openedOf({
      graph,
      manifest: { ...manifest, heads: [{ ...manifest.heads[0], blob: "last" }] as never },
    });
    await expect(compileModel(opened)).resolves.toBeDefined();
    const other = tinyModel();
    other.graph.add({
      ...{ type: "CumulativeSum", name: "sums", inputs: ["output"], outputs: ["last"] },
    });
    const heads = [{ ...other.manifest.heads[0], blob: "last" }] as never;
    await expect(
      compileModel(openedOf({ graph: other.graph, manifest: { ...other.manifest, heads } })),
    ).rejects.toThrow('layer "sums" of type CumulativeSum has no WebAssembly kernel');
  });
});

describe("a damaged file", () => {
  test("is refused by its digest", async () => {
    const { folder, module, facts } = await writeCompiled(noisy());
    const bytes = readFileSync(path.join(folder, `${facts.name}.wasm`));
    const random = new Random(5);
    for (let i = 0; i < 20; i++) {
      const damaged = Uint8Array.from(bytes);
      damaged[random.int(0, damaged.length - 1)] ^= 1 << random.int(0, 7);
      await expect(module.load({ bytes: damaged })).rejects.toThrow(
        "is not the file that belongs to noisy.js",
      );
    }
    await expect(module.load({ url: pathToFileURL(path.join(folder, "README.md")) })).rejects.toThrow(
      "SHA-256",
    );
  });

  test("that nobody looks at ends in an error of ours, or in numbers, never outside of its memory", async () => {
    const { files, module } = await writeCompiled(noisy());
    const bytes = files["noisy.wasm"] as Uint8Array;
    const random = new Random(6);
    const picture = noise(40, 30, 3);
    let errors = 0;
    for (let i = 0; i < 150; i++) {
      const damaged = Uint8Array.from(bytes);
      damaged[random.int(8, damaged.length - 40)] ^= 1 << random.int(0, 7);
      let compiled: WebAssembly.Module;
      try {
        compiled = new WebAssembly.Module(damaged);
      } catch {
        continue;
      }
      const done = module.load({ module: compiled }).then((detector) => {
        // A loop without end is a way to be damaged too; it is not tried.
        return detector.exports.picture(1, 1, 3) && detector.run(picture);
      });
      await done.catch((error: unknown) => {
        errors++;
        expect(error).toBeInstanceOf(Error);
      });
    }
    expect(errors).toBeGreaterThanOrEqual(0);
  });
});

test("a file beside its module that has changed gives nothing, and is read again", async () => {
  const { folder, module } = await writeCompiled(noisy());
  const file = path.join(folder, "noisy.wasm");
  const bytes = readFileSync(file);
  const damaged = Uint8Array.from(bytes);
  damaged[bytes.length - 60] ^= 1;
  writeFileSync(file, damaged);
  await expect(module.detect(noise(9, 9, 3))).rejects.toThrow("its SHA-256 is another");
  writeFileSync(file, bytes);
  await expect(module.detect(noise(9, 9, 3), { size: 7 })).rejects.toThrow("the file was made for 64x64");
  const found = await module.detect(noise(60, 80, 3), { confidence: 0.2 });
  const detector = await module.load({ read: async (name: string) => readFileSync(path.join(folder, name)) });
  const look = detector.look(noise(60, 80, 3));
  expect(look.detections({ confidence: 0.2 })).toEqual(found);
  expect(look.detections({ confidence: 0.9 }).length).toBeLessThan(found.length);
  detector.run(noise(9, 9, 3));
  expect(() => look.detections()).toThrow("another picture has been looked at since");
});

describe("the library", () => {
  test("loads a compiled file, with all options of detect", async () => {
    const { folder, facts } = await writeCompiled(noisy(), { sizes: [64, 96] });
    const file = path.join(folder, `${facts.name}.wasm`);
    const model = await load(file);
    const own = await load(modelFolder(folder));
    for (const options of [
      { confidence: 0.2 },
      { confidence: 0.2, size: 96, multiLabel: true, classes: ["black"] },
    ]) {
      for (const picture of [noise(60, 80, 3), noise(200, 9, 4)]) {
        const found = await model.detect(picture, options);
        expect(found.length).toBeGreaterThan(0);
        const expected = await own.detect(picture, options);
        // The library's own machine may round sums of floats otherwise.
        expect(found.map(({ label }) => label)).toEqual(expected.map(({ label }) => label));
        found.forEach(({ score }, i) => expect(score).toBeCloseTo(expected[i].score, 5));
      }
    }
    expect(model.manifest).toMatchObject({ name: "noisy", labels: ["white", "black"], input: { width: 64 } });
    await expect(model.detect(noise(8, 8, 3), { size: 32 })).rejects.toThrow(
      "noisy was compiled for 64x64, 96x96, not for 32x32",
    );
    await expect(
      model.run({ images: { shape: [3, 64, 64], data: new Float32Array(12288) } }),
    ).rejects.toThrow("takes pictures");
    await expect(load(file, { threads: 2 })).rejects.toThrow("runs a compiled file in one thread");
    await expect(open(file)).rejects.toThrow("can be run and inspected, and nothing else");
    model.close();
    await expect(model.detect(noise(8, 8, 3))).rejects.toThrow("closed");
  });

  test("refuses what has changed, what is of another kind, and machines for which it is wrong", async () => {
    const { folder, files } = await writeCompiled(noisy(), { target: "both" });
    const bytes = Uint8Array.from(files["noisy.wasm"] as Uint8Array);
    bytes[bytes.length >> 1] ^= 4;
    await expect(load([{ name: "a.wasm", bytes }])).rejects.toThrow(
      /a\.wasm: SHA-256 .* the file is damaged/,
    );
    const empty = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    await expect(load([{ name: "b.wasm", bytes: empty }])).rejects.toThrow(
      "b.wasm: a WebAssembly module that tells nothing",
    );
    const whole = files["noisy.wasm"] as Uint8Array;
    for (let length = 0; length < whole.length; length += 397) {
      const cut = whole.slice(0, length);
      await expect(load([{ name: "c.wasm", bytes: cut }])).rejects.toThrow(NcnnkitError);
    }
    const { dot } = features();
    const other = dot === "signed" ? "unsigned" : "signed";
    await expect(load(path.join(folder, `noisy.${other}.wasm`))).rejects.toThrow(
      `compiled for machines of the kind "${other}"`,
    );
  });

  test("inspect shows what is inside", async () => {
    const { folder, facts } = await writeCompiled(noisy(), { sizes: [64, 96] });
    const { code, out } = await run("inspect", path.join(folder, "noisy.wasm"));
    expect(code).toBe(0);
    for (const text of [
      "compiled by ncnnkit",
      "portable",
      "64x64, 96x96",
      "output: yolov5",
      facts.source.bin,
    ]) {
      expect(out).toContain(text);
    }
    const json = JSON.parse((await run("inspect", path.join(folder, "noisy.wasm"), "--json")).out);
    expect(json.compiled.sizes).toHaveLength(2);
  });

  test("the command", async () => {
    const folder = path.join((await writeCompiled(noisy())).folder, "made");
    const model = modelFolder(path.dirname(folder));
    const { code, out, err } = await run(
      "compile",
      model,
      "--size",
      "64,32",
      "-o",
      folder,
      "--target",
      "both",
    );
    expect([code, err]).toEqual([0, ""]);
    expect(out).toContain("noisy.unsigned.wasm");
    expect((await run("compile", model, "--size", "64,64", "-o", folder)).code).toBe(2);
    expect((await run("compile", model, "--size", "60", "-o", folder)).err).toContain(
      "multiple of the model's stride 8",
    );
    expect((await run("compile", path.join(folder, "noisy.wasm"), "-o", folder)).err).toContain(
      "can be run and inspected",
    );
  });
});

/** The model that is compiled, as files in a folder. */
function modelFolder(folder: string): string {
  const { graph, manifest } = noisy();
  const own = path.join(folder, "model");
  mkdirSync(own, { recursive: true });
  for (const [name, content] of Object.entries(modelFiles(graph, manifest)))
    writeFileSync(path.join(own, name), content);
  return path.join(own, "noisy.param");
}

describe("what is in the folder", () => {
  test("is small where it is JavaScript", async () => {
    const opened = noisy();
    const zipped = ({ files }: { files: Record<string, Uint8Array | string> }) =>
      gzipSync(files["noisy.js"]).length;
    expect(zipped(await compileModel(opened))).toBeLessThan(6 * 1024);
    expect(zipped(await compileModel(opened, { target: "both", threads: 4 }))).toBeLessThan(12 * 1024);
  });

  test("tells sizes, digests and addresses", async () => {
    const { files } = await compileModel(noisy(), { sizes: [64, 32], target: "both" });
    expect(Object.keys(files).sort()).toEqual([
      ...["README.md", "noisy.d.ts", "noisy.i7.wasm", "noisy.js", "noisy.json"],
      ...["noisy.signed.wasm", "noisy.unsigned.wasm", "noisy.wasm"],
    ]);
    const told = JSON.parse(files["noisy.json"] as string);
    expect(told).toMatchObject({ format: "ncnnkit-compiled", decode: true, pictures: true });
    expect(told.sizes.map(({ width }: { width: number }) => width)).toEqual([64, 32]);
    expect(told.files.map(({ mode }: { mode: string }) => mode)).toEqual([
      "signed",
      "unsigned",
      "i7",
      "portable",
    ]);
  });
});

describeData("real detectors", () => {
  const picture = noise(333, 250, 3, 7);
  const cases = [
    ["yolov5ss-int8.param", 128],
    ["nanodet_m.param", 128],
    ["v5lite-e.param", 128],
    ["FastestDet.param", 352],
    ["yolo-fastestv2-opt.param", 352],
    ["real/yolox_nano.onnx", 128],
  ] as const;
  test.each(cases)("%s", async (file, side) => {
    const read = await open(dataPath(`models/${file}`));
    const { convert } = await import("../../src/open/convert.ts");
    const opened: OpenedModel = read.raw ? { ...read, ...convert(read), raw: false } : read;
    const { module, facts } = await writeCompiled(opened, { sizes: [side], name: "real" });
    const detector = await module.load();
    const { raw, found } = await expectedOf(opened, picture, size(side), { confidence: 0.05 });
    const outputs = detector.run(picture);
    for (const [blob, tensor] of Object.entries(outputs)) expect(tensor, blob).toEqual(raw[blob]);
    expect(facts.decode).toBe(true);
    expect(detector.detect(picture, { confidence: 0.05 })).toEqual(rounded(found));
  });

  test("files are hardly larger than the weights", async () => {
    const opened = await open(dataPath("models/yolov5ss-int8.param"));
    const { modules } = await compileModel(opened, { sizes: [320], target: "both" });
    const weights = statSync(dataPath("models/yolov5ss-int8.bin")).size;
    for (const { mode, bytes } of modules) expect(bytes, mode).toBeLessThan(1.05 * weights + 120_000);
  });

  test("int8 without vectors", async () => {
    const opened = await open(dataPath("models/yolov5ss-int8.param"));
    const { module, modules } = await writeCompiled(opened, { sizes: [64], name: "real", scalar: true });
    const { raw } = await expectedOf(opened, picture, size(64));
    expect((await module.load()).run(picture)).toEqual(raw);
    expect(modules.map(({ file, mode }) => [file, mode])).toEqual([["real.wasm", "scalar"]]);
  });

  // Machines of other kinds, their products done by exact instructions.
  test.each(["signed", "unsigned", "i7"] as const)(
    "int8 by the products of machines that are %s",
    async (dot) => {
      const { graph, manifest } = await open(dataPath("models/yolov5ss-int8.param"));
      const { input, heads } = manifest;
      const plain = { relaxed: false, fusedMadd: false, signSelect: false, emulateDot: dot } as const;
      const target = { ...fileTarget(dot, 1), ...plain, ...(dot === "i7" && { pairTop: 127 }) };
      const shape = [3, 128, 128];
      const placer = new Placer(input);
      const source = { blob: input.blob, levels: placer.levels };
      const { module, sizes } = makeStandalone({
        ...{ graph, sizes: [{ [input.blob]: shape }], outputs: blobsOf(heads), target, suppress: true },
        pictures: { source, border: input.letterboxColor, resize: input.resize, corner: false },
      });
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()));
      const calls = exports as Record<string, (...args: number[]) => number>;
      const memory = exports.memory as WebAssembly.Memory;
      const at = calls.picture(picture.width, picture.height, 3);
      new Uint8Array(memory.buffer, at).set(picture.data);
      expect(calls.preprocess(picture.width, picture.height, 3, 0) + calls.run()).toBe(0);
      // The engine's own plan: other tiles, Winograd, a kernel for every layer.
      const { raw } = await expectedOf(
        { graph, manifest } as OpenedModel,
        picture,
        size(128),
        {},
        { ...target, compact: false },
      );
      for (const { blob, address, shape } of sizes[0].outputs) {
        const count = shape.reduce((a, b) => a * b, 1);
        expect(new Float32Array(memory.buffer, address, count)).toEqual(raw[blob].data);
      }
    },
  );

  const mode = features().dot === "unsigned" && features().signSelect ? "unsigned" : undefined;
  test.skipIf(!mode)("int8 by the products of this machine", async () => {
    const opened = await open(dataPath("models/yolov5ss-int8.param"));
    const { module } = await writeCompiled(opened, { sizes: [128], name: "real", target: "both" });
    const detector = await module.load({ mode });
    const { raw } = await expectedOf(opened, picture, size(128), {}, fileTarget("unsigned", 1));
    expect(detector.run(picture)).toEqual(raw);
  });
});
