import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import { parseDatasetYaml } from "../../src/evaluate/dataset-yaml.ts";
import { parseYoloLabels } from "../../src/evaluate/yolo-labels.ts";
import { type Code, randomCode } from "../../training/pictures/codes.ts";
import { cuttingOf } from "../../training/pictures/cuttings.ts";
import { writeDataset } from "../../training/pictures/dataset.ts";
import { codeClasses, generatePicture, kindsOfSplit, type Split } from "../../training/pictures/index.ts";
import { photographsOf } from "../../training/pictures/photographs.ts";
import { printedSheet } from "../../training/pictures/sheets.ts";
import { createSurface } from "../../training/pictures/surface.ts";
import { drawSheet, mapping, outline, randomPose } from "../../training/pictures/warp.ts";

/** FNV-1a, 32 bits. */
function checksum(bytes: Uint8Array | Uint8ClampedArray): string {
  let h = 0x811c9dc5;
  for (const byte of bytes) h = Math.imul(h ^ byte, 0x01000193);
  return (h >>> 0).toString(16);
}

const dark = ({ modules, columns }: Code, x: number, y: number) => modules[y * columns + x] === 1;

describe("codes", () => {
  const codes = (classNumber: number) =>
    Array.from({ length: 12 }, (_, i) =>
      randomCode(new Random(i), i % 2 ? "training" : "held-out", classNumber),
    );

  test("QR codes have a finder pattern at the top left and are square", () => {
    for (const code of codes(0)) {
      expect(code.rows).toBe(code.columns);
      const line = Array.from({ length: 7 }, (_, x) => +dark(code, x, 3)).join("");
      expect(line).toBe("1011101");
    }
  });

  test("Data Matrix codes have a solid left and bottom side, the others alternate", () => {
    for (const code of codes(1)) {
      for (let y = 0; y < code.rows; y++) expect(dark(code, 0, y)).toBe(true);
      for (let x = 0; x < code.columns; x++) {
        expect(dark(code, x, code.rows - 1)).toBe(true);
        expect(dark(code, x, 0)).toBe(x % 2 === 0);
      }
    }
  });

  test("Aztec codes have rings round the middle", () => {
    for (const code of codes(2)) {
      const middle = (code.columns - 1) / 2;
      const line = Array.from({ length: 5 }, (_, k) => +dark(code, middle + k, middle)).join("");
      expect(line).toBe("10101");
    }
  });

  test("PDF417 codes start with their pattern in every row, which is several modules high", () => {
    for (const code of codes(3)) {
      expect(code.rowHeight).toBeGreaterThanOrEqual(2);
      for (let y = 0; y < code.rows; y++) {
        const line = Array.from({ length: 17 }, (_, x) => +dark(code, x, y)).join("");
        expect(line).toBe("11111111010101000");
      }
    }
  });

  test("linear codes begin and end with a bar", () => {
    for (const code of codes(4)) {
      expect(code.rows).toBe(1);
      expect([dark(code, 0, 0), dark(code, code.columns - 1, 0)]).toEqual([true, true]);
      expect(code.linear?.caption).toMatch(/\w/);
    }
  });
});

describe("boxes", () => {
  test("are the extent of what is drawn, to less than a pixel, for every bend", () => {
    let compared = 0;
    for (let i = 0; i < 40; i++) {
      const random = new Random(i * 7919);
      const code = randomCode(random, "training", i % 5);
      code.modules.fill(1);
      code.linear = undefined;
      const sheet = printedSheet(random, "training", code, random.uniform(30, 150), [0, 0, 0]);
      const { surface, scale } = sheet;
      const pose = randomPose(random, { width: surface.width, height: surface.height, scale }, 1);
      pose.centre = [160, 160];
      const map = mapping(pose);
      const picture = createSurface(320, 320, [255, 255, 255]);
      drawSheet(picture, surface, map);
      const points = outline(map, sheet.code);
      const box = [0, 1].flatMap((axis) => {
        const values = points.map((point) => point[axis]);
        return [Math.min(...values), Math.max(...values)];
      });
      if (Math.min(...box) < 0 || Math.max(...box) > 320) continue;
      compared++;
      extentOf(picture.rgb).forEach((edge, k) => {
        expect(Math.abs(edge - box[k]), `seed ${i}, edge ${k}: ${edge} and ${box[k]}`).toBeLessThan(1.25);
      });
    }
    expect(compared).toBeGreaterThan(30);
  });

  /** Left, right, top, bottom of pixels darker than three quarters of the ground. */
  function extentOf(rgb: Float32Array): number[] {
    let [left, right, top, bottom] = [320, 0, 320, 0];
    for (let i = 0; i < 320 * 320; i++) {
      if (rgb[i * 3] > 191) continue;
      const [x, y] = [i % 320, Math.floor(i / 320)];
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y + 1);
    }
    return [left, right, top, bottom];
  }
});

describe("generated pictures", () => {
  const splits: Split[] = ["training", "held-out"];

  test("are the same for the same seed on every machine, and differ between seeds and splits", () => {
    const sums = splits.flatMap((split) =>
      [1, 2].map((seed) => checksum(generatePicture(seed, { size: 128, split }).picture.data)),
    );
    expect(sums).toEqual(["8ee4de9", "39f3abbd", "d911c63b", "8992dbad"]);
    const again = generatePicture(2, { size: 128, split: "held-out" });
    expect(checksum(again.picture.data)).toBe(sums[3]);
  });

  test.each(splits)("%s: numbers of codes, classes and sizes are spread; boxes lie inside", (split) => {
    const boxesOf = Array.from(
      { length: 45 },
      (_, seed) => generatePicture(seed, { size: 128, split }).boxes,
    );
    const boxes = boxesOf.flat();
    const empty = boxesOf.filter((each) => each.length === 0).length;
    expect(empty).toBeGreaterThan(0);
    expect(empty).toBeLessThan(12);
    expect(Math.max(...boxesOf.map((each) => each.length))).toBeGreaterThan(3);
    for (let c = 0; c < codeClasses.length; c++)
      expect(boxes.filter((box) => box.class === c).length, codeClasses[c]).toBeGreaterThan(2);
    for (const box of boxes) {
      expect(Math.min(box.x, box.y)).toBeGreaterThanOrEqual(0);
      expect(Math.max(box.x + box.width, box.y + box.height)).toBeLessThanOrEqual(128 + 1e-6);
      expect(Math.min(box.width, box.height)).toBeGreaterThan(3.8);
    }
    const longer = boxes.map((box) => Math.max(box.width, box.height) / 128);
    expect(longer.filter((side) => side < 0.2).length).toBeGreaterThan(2);
    expect(longer.filter((side) => side > 0.5).length).toBeGreaterThan(2);
  });

  test("the splits share no kind of background, face, clutter or content", () => {
    const { training, "held-out": heldOut } = kindsOfSplit;
    for (const key of ["backgrounds", "faces", "negatives", "payloads"] as const) {
      const known = new Set<string>(training[key]);
      expect(heldOut[key].filter((kind) => known.has(kind))).toEqual([]);
    }
  });

  test("wrong options are errors", () => {
    expect(() => generatePicture(-1, { split: "training" })).toThrow(InputError);
    expect(() => generatePicture(1, { split: "training", size: 20 })).toThrow(InputError);
    expect(() => generatePicture(1, { split: "test" as Split })).toThrow(InputError);
  });
});

describe("datasets", () => {
  test("are written in YOLO's layout, in parts or at once", async () => {
    const folder = await mkdtemp(join(tmpdir(), "ncnnkit-pictures-"));
    try {
      const options = { count: 5, seed: 40, split: "training", size: 128 } as const;
      const done: number[] = [];
      await writeDataset(folder, {
        ...options,
        part: { first: 1, step: 2 },
        onProgress: (n) => done.push(n),
      });
      expect(done).toEqual([1, 2, 3]);
      await writeDataset(folder, { ...options, part: { first: 2, step: 2 } });
      const names = ["000001", "000002", "000003", "000004", "000005"];
      expect((await readdir(join(folder, "images"))).sort()).toEqual(names.map((name) => `${name}.jpg`));
      const yaml = parseDatasetYaml(await readFile(join(folder, "codes.yaml"), "utf8"), "codes.yaml");
      expect(yaml.names).toEqual([...codeClasses]);
      expect(yaml.val).toEqual(["images"]);
      for (const [i, name] of names.entries()) {
        const { width, height } = await sharp(join(folder, "images", `${name}.jpg`)).metadata();
        expect([width, height]).toEqual([128, 128]);
        const text = await readFile(join(folder, "labels", `${name}.txt`), "utf8");
        const rows = parseYoloLabels(text, name, i, { width: 128, height: 128 });
        const { boxes } = generatePicture(40 + i, options);
        expect(rows.map((row) => row.category)).toEqual(boxes.map((box) => box.class));
        rows.forEach(({ box }, k) => {
          expect(box.x).toBeCloseTo(boxes[k].x, 3);
          expect(box.height).toBeCloseTo(boxes[k].height, 3);
        });
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("lie on photographs: those without codes are plain ones, each photograph belongs to one split", async () => {
    const folder = await mkdtemp(join(tmpdir(), "ncnnkit-pictures-"));
    try {
      const red = { width: 90, height: 60, channels: 3, background: { r: 200, g: 20, b: 10 } } as const;
      const names = Array.from({ length: 10 }, (_, i) => `photograph-${i}.jpg`);
      for (const name of names) await sharp({ create: red }).jpeg().toFile(join(folder, name));
      const [training, heldOut] = await Promise.all([
        photographsOf(folder, "training"),
        photographsOf(folder, "held-out"),
      ]);
      expect(heldOut.length).toBeGreaterThan(0);
      expect([...training, ...heldOut].sort()).toEqual(names.map((name) => join(folder, name)));
      const options = { seed: 1, size: 64, photographs: folder } as const;
      await writeDataset(join(folder, "plain"), { ...options, count: 2, split: "held-out", codes: 0 });
      await writeDataset(join(folder, "codes"), { ...options, count: 6, split: "training" });
      expect(await readFile(join(folder, "plain/labels/000002.txt"), "utf8")).toBe("");
      // In the middle, where a letterbox has no grey.
      const { data } = await sharp(join(folder, "plain/images/000002.jpg"))
        .extract({ left: 24, top: 28, width: 16, height: 8 })
        .resize(1, 1)
        .raw()
        .toBuffer({ resolveWithObject: true });
      [200, 20, 10].forEach((value, c) => {
        expect(Math.abs(data[c] - value)).toBeLessThan(12);
      });
      const labels = await Promise.all(
        [1, 2, 3, 4, 5, 6].map((n) => readFile(join(folder, `codes/labels/00000${n}.txt`), "utf8")),
      );
      expect(labels.join("")).not.toBe("");
      await expect(
        writeDataset(folder, { ...options, count: 1, split: "training", photographs: join(folder, "plain") }),
      ).rejects.toThrow("0 .jpg files, none of them training");
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("pieces of photographs are of the length that was asked for, framed or with an outline of their own", () => {
    const source = createSurface(80, 60, [90, 120, 150]);
    const sheets = Array.from({ length: 60 }, (_, seed) => cuttingOf(source, new Random(seed), 40));
    for (const { width, height, rgb, alpha } of sheets) {
      expect(width).toBeGreaterThanOrEqual(40);
      expect(Math.max(width, height)).toBeLessThanOrEqual(40 * 1.5 + 2);
      expect(rgb).toHaveLength(width * height * 3);
      expect(rgb.every((value) => value >= 0 && value <= 255)).toBe(true);
      if (alpha) expect(alpha.every((value) => value >= 0 && value <= 1)).toBe(true);
    }
    expect(sheets.some(({ alpha }) => alpha)).toBe(true);
    expect(sheets.some(({ width }) => width > 40)).toBe(true);
    expect(cuttingOf(source, new Random(1), 500).width).toBeLessThanOrEqual(80 * 1.5 + 2);
  });

  test("stop when aborted", async () => {
    const folder = await mkdtemp(join(tmpdir(), "ncnnkit-pictures-"));
    try {
      const stop = new AbortController();
      const written = writeDataset(folder, {
        count: 100,
        seed: 1,
        split: "held-out",
        size: 64,
        signal: stop.signal,
        onProgress: (done) => done === 2 && stop.abort(new Error("enough")),
      });
      await expect(written).rejects.toThrow("enough");
      expect(await readdir(join(folder, "labels"))).toHaveLength(2);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
