/** Photographs as grounds: each is cut, turned and recoloured anew for every picture. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { InputError } from "../../src/base/errors.ts";
import type { Random } from "../../src/base/random.ts";
import { cuttingOf } from "./cuttings.ts";
import type { Split } from "./split.ts";
import { createSurface, type Surface } from "./surface.ts";
import { drawSheet, mapping, randomPose } from "./warp.ts";

/** The photographs (`.jpg`) of a folder that belong to the split: one in five, by its name, is held out. Throws InputError. */
export async function photographsOf(folder: string, split: Split): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".jpg")).sort();
  const kept = names.filter((name) => (nameHash(name) % 5 === 0) === (split === "held-out"));
  if (kept.length === 0)
    throw new InputError(
      `${folder}: ${names.length} .jpg files, none of them ${split}; see training/photographs.py`,
    );
  return kept.map((name) => join(folder, name));
}

/** FNV-1a, 32 bits. */
function nameHash(name: string): number {
  let h = 0x811c9dc5;
  for (const letter of name) h = Math.imul(h ^ (letter.codePointAt(0) ?? 0), 0x01000193);
  return h >>> 0;
}

/**
 * `size` x `size` pixels of one of the files, or of four in the quarters, half of the time with pieces of another one upon it.
 * Held-out ones are one and only cut, so that they are what a camera saw.
 */
export async function photographGround(
  files: readonly string[],
  random: Random,
  size: number,
  split: Split,
): Promise<Surface> {
  const ground = createSurface(size, size, [0, 0, 0]);
  const training = split === "training";
  const across = training && random.next() < 0.3 ? 2 : 1;
  for (let tile = 0; tile < across * across; tile++) {
    const side = Math.ceil(size / across);
    const data = await cutOf(random.pick(files), random, side);
    const look = training ? randomLook(random) : asItIs;
    lay(ground, data, side, [(tile % across) * side, Math.floor(tile / across) * side], look);
  }
  if (training && random.next() < 0.5) await layCuttings(ground, random.pick(files), random);
  return ground;
}

/** Lays one to seven pieces of the file upon the ground, as windows, framed pictures, prints and emblems are. */
async function layCuttings(ground: Surface, file: string, random: Random): Promise<void> {
  const inside = { width: 900, height: 900, fit: "inside", withoutEnlargement: true } as const;
  const { data, info } = await sharp(file)
    .removeAlpha()
    .toColourspace("srgb")
    .resize(inside)
    .raw()
    .toBuffer({ resolveWithObject: true });
  const source = { width: info.width, height: info.height, rgb: Float32Array.from(data) };
  for (let count = random.int(1, 7); count > 0; count--) {
    const scale = random.uniform(0.7, 1.8);
    const long = ground.width * 0.08 * 8 ** random.next();
    const sheet = cuttingOf(source, random, Math.round(long * scale));
    const pose = randomPose(random, { width: sheet.width, height: sheet.height, scale }, 0.8);
    pose.centre = [random.uniform(0, ground.width), random.uniform(0, ground.height)];
    drawSheet(ground, sheet, mapping(pose));
  }
}

/** RGB of a square part: from the whole, sometimes with grey beside it as a letterbox has, to about its own pixels. */
async function cutOf(file: string, random: Random, size: number): Promise<Uint8Array> {
  const { width, height } = await sharp(file).metadata();
  const source = sharp(file).removeAlpha().toColourspace("srgb");
  if (random.next() < 0.3)
    source.resize(size, size, { fit: "contain", background: { r: 114, g: 114, b: 114 } });
  else {
    const short = Math.min(width, height);
    const side = Math.round(short * Math.min(1, (0.8 * size) / short) ** (random.next() ** 1.7));
    const [left, top] = [random.int(0, width - side), random.int(0, height - side)];
    source.extract({ left, top, width: side, height: side }).resize(size, size);
  }
  return source.raw().toBuffer();
}

/** One of eight ways to lay it down, order of the channels, negative, exponent of brightness. */
interface Look {
  way: number;
  order: readonly [number, number, number];
  negative: boolean;
  exponent: number;
}
const asItIs: Look = { way: 0, order: [0, 1, 2], negative: false, exponent: 1 };
const orders = [
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
  [1, 1, 1],
] as const;

function randomLook(random: Random): Look {
  return {
    way: random.int(0, 7),
    order: random.next() < 0.3 ? random.pick(orders) : asItIs.order,
    negative: random.next() < 0.05,
    exponent: 2 ** random.uniform(-0.7, 0.7),
  };
}

function lay(
  { width, height, rgb }: Surface,
  data: Uint8Array,
  size: number,
  [left, top]: readonly [number, number],
  { way, order, negative, exponent }: Look,
): void {
  const curve = Float32Array.from(
    { length: 256 },
    (_, v) => 255 * ((negative ? 255 - v : v) / 255) ** exponent,
  );
  for (let y = 0; y < Math.min(size, height - top); y++)
    for (let x = 0; x < Math.min(size, width - left); x++) {
      const column = way & 1 ? size - 1 - x : x;
      const row = way & 2 ? size - 1 - y : y;
      const from = (way & 4 ? column * size + row : row * size + column) * 3;
      const to = ((top + y) * width + left + x) * 3;
      for (let c = 0; c < 3; c++) rgb[to + c] = curve[data[from + order[c]]];
    }
}
