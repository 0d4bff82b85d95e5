/** Readers of what models are fed with and measured by: pictures, arrays, labels, datasets, lists, patterns. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import sharp from "sharp";
import { FormatError } from "../../src/base/errors.ts";
import type { Random } from "../../src/base/random.ts";
import { toTensor } from "../../src/detect/letterbox.ts";
import { maskArea } from "../../src/detect/mask.ts";
import { evaluateCoco } from "../../src/evaluate/coco-ap.ts";
import { preprocessingOf } from "../../src/heads/families.ts";
import { elementCount } from "../../src/ir/tensor.ts";
import { expandPaths } from "../../src/node/paths.ts";
import { openDataset, openPictures, pictureExtensions, readPicture } from "../../src/node.ts";
import { readNpy } from "../../src/official.ts";
import {
  cocoObject,
  matchCategories,
  parseCocoInstances,
  parseDatasetYaml,
  parseYoloLabels,
} from "../../src/steps.ts";
import { png } from "../cli/_tiny.ts";
import { bmp, tiff } from "../node/_pictures.ts";
import { Broken } from "./deep.ts";
import { mutateBytes, mutateText } from "./mutate.ts";
import type { FuzzReader } from "./readers.ts";
import { mutateJson } from "./structure.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

const npy: FuzzReader = {
  name: "npy",
  share: 40,
  prepare: async () => {
    const header = (text: string): Uint8Array => {
      const padded = `${text.padEnd(117 - (text.length > 117 ? 0 : 0))}\n`;
      return Uint8Array.of(
        ...utf8(""),
        0x93,
        ...utf8("NUMPY"),
        1,
        0,
        padded.length & 255,
        padded.length >> 8,
        ...utf8(padded),
      );
    };
    const make = (shape: string, count: number): Uint8Array =>
      Uint8Array.of(
        ...header(`{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`),
        ...new Uint8Array(count * 4),
      );
    const files = [make("(2, 3, 4)", 24), make("(5,)", 5), make("(1, 1, 2, 2)", 4)];
    return (random) => {
      const bytes =
        random.next() < 0.5
          ? mutateBytes(random.pick(files), random)
          : mutateHeader(random.pick(files), random);
      return {
        files: { "case.npy": bytes },
        run: () => {
          const { shape, data } = readNpy(bytes, "case.npy");
          if (elementCount(shape) !== data.length)
            throw new Broken(`shape ${shape} of ${data.length} values`);
        },
      };
    };
  },
};

function mutateHeader(bytes: Uint8Array, random: Random): Uint8Array {
  const length = bytes[8] | (bytes[9] << 8);
  const text = utf8(mutateText(new TextDecoder().decode(bytes.subarray(10, 10 + length)), random)).subarray(
    0,
    65535,
  );
  return Uint8Array.of(
    ...bytes.subarray(0, 8),
    text.length & 255,
    text.length >> 8,
    ...text,
    ...bytes.subarray(10 + length),
  );
}

const yamlTexts: readonly string[] = [
  "path: ../data\ntrain: images/train\nval: images/val\nnames:\n  0: person\n  1: 'it''s'\n",
  "train: [a, b]\nval:\n  - images/val\n  - images/test # more\nnc: 2\nnames: ['a', \"b, c\"]\n",
  "# Roboflow\ntrain: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 3\nnames: ['x', 'y', 'z']\nroboflow:\n  workspace: w\n",
  "names: {0: a, 1: b}\nval: images\ndownload: |\n  import os\n  os.system('x')\n",
  "base: &b {a: 1}\nnames: [1, true, ~]\nval: !!python/object/apply:os.system ['x']\n",
];

/** Paths that stay inside `folder` wherever a dataset resolves them: a case must not walk the whole disk. */
function staysInside(folder: string, names: readonly (string | undefined)[]): boolean {
  return names.every(
    (name) =>
      name === undefined ||
      (!name.includes("..") &&
        !path.isAbsolute(name) &&
        !/^[~/\\]/.test(name) &&
        path.resolve(folder, name).startsWith(folder)),
  );
}

/** A small tree of pictures and labels. */
function makeTree(folder: string): void {
  for (const name of [
    "images/val/a.png",
    "images/val/b.png",
    "images/train/c.png",
    "a/d.png",
    "deep/x/y/z/e.png",
  ]) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), png(4, 4));
  }
  mkdirSync(path.join(folder, "labels/val"), { recursive: true });
  writeFileSync(path.join(folder, "labels/val/a.txt"), "0 0.5 0.5 0.2 0.2\n");
}

const yaml: FuzzReader = {
  name: "yaml",
  share: 40,
  prepare: async (folder) => {
    makeTree(folder);
    const file = path.join(folder, "case.yaml");
    return (random) => {
      const text = mutateText(random.pick(yamlTexts), random, random.pick(yamlTexts));
      const opens = random.int(0, 5) === 0;
      return {
        files: { "case.yaml": utf8(text) },
        run: async () => {
          const { names, ...paths } = parseDatasetYaml(text, "case.yaml");
          matchCategories(
            names.map((name, id) => ({ id, name })),
            ["person", "a", "b"],
            { partial: true },
          );
          if (!opens || !staysInside(folder, [paths.path, ...paths.train, ...paths.val, ...paths.test]))
            return;
          writeFileSync(file, text);
          const { entries } = await openDataset(file, { labels: ["person", "a"], labelsOptional: true });
          await entries[0]?.read();
        },
      };
    };
  },
};

const coco: FuzzReader = {
  name: "coco",
  share: 60,
  prepare: async () => {
    const text = JSON.stringify({
      info: { year: 2017 },
      images: [1, 2].map((id) => ({ id, file_name: `${id}.jpg`, width: 64, height: 48, license: 3 })),
      categories: [
        { id: 1, name: "person" },
        { id: 90, name: "tooth brush" },
      ],
      annotations: [1, 2].map((id) => ({
        id,
        image_id: id,
        category_id: 1,
        bbox: [1, 2, 30, 40],
        area: 1200,
        iscrowd: id - 1,
        segmentation: id === 1 ? [[1, 2, 30, 4, 20, 40, 5, 30]] : { size: [48, 64], counts: [100, 20, 2952] },
        keypoints: [1, 2, 2, 0, 0, 0],
      })),
    });
    return (random) => {
      const damaged = random.next() < 0.6 ? mutateJson(text, random) : mutateText(text, random);
      return {
        files: { "case.json": utf8(damaged) },
        run: () => {
          const { categories, groundTruth } = parseCocoInstances(damaged, "case.json");
          matchCategories(categories, ["person", "tooth brush"], { partial: true });
          const size = { width: 64, height: 48 };
          for (const row of groundTruth) {
            for (const measure of ["mask", "corners", "points"] as const) {
              try {
                const { box, mask } = cocoObject(row, measure, size);
                if (mask && maskArea(mask) > 64 * 48) throw new Broken("a mask larger than its picture");
                if (!Object.values(box).every(Number.isFinite))
                  throw new Broken(`a box of ${JSON.stringify(box)}`);
              } catch (error) {
                if (!(error instanceof FormatError)) throw error;
              }
            }
          }
          evaluateCoco(groundTruth, [
            { image: 1, category: 1, score: 0.5, box: { x: 1, y: 2, width: 30, height: 40 } },
          ]);
        },
      };
    };
  },
};

const labels: FuzzReader = {
  name: "labels",
  share: 60,
  prepare: async () => {
    const texts = [
      "0 0.5 0.5 0.2 0.3\n1 0.1 0.2 0.05 0.06\r\n79 1 1 0 0\n",
      "2 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\n",
      "0 0.5 0.5 0.2 0.2 0.97\n",
      "1 0.5 0.5 0.2 0.2 0.4 0.4 2 0.6 0.6 1\n0 0.5 0.5 0.2 0.2 0.4 0.4 0.6 0.6\n",
    ];
    return (random) => {
      const text = mutateText(random.pick(texts), random, random.pick(texts));
      const measure = random.pick(["box", "mask", "points", "corners"] as const);
      return {
        files: { "case.txt": utf8(text) },
        run: () => {
          const options = { measure, keypoints: { count: 2 } };
          const rows = parseYoloLabels(text, "case.txt", 1, { width: 640, height: 480 }, options);
          for (const { box } of rows) {
            if (!Object.values(box).every(Number.isFinite))
              throw new Broken(`a box of ${JSON.stringify(box)}`);
          }
        },
      };
    };
  },
};

const lists: FuzzReader = {
  name: "list",
  share: 10,
  prepare: async (folder) => {
    makeTree(folder);
    const text =
      "images/val/a.png\n./images/val/b.png\r\n# none\nC:\\data\\x.jpg\nimages\\val\\a.png 3\n/abs/y.jpg\n";
    const file = path.join(folder, "case.txt");
    return (random) => {
      const bytes = random.next() < 0.5 ? utf8(mutateText(text, random)) : mutateBytes(utf8(text), random);
      return {
        files: { "case.txt": bytes },
        run: async () => {
          writeFileSync(file, bytes);
          await (await openPictures(file))[0]?.read();
        },
      };
    };
  },
};

const patterns: FuzzReader = {
  name: "pattern",
  share: 10,
  prepare: async (folder) => {
    makeTree(folder);
    const texts = [
      "images/**/*.png",
      "**/[a-c]?(x).{png,jpg}",
      "**/**/**/*",
      "deep/{x,y}/*/**",
      "images/val/[!a].png",
    ];
    return (random) => {
      const text = mutateText(random.pick(texts), random, random.pick(texts));
      return {
        files: { "case.txt": utf8(text) },
        run: async () => {
          if (!staysInside(folder, [text])) return;
          expandPaths([path.join(folder, "/", text)], pictureExtensions);
        },
      };
    };
  },
};

const pictures: FuzzReader = {
  name: "picture",
  share: 24,
  prepare: async (folder) => {
    const raw = sharp(
      new Uint8Array(24 * 18 * 3).map((_, i) => (i * 7919) >> 3),
      { raw: { width: 24, height: 18, channels: 3 } },
    );
    const encoded: [extension: string, bytes: Uint8Array][] = [
      ["jpg", await raw.clone().jpeg().toBuffer()],
      ["jpg", await raw.clone().jpeg({ progressive: true }).withMetadata({ orientation: 6 }).toBuffer()],
      ["jpg", await raw.clone().toColourspace("cmyk").jpeg().toBuffer()],
      ["png", await raw.clone().png().toBuffer()],
      ["png", await raw.clone().png({ palette: true, progressive: true }).toBuffer()],
      ["webp", await raw.clone().webp().toBuffer()],
      ["gif", await raw.clone().gif().toBuffer()],
      ["tif", await raw.clone().tiff().toBuffer()],
    ];
    const corpus = [...encoded, ...handMade()].map(([extension, bytes], i) => ({
      name: `case${i}.${extension}`,
      bytes: new Uint8Array(bytes),
    }));
    return (random) => {
      const { bytes, name } = random.pick(corpus);
      const damaged =
        name.endsWith("m") && random.next() < 0.7
          ? utf8(mutateText(new TextDecoder().decode(bytes), random))
          : mutateBytes(bytes, random, random.pick(corpus).bytes);
      const file = path.join(folder, name);
      return {
        files: { [name]: damaged },
        run: async () => {
          writeFileSync(file, damaged);
          const picture = await readPicture(file);
          if (picture.data.length !== picture.width * picture.height * 3)
            throw new Broken("another number of pixels");
          if (picture.width * picture.height < 10 ** 6)
            toTensor(picture, {
              ...{ blob: "x", width: 64, height: 64, stride: 32, channels: 3 },
              ...preprocessingOf("yolov5", 3),
            });
        },
      };
    };
  },
};

/** The formats that are decoded here and not by sharp. */
function handMade(): [extension: string, bytes: Uint8Array][] {
  const grid = (count: number): number[] => Array.from({ length: count }, (_, i) => (i * 37) % 256);
  const palette = grid(6).map((level) => [level, 255 - level, 9]);
  const base = { width: 2, height: 2, bits: 8, samples: grid(16) };
  return [
    ["bmp", bmp({ width: 5, height: -4, bits: 24, data: grid(64) })],
    ["bmp", bmp({ width: 4, height: 3, bits: 8, palette, data: grid(12).map((level) => level % 6) })],
    [
      "bmp",
      bmp({ width: 4, height: 2, bits: 8, palette, compression: 1, data: [4, 1, 0, 0, 2, 3, 2, 5, 0, 1] }),
    ],
    [
      "bmp",
      bmp({ width: 2, height: 2, bits: 16, compression: 3, masks: [0xf800, 0x7e0, 0x1f], data: grid(8) }),
    ],
    ...[0, 2, 5, 6, 8].map((photometric): [string, Uint8Array] => [
      "tif",
      tiff({
        ...base,
        photometric,
        samplesPerPixel: [1, 0, 3, 0, 0, 4, 3, 0, 3][photometric],
        more: [[530, [1, 1]]],
      }),
    ]),
    ["ppm", utf8("P3\n# two by two\n2 2\n255\n255 0 0 0 255 0\n0 0 255 9 9 9\n")],
    ["ppm", Uint8Array.of(...utf8("P6 2 2 255\n"), ...grid(12))],
    ["pgm", Uint8Array.of(...utf8("P5 3 2 65535\n"), ...grid(12))],
    ["pbm", utf8("P1\n3 2\n1 0 1\n0 1 0\n")],
  ];
}

export const datasetReaders: readonly FuzzReader[] = [npy, yaml, coco, labels, lists, patterns, pictures];
