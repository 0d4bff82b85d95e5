/** `evaluateModels` and `deploy` as a page would call them: pictures and models in memory, files out as bytes. */
import { expect, test } from "vitest";
import {
  type DeployStage,
  deploy,
  type EvaluationEntry,
  type EvaluationItem,
  evaluateModels,
  GraphError,
  load,
  modelFiles,
  open,
  type Picture,
  readEntries,
} from "../../src/index.ts";
import { tinyFiles, tinyModel } from "../cli/_run.ts";

const named = (files: Record<string, Uint8Array | string>): { name: string; bytes: Uint8Array }[] =>
  Object.entries(files)
    .filter(([name]) => !name.endsWith(".h"))
    .map(([name, content]) => ({
      name,
      bytes: typeof content === "string" ? new TextEncoder().encode(content) : content,
    }));

/** Black with a white square of 8 pixels. */
function square(x: number, y: number): Picture {
  const data = new Uint8ClampedArray(64 * 64 * 4);
  for (let v = y; v < y + 8; v++) data.fill(255, (v * 64 + x) * 4, (v * 64 + x + 8) * 4);
  return { width: 64, height: 64, data };
}

/** The truth is given in pixels of a picture twice as large, as if it had been shrunk on reading. */
function item(id: number): EvaluationItem {
  const [x, y] = [8 * (id % 8), 8 * ((3 * id) % 8)];
  const box = { x: 2 * x, y: 2 * y, width: 16, height: 16 };
  return { id, picture: square(x, y), width: 128, height: 128, truth: [{ image: id, category: 0, box }] };
}
const entries: EvaluationEntry[] = Array.from({ length: 12 }, (_, id) => ({
  name: `photos/${id}.png`,
  read: async () => item(id),
}));

test("evaluateModels takes any iterable, and boxes in the size of the truth", async () => {
  const model = await load(named(tinyFiles()));
  const result = await evaluateModels([model], [item(0), item(5), item(9)]);
  expect(result).toMatchObject({ images: 3, objects: 3, width: 64, height: 64 });
  expect(result.models[0].coco?.AP).toBeCloseTo(1, 9);
  expect(result.models[0].fidelity).toBeUndefined();
  const unlabelled = await evaluateModels([model, model], [{ id: "a", picture: square(8, 8) }]);
  expect(unlabelled.objects).toBeUndefined();
  expect(unlabelled.models[0].coco).toBeUndefined();
  expect(unlabelled.models[1].fidelity?.fidelity).toBeCloseTo(1, 9);
  await expect(evaluateModels([model], [])).rejects.toThrow("no picture to evaluate on");
  await expect(evaluateModels([], [item(0)])).rejects.toThrow("no model");
  model.close();
});

test("an output that is not finite is an error, not an AP of 0", async () => {
  const { graph, manifest } = tinyModel();
  (graph.node("head")?.weights.bias.data as Float32Array)[3] = Number.NaN;
  const model = await load(named(modelFiles(graph, manifest)));
  await expect(evaluateModels([model], [item(0)])).rejects.toThrow(/output "output" of picture 0 holds NaN/);
  model.close();
});

test("deploy: bytes in, files out", async () => {
  const opened = await open(named(tinyFiles()));
  const stages = new Set<DeployStage>();
  const drawn: Picture[] = [];
  const { files, report, record, name } = await deploy(
    opened,
    { calibration: entries.slice(0, 6), evaluation: entries.slice(6) },
    {
      name: "small",
      date: new Date("2026-01-02T03:04:05Z"),
      onProgress: ({ stage }) => stages.add(stage),
      encode: async (picture) => {
        drawn.push(picture);
        return { type: "image/png", bytes: new Uint8Array([1, 2, 3]) };
      },
    },
  );
  expect(name).toBe("small");
  expect(
    Object.keys(files)
      .filter((file) => !file.startsWith("pictures/"))
      .sort(),
  ).toEqual([
    ...["bin", "h", "json", "param"].map((extension) => `fp16/small.${extension}`),
    ...["bin", "h", "json", "param"].map((extension) => `int8/small-int8.${extension}`),
    "report.html",
    "small.table",
  ]);
  expect(drawn).toHaveLength(8);
  expect(files[`pictures/1-${report.examples[0].name.replace(".png", "")}-fp32.png`]).toHaveLength(3);
  expect(record).toMatchObject({ method: "auto", images: 6, accuracy: { images: 6 } });
  expect(report).toMatchObject({ date: "2026-01-02 03:04 UTC", images: 6, objects: 6 });
  expect(report.variants.map(({ coco }) => coco?.AP)).toEqual([
    expect.closeTo(1, 9),
    expect.closeTo(1, 9),
    expect.any(Number),
  ]);
  expect(report.variants[2].fidelity).toBeGreaterThan(0.5);
  expect(report.layers[0]).toMatchObject({ name: "head", absmax: 1 });
  expect(stages).toContain("observe");
  expect(stages).toContain("evaluate");
  // The int8 model loads, and runs as what it was measured to be.
  const inFolder = Object.entries(files).filter(([file]) => file.startsWith("int8/"));
  const int8 = await load(
    named(Object.fromEntries(inFolder.map(([file, content]) => [file.slice(5), content]))),
  );
  const [box] = await int8.detect(square(16, 40));
  expect(box).toMatchObject({ label: "white", box: { x: expect.closeTo(16, 0), y: expect.closeTo(40, 0) } });
  int8.close();
});

test("the same input gives the same models", async () => {
  const make = async () => (await deploy(await open(named(tinyFiles())), { calibration: entries })).files;
  const [first, second] = [await make(), await make()];
  for (const file of Object.keys(first).filter((each) => each !== "report.html")) {
    expect(second[file], file).toEqual(first[file]);
  }
});

test("few pictures without evaluation: measured on themselves, and said", async () => {
  const { report } = await deploy(await open(named(tinyFiles())), { calibration: entries.slice(0, 2) });
  expect(report.measuredOn).toContain("Measured on the 2 pictures of calibration");
});

test("pictures on which the network finds nothing: fidelity is not known, and that is said", async () => {
  const model = await open(named(tinyFiles()));
  const black = square(0, 64);
  const dark = entries.map(({ name }, id) => ({
    name,
    read: async () => ({ id, picture: black, width: 64, height: 64 }),
  }));
  const { report } = await deploy(model, { calibration: entries, evaluation: dark });
  expect(report.variants[2].fidelity).toBe(-1);
  expect(report.notes).toContainEqual(expect.stringMatching(/finds nothing on 12 pictures.*not known/));
  const seen = await deploy(model, { calibration: entries });
  expect(seen.report.notes.join()).not.toContain("finds nothing");
});

test("deploy stops when told to", async () => {
  const opened = await open(named(tinyFiles()));
  const control = new AbortController();
  const running = deploy(
    opened,
    { calibration: entries },
    {
      signal: control.signal,
      onProgress: ({ stage }) => stage === "observe" && control.abort(),
    },
  );
  await expect(running).rejects.toThrow(/abort/i);
});

test("what deploy refuses", async () => {
  const opened = await open(named(tinyFiles()));
  await expect(deploy(opened, { calibration: [] })).rejects.toThrow("no calibration pictures");
  await expect(deploy(opened, { calibration: entries, evaluation: [] })).rejects.toThrow(
    "no pictures to evaluate on",
  );
  const budget = { budget: { ap: 0.003 } };
  await expect(deploy(opened, { calibration: entries }, budget)).rejects.toThrow("needs labelled pictures");
  const headless = { ...opened, manifest: { ...opened.manifest, heads: [] } };
  await expect(deploy(headless, { calibration: entries })).rejects.toThrow("no detector");
  await expect(deploy(opened, { calibration: entries }, { size: 60 })).rejects.toThrow(
    "input width 60: expected a multiple",
  );
  await expect(deploy(opened, { calibration: entries }, { keepFloat: ["hed"] })).rejects.toThrow(
    'no layer "hed"',
  );
});

test("readEntries leaves out what cannot be read, and only that", async () => {
  const { InputError } = await import("../../src/index.ts");
  const broken = { name: "b", read: () => Promise.reject(new InputError("b: broken")) };
  const skipped: string[] = [];
  const ids: unknown[] = [];
  const skip = (message: string): void => void skipped.push(message);
  for await (const { id } of readEntries([entries[0], broken, entries[2]], skip)) ids.push(id);
  expect({ ids, skipped }).toEqual({ ids: [0, 2], skipped: ["b: broken"] });
  const defect = { name: "c", read: () => Promise.reject(new TypeError("defect")) };
  await expect(readEntries([defect], skip).next()).rejects.toThrow("defect");
});

test("deploy: labels of another model are an error before the work", async () => {
  const { graph, manifest } = tinyModel();
  const opened = await open(named(modelFiles(graph, manifest)));
  const wrong = async (): Promise<EvaluationItem> => {
    throw new GraphError("0.txt: class 58: the model has classes 0 to 0");
  };
  const stages = new Set<DeployStage>();
  const evaluation = [{ name: "0.png", read: wrong }];
  const deployed = deploy(
    opened,
    { calibration: entries, evaluation },
    { onProgress: ({ stage }) => stages.add(stage) },
  );
  await expect(deployed).rejects.toThrow("class 58");
  expect([...stages]).toEqual([]);
});
