/** Writes generated pictures as a dataset in YOLO's layout. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { Random } from "../../src/base/random.ts";
import { type CodeBox, codeClasses, generatePicture, type Split } from "./index.ts";
import { photographGround, photographsOf } from "./photographs.ts";

export interface DatasetOptions {
  count: number;
  /** Seed of picture number 1; the next ones follow. */
  seed: number;
  split: Split;
  size?: number;
  /** Folder of photographs that lie behind everything; painted grounds when absent. */
  photographs?: string;
  /** Share of pictures that may have codes, 0..1; 1 when absent. */
  codes?: number;
  /** Numbers of the pictures to write, 1 to `count`, in steps of `step` from `first`: parts for several processes. */
  part?: { first: number; step: number };
  onProgress?: (done: number) => void;
  signal?: AbortSignal;
}

/**
 * Writes `images/000001.jpg`, `labels/000001.txt` (`class cx cy w h`, fractions of the picture) and `codes.yaml` into
 * `folder`, which is made if needed; files of the same names are replaced. Throws the signal's reason when aborted.
 */
export async function writeDataset(folder: string, options: DatasetOptions): Promise<void> {
  const { count, seed, split, size = 320, part = { first: 1, step: 1 }, onProgress, signal } = options;
  await mkdir(join(folder, "images"), { recursive: true });
  await mkdir(join(folder, "labels"), { recursive: true });
  if (part.first === 1) await writeFile(join(folder, "codes.yaml"), datasetYaml());
  const photographs = options.photographs ? await photographsOf(options.photographs, split) : undefined;
  let done = 0;
  for (let number = part.first; number <= count; number += part.step) {
    signal?.throwIfAborted();
    const random = new Random((seed + number - 1) ^ 0x5bd1e995);
    const codes = random.next() < (options.codes ?? 1);
    const ground = photographs && (await photographGround(photographs, random, size, split));
    const { picture, boxes } = generatePicture(seed + number - 1, { size, split, ground, codes });
    const name = String(number).padStart(6, "0");
    const jpeg = await sharp(picture.data, { raw: { width: size, height: size, channels: 3 } })
      .jpeg(jpegSettings(seed + number - 1))
      .toBuffer();
    await writeFile(join(folder, "images", `${name}.jpg`), jpeg);
    await writeFile(join(folder, "labels", `${name}.txt`), labelText(boxes, size));
    onProgress?.(++done);
  }
}

/** Mostly what cameras write, sometimes the crumbs of a messenger. */
function jpegSettings(seed: number): { quality: number; chromaSubsampling: string } {
  const random = new Random(seed ^ 0x3c6ef372);
  const quality = random.next() < 0.7 ? random.int(78, 95) : random.int(35, 78);
  return { quality, chromaSubsampling: random.next() < 0.7 ? "4:2:0" : "4:4:4" };
}

export function labelText(boxes: readonly CodeBox[], size: number): string {
  return boxes
    .map((box) => {
      const values = [box.x + box.width / 2, box.y + box.height / 2, box.width, box.height];
      return `${box.class} ${values.map((value) => (value / size).toFixed(6)).join(" ")}\n`;
    })
    .join("");
}

const datasetYaml = () =>
  `path: .\ntrain: images\nval: images\nnames:\n${codeClasses.map((name, i) => `  ${i}: ${name}\n`).join("")}`;
