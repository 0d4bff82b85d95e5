/** `detect` with models that do more than boxes: what is printed, written and refused. */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { unzipSync } from "fflate";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { maskFromString } from "../../src/detect/mask.ts";
import { pictureOf } from "../heads/_tasks.ts";
import { put, run, temporaryFolder } from "./_run.ts";

const folder = temporaryFolder();
const archive = unzipSync(
  new Uint8Array(readFileSync(path.resolve(import.meta.dirname, "../heads/data/tasks.zip"))),
);
const [width, height] = [192, 144];
const picture = path.join(folder, "p.png");
const models = {
  segment: "yolov8-seg-plain",
  pose: "yolov8-pose-simplify",
  obb: "yolo26-obb-plain",
  classify: "yolov8-cls-simplify",
};
type Task = keyof typeof models;
const modelOf = (task: Task): string => path.join(folder, `${task}.onnx`);
const outOf = (name: string): string => path.join(folder, name);
const read = (...parts: string[]): string => readFileSync(path.join(folder, ...parts), "utf8");

beforeAll(async () => {
  for (const [task, name] of Object.entries(models))
    put(folder, { [`${task}.onnx`]: archive[`${name}.onnx`] });
  const { data } = pictureOf(width, height);
  await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(picture);
});

interface Json {
  task: string;
  images: { detections: Record<string, unknown>[] }[];
}

describe("detect", () => {
  test.each(Object.keys(models) as Task[])("%s: lines, JSON, a picture", async (task) => {
    const { code, out, err } = await run(
      "detect",
      modelOf(task),
      picture,
      "--out",
      outOf(`o-${task}`),
      "--max-det",
      "12",
    );
    expect([code, err]).toEqual([
      0,
      expect.stringMatching(task === "classify" ? /7 classes on 1/ : /\d+ boxes on 1/),
    ]);
    const numbers = { segment: 5, pose: 5, obb: 6, classify: 1 }[task];
    for (const line of out.trim().split("\n")) expect(line.split(" ").length - 2).toBe(numbers);
    expect(existsSync(path.join(outOf(`o-${task}`), "p.png"))).toBe(true);
    const json = JSON.parse(
      (await run("detect", modelOf(task), picture, "--json", "--max-det", "12")).out,
    ) as Json;
    const [{ detections }] = json.images;
    expect(json.task).toBe(task);
    expect((await run("inspect", modelOf(task))).out).toMatch(new RegExp(`^task +${task}$`, "m"));
    expect(JSON.parse((await run("inspect", modelOf(task), "--json")).out)).toMatchObject({ task });
    expect(detections.length).toBeGreaterThan(2);
    const keys = { segment: "mask", pose: "points", obb: "corners", classify: "score" }[task];
    expect(detections.every((each) => each.task === task && keys in each)).toBe(true);
    expect("box" in detections[0]).toBe(task !== "classify");
  });

  test("masks as COCO has them, and their outlines", async () => {
    const common = ["detect", modelOf("segment"), picture, "--max-det", "2"];
    expect((await run(...common, "--out", outOf("coco"), "--save", "coco")).code).toBe(0);
    const [row] = JSON.parse(read("coco", "detections.json")) as {
      segmentation: { size: number[]; counts: string };
    }[];
    expect(row.segmentation.size).toEqual([height, width]);
    expect(maskFromString(row.segmentation.counts, { width, height }).counts.length).toBeGreaterThan(2);
    expect((await run(...common, "--out", outOf("txt"), "--save", "txt")).code).toBe(0);
    const [line] = read("txt", "p.txt").split("\n");
    expect(line.split(" ").length % 2).toBe(0);
  });

  test("turned boxes in DOTA's files, a file a class", async () => {
    const args = ["detect", modelOf("obb"), picture, "--out", outOf("dota"), "--save", "dota"];
    expect((await run(...args)).code).toBe(0);
    const texts = [0, 1, 2, 3].map((k) => read("dota", `Task1_obb-${k}.txt`));
    expect(texts.join("")).toMatch(/^(p 0\.\d{5}( -?\d+\.\d\d){8}\n)+$/);
  });

  test("classes as lines of text", async () => {
    const args = ["detect", modelOf("classify"), picture, "--out", outOf("cls"), "--save", "txt"];
    expect((await run(...args)).code).toBe(0);
    expect(read("cls", "p.txt")).toMatch(/^([\de.-]+ cls \d\n){5}$/);
    const none = await run("detect", modelOf("classify"), picture, "--conf", "1");
    expect(none.err).toContain("0 classes on 1 picture");
  });

  test.each([
    ["classify", "coco", "--save coco is for objects; classify sorts whole pictures: use txt"],
    ["classify", "dota", 'of the task "classify": use txt'],
    ["pose", "dota", 'of the task "pose": use txt or coco'],
  ] as const)("%s as %s is refused before anything is computed", async (task, format, words) => {
    const args = ["detect", modelOf(task), picture, "--out", outOf("none"), "--save", format];
    const { code, err } = await run(...args);
    expect([code, err]).toEqual([2, expect.stringContaining(words)]);
    expect(existsSync(outOf("none"))).toBe(false);
  });
});
