/** Datasets of the tasks: which labels a model takes, and what is said of others. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { InputError, UsageError } from "../../src/base/errors.ts";
import type { Head } from "../../src/node.ts";
import { openDataset } from "../../src/node.ts";
import { png, temporaryFolder } from "../cli/_run.ts";

const root = temporaryFolder();
const picture = png(64, 64, () => true);

function place(name: string, files: Record<string, Uint8Array | string | object>): string {
  for (const [file, content] of Object.entries(files)) {
    const target = path.join(root, name, file);
    mkdirSync(path.dirname(target), { recursive: true });
    const isPlain = typeof content === "string" || content instanceof Uint8Array;
    writeFileSync(target, isPlain ? content : JSON.stringify(content));
  }
  return path.join(root, name);
}

const boxes = { kind: "distances", scores: "s", boxes: "b", stride: 8, bins: 16, point: 0.5 } as const;
const heads = {
  segment: [{ ...boxes, mask: { blob: "m", count: 32, prototypes: "p" } }],
  pose: [{ ...boxes, points: { blob: "k", count: 2, visibility: true } }],
  obb: [{ ...boxes, angle: { blob: "a" } }],
  classify: [{ kind: "classes", blob: "c", softmax: true, stride: 1 }],
} as const satisfies Record<string, Head[]>;
const labels = ["cat", "dog"];

const yolo = (name: string, text: string, yaml = ""): string =>
  place(name, {
    "images/a.png": picture,
    "labels/a.txt": text,
    "data.yaml": `val: images\nnames: [cat, dog]\n${yaml}`,
  });
const first = async (data: string, task: keyof typeof heads, more: object = {}) => {
  const dataset = await openDataset(data, { labels, heads: heads[task], ...more });
  return { dataset, item: await dataset.entries[0].read() };
};

describe("YOLO datasets", () => {
  test("masks, key points with their spreads, turned boxes", async () => {
    const outline = yolo("outlines", "1 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n");
    expect((await first(outline, "segment")).item.truth).toMatchObject([{ category: 1, area: 1024 }]);
    expect((await first(outline, "obb")).item.truth).toMatchObject([
      { corners: [16, 16, 48, 16, 48, 48, 16, 48], area: 1024 },
    ]);
    const pose = yolo(
      "pose",
      "0 0.5 0.5 0.5 0.5 0.5 0.5 2 0 0 0\n",
      "kpt_shape: [2, 3]\nkpt_oks_sigmas: [0.1, 0.2]\n",
    );
    const { dataset, item } = await first(pose, "pose");
    expect(dataset.sigmas).toEqual([0.1, 0.2]);
    expect(item.truth?.[0].points).toEqual([
      { x: 32, y: 32, labelled: true },
      { x: 0, y: 0, labelled: false },
    ]);
    // Without a yaml the lines tell.
    const bare = place("bare", { "a.png": picture, "a.txt": "0 0.5 0.5 0.5 0.5 0.5 0.5 0.25 0.5\n" });
    expect((await first(bare, "pose")).item.truth?.[0].points).toHaveLength(2);
  });

  test("labels of another task are one clear error", async () => {
    const box = yolo("box", "0 0.5 0.5 0.2 0.2\n");
    const wrong = [
      [box, "segment", UsageError, "a.txt: line 1: found 5 values (a box), expected the outline of a mask"],
      [box, "obb", UsageError, "line 1: found 5 values, expected 9"],
      [box, "classify", UsageError, 'categories "images" are no labels of the model'],
      [
        path.join(box, "data.yaml"),
        "classify",
        UsageError,
        "expected a folder with a folder of pictures for each class",
      ],
    ] as const;
    for (const [data, task, error, message] of wrong) {
      const reading = first(data, task);
      await expect(reading).rejects.toThrow(message);
      await expect(reading).rejects.toBeInstanceOf(error);
    }
    // One file of several is broken, and only costs its picture.
    const mixed = place("mixed", {
      ...{ "a.png": picture, "a.txt": "0 0.5 0.5 0.2 0.2\n", "b.png": picture },
      "b.txt": "0 0.1 0.1 0.9 0.1 0.5 0.9\n",
    });
    const { entries } = await openDataset(mixed, { labels, heads: heads.segment });
    await expect(entries[0].read()).rejects.toBeInstanceOf(InputError);
    expect((await entries[1].read()).truth).toHaveLength(1);
    const warnings: string[] = [];
    const quads = yolo("quads", "1 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\n");
    await first(quads, "segment", { onWarning: (line: string) => warnings.push(line) });
    expect(warnings).toEqual([expect.stringContaining("all outlines have four points")]);
    const pose = yolo("seventeen", "", "kpt_shape: [17, 3]\n");
    await expect(first(pose, "pose")).rejects.toThrow("objects have 17 key points, but the model finds 2");
    await expect(first(pose, "segment")).rejects.toThrow(
      "a dataset of poses (kpt_shape), but the model finds masks",
    );
    // Boxes are enough for a detector of faces.
    expect((await first(box, "pose")).item.truth?.[0].points).toBeUndefined();
  });
});

describe("COCO files", () => {
  const coco = (name: string, ...annotations: object[]): string => {
    const folder = place(name, {
      "a.png": picture,
      "instances.json": {
        images: [{ id: 3, file_name: "a.png" }],
        categories: [{ id: 1, name: "cat" }],
        annotations: annotations.map((each) => ({
          image_id: 3,
          category_id: 1,
          bbox: [8, 8, 16, 16],
          ...each,
        })),
      },
    });
    return path.join(folder, "instances.json");
  };
  const segmentation = [[8, 8, 24, 8, 24, 24, 8, 24]];

  test("masks and key points", async () => {
    expect((await first(coco("masks", { segmentation, area: 9 }), "segment")).item.truth).toMatchObject([
      { category: 0, area: 9, mask: { size: [64, 64] } },
    ]);
    const keypoints = [1, 2, 2, 3, 4, 0];
    expect((await first(coco("points", { keypoints }), "pose")).item.truth?.[0].points).toHaveLength(2);
    expect((await first(coco("faces", {}), "pose")).item.truth).toHaveLength(1);
  });

  test("what is missing is said with its annotation", async () => {
    await expect(first(coco("boxes", {}), "segment")).rejects.toThrow(
      "annotations.0: no segmentation; the model finds masks",
    );
    await expect(first(coco("some", { segmentation }, { segmentation: [] }), "segment")).rejects.toThrow(
      "annotations.1: no segmentation, as others have it",
    );
    await expect(first(coco("wrong", { segmentation: "x" }), "segment")).rejects.toThrow(
      "annotations.0.segmentation",
    );
    await expect(first(coco("three", { keypoints: [1, 2, 3, 4, 5, 6, 7, 8, 9] }), "pose")).rejects.toThrow(
      "annotations.0: 3 key points, expected 2; the model finds key points",
    );
  });
});

describe("a folder for each class", () => {
  test("is matched by name, in the split's folder where there is one", async () => {
    const data = place("classes", {
      "val/dog/a.png": picture,
      "val/cat/b.png": picture,
      "train/cat/c.png": picture,
    });
    const { dataset, item } = await first(data, "classify");
    expect(dataset.entries).toHaveLength(2);
    const box = { x: 0, y: 0, width: 64, height: 64 };
    expect(item).toMatchObject({ id: "cat/b.png", truth: [{ category: 0, box }] });
    expect(await dataset.entries[1].read()).toMatchObject({ id: "dog/a.png", truth: [{ category: 1, box }] });
    expect((await first(data, "classify", { split: "train" })).dataset.entries).toHaveLength(1);
    await expect(first(data, "classify", { split: "test" })).rejects.toThrow(
      'no "test" in this dataset; it has train, val',
    );
  });

  test("a limit takes some of every class", async () => {
    const names = ["cat/1", "cat/2", "cat/3", "dog/1", "dog/2", "dog/3"];
    const data = place("many", Object.fromEntries(names.map((name) => [`${name}.png`, picture])));
    const { dataset } = await first(data, "classify", { limit: 2 });
    expect(dataset.entries.map(({ name }) => path.relative(data, name))).toEqual(["cat/2.png", "dog/2.png"]);
  });

  test("names that are none of the model's are taken in their order if there are as many", async () => {
    const data = place("wordnet", { "n01440764/a.png": picture, "n01443537/b.png": picture });
    const warnings: string[] = [];
    const { item } = await first(data, "classify", { onWarning: (line: string) => warnings.push(line) });
    expect(item.truth?.[0].category).toBe(0);
    expect(warnings).toEqual([
      expect.stringContaining("its 2 folders are taken in their order: n01440764 for cat, …"),
    ]);
    const { dataset } = await first(data, "classify", { labels: ["class 0", "class 1"], labelsKnown: false });
    expect(dataset.labels).toEqual(["n01440764", "n01443537"]);
    await expect(first(data, "classify", { labels: ["a", "b", "c"] })).rejects.toThrow(
      "are no labels of the model",
    );
    const some = place("some-known", { "cat/a.png": picture, "bird/b.png": picture });
    await expect(first(some, "classify")).rejects.toThrow('"bird"');
  });

  test("pictures beside the folders are an error; without any folder there is fidelity only", async () => {
    const data = place("loose", { "cat/a.png": picture, "b.png": picture });
    await expect(first(data, "classify")).rejects.toThrow(/b\.png: expected pictures in folders named after/);
    const plain = place("plain", { "b.png": picture });
    await expect(first(plain, "classify")).rejects.toThrow("expected pictures in folders");
    const { dataset, item } = await first(plain, "classify", { labelsOptional: true });
    expect(dataset.labelled).toBe(false);
    expect(item.truth).toBeUndefined();
  });
});
