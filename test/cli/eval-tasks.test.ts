/** `eval` of each task: a model's own results as labels are right, others are not, and what is printed. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type Detection, load, readPicture } from "../../src/node.ts";
import { cocoRows, maskText } from "../../src/steps.ts";
import { png, run, temporaryFolder } from "./_run.ts";

const root = temporaryFolder();
const fixture = (name: string): string =>
  path.resolve(import.meta.dirname, `../formats/torch/data/ultralytics/${name}.pt`);
const models = { segment: "v8n-seg", pose: "v8n-pose", obb: "26n-obb", classify: "v8n-cls" };
const size = 64;

const pictures = path.join(root, "pictures");
mkdirSync(pictures);
const names = ["1.png", "2.png", "3.png"];
for (const [i, name] of names.entries()) {
  const isInside = (x: number, y: number) => (x - 20 - 8 * i) ** 2 + (y - 30) ** 2 < 200 + 100 * i;
  writeFileSync(path.join(pictures, name), png(80, 64, isInside));
}

/** What the model finds in each picture with the settings of evaluation. */
async function found(model: string): Promise<Detection[][]> {
  const loaded = await load(fixture(model));
  const all: Detection[][] = [];
  for (const name of names) {
    const picture = await readPicture(path.join(pictures, name));
    all.push(await loaded.detect(picture, { size, confidence: 0.001, iou: 0.6, multiLabel: true }));
  }
  loaded.close();
  return all;
}

/** A score that some results of every picture reach, so that nothing comes before those that are taken for the truth. */
const least = (results: readonly Detection[][]): number => Math.min(...results.map((each) => each[2].score));

/** A COCO file with the best results as objects. */
function cocoFile(results: readonly Detection[][]): string {
  const annotations = results.flatMap((detections, i) =>
    cocoRows(
      detections.filter(({ score }) => score >= least(results)),
      i + 1,
    ).map(({ score: _, keypoints, ...row }) => ({
      ...row,
      ...(keypoints && { keypoints: keypoints.map((v, k) => (k % 3 === 2 ? 2 : v)) }),
    })),
  );
  const categories = ["ball", "bat", "glove"].map((name, id) => ({ id, name }));
  return JSON.stringify({
    images: names.map((file_name, i) => ({ id: i + 1, file_name, width: 80, height: 64 })),
    ...{ categories, annotations },
  });
}

async function evaluated(model: string, data: string, ...more: string[]) {
  const { code, out, err } = await run(
    "eval",
    fixture(model),
    "--data",
    data,
    "--size",
    String(size),
    ...more,
  );
  return { code, out, err, result: more.includes("--json") && code === 0 ? JSON.parse(out) : undefined };
}

describe.each(["segment", "pose", "obb"] as const)("%s", (task) => {
  const data = path.join(pictures, `${task}.json`);
  beforeAll(async () => writeFileSync(data, cocoFile(await found(models[task]))));

  test("its own results are right", async () => {
    const { result } = await evaluated(models[task], data, "--json");
    expect(result).toMatchObject({ task, images: 3 });
    const [{ coco, boxes, dota, measure, top }] = result.models;
    expect(measure).toBe({ segment: "mask", pose: "points", obb: "corners" }[task]);
    expect(coco.AP).toBeCloseTo(1, 9);
    expect(top).toBeUndefined();
    if (task === "obb") expect(dota.AP).toBeCloseTo(1, 9);
    else expect(boxes.AP).toBeCloseTo(1, 9);
  });

  test("others are not, and tables say what was measured", async () => {
    const other = path.join(pictures, `${task}-moved.json`);
    const file = JSON.parse(readFileSync(data, "utf8"));
    for (const row of file.annotations) row.image_id = (row.image_id % 3) + 1;
    writeFileSync(other, JSON.stringify(file));
    const { result } = await evaluated(models[task], other, "--json");
    expect(result.models[0].coco.AP).toBeLessThan(0.9);
    const { out, err } = await evaluated(models[task], other, "--per-class");
    expect(out).toMatch(
      { segment: /^masks +AP +AP50/m, pose: /^key points +AP/m, obb: /^turned boxes +DOTA +ProbIoU +AP/m }[
        task
      ],
    );
    if (task !== "obb") expect(out).toMatch(/^boxes +AP +AP50/m);
    if (task === "pose") expect(err).toContain("1/2 of the object's size is taken");
  });

  test("boxes as labels are not what it finds", async () => {
    const boxes = path.join(pictures, `${task}-boxes.json`);
    const file = JSON.parse(readFileSync(data, "utf8"));
    for (const row of file.annotations) for (const part of ["segmentation", "keypoints"]) delete row[part];
    writeFileSync(boxes, JSON.stringify(file));
    const { code, err, result } = await evaluated(models[task], boxes, "--json");
    if (task !== "pose") {
      expect(code).toBe(2);
      expect(err).toMatch(/error: .*annotations\.0: no segmentation; the model finds/);
    } else {
      expect(result.models[0]).toMatchObject({ measure: "box", coco: { AP: expect.closeTo(1, 9) } });
      expect(err).toContain("no key points in these labels, so boxes are measured");
    }
  });
});

test("saved YOLO text of turned boxes and poses is read as labels", async () => {
  for (const task of ["obb", "pose"] as const) {
    const out = path.join(root, `saved-${task}`);
    const more = ["--conf", "0.5", "--size", String(size), "--out", out, "--save", "txt"];
    expect((await run("detect", fixture(models[task]), pictures, ...more)).code).toBe(0);
    for (const name of names) writeFileSync(path.join(out, name), readFileSync(path.join(pictures, name)));
    const { result, err } = await evaluated(models[task], out, "--json");
    expect(err).toContain("is taken for a score and ignored");
    expect(result.models[0].coco.AP50).toBeGreaterThan(0.5);
  }
});

describe("classify", () => {
  test("top-1, top-5 and agreement", async () => {
    const best = (await found(models.classify)).map(([first]) => first.label);
    const data = path.join(root, "classes");
    for (const [i, name] of names.entries()) {
      mkdirSync(path.join(data, best[i]), { recursive: true });
      writeFileSync(path.join(data, best[i], name), readFileSync(path.join(pictures, name)));
    }
    const { result, err } = await evaluated(models.classify, data, fixture(models.classify), "--json");
    expect(err).not.toContain("error");
    expect(result).toMatchObject({ task: "classify", images: 3, objects: 3 });
    expect(result.models[0]).toMatchObject({ top: { top1: 1, top5: 1 } });
    expect(result.models[0].coco).toBeUndefined();
    expect(result.models[0].top.perClass[0]).toMatchObject({ label: expect.any(String), top1: 1 });
    expect(result.models[1].fidelity).toMatchObject({
      fidelity: 1,
      objects: 3,
      all: { change: 0, matched: 3 },
    });
    const { out } = await evaluated(models.classify, data, fixture(models.classify), "--per-class");
    expect(out).toMatch(/^class +pictures .*top-1 +top-5/m);
    expect(out).toMatch(/^classes +top-1 +top-5\n.* 100\.0 +100\.0$/m);
    expect(out).toMatch(/pictures +other class +score change$/m);
  });

  test("a model of another task cannot be compared with it", async () => {
    const { code, err } = await evaluated(models.classify, pictures, fixture(models.obb));
    expect(code).toBe(2);
    expect(err).toContain("are of different tasks (classify and obb)");
  });
});

test("a mask in results is COCO's text", async () => {
  const [[first]] = await found(models.segment);
  expect(first.task === "segment" && maskText(first.mask)).toEqual({
    size: [64, 80],
    counts: expect.any(String),
  });
});
