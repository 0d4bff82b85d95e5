/** Generated pictures of printed codes with exact boxes: what the code finder is trained and measured on. */
import { InputError } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import type { Picture } from "../../src/detect/picture.ts";
import { paintBackground, randomColour } from "./backgrounds.ts";
import { exposure, lighting } from "./camera.ts";
import { codeClasses, randomCode } from "./codes.ts";
import { negativeSheet } from "./negatives.ts";
import { type PrintedSheet, printedSheet } from "./sheets.ts";
import { type BackgroundKind, kindsOfSplit, type Split } from "./split.ts";
import { type Colour, createSurface, type Surface, strokeLine } from "./surface.ts";
import {
  areaOf,
  clipToPicture,
  drawSheet,
  type Mapping,
  mapping,
  outline,
  type Point,
  randomPose,
} from "./warp.ts";

export { codeClasses } from "./codes.ts";
export { kindsOfSplit, type Split } from "./split.ts";

/** A code in a picture; lengths in pixels from the top left corner of the picture. */
export interface CodeBox {
  /** Position in `codeClasses`. */
  class: number;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface PictureOptions {
  size?: number;
  split: Split;
  /** Is drawn upon. */
  ground?: Surface;
  codes?: boolean;
}

export interface GeneratedPicture {
  /** RGB without alpha. */
  picture: Picture & { channels: 3 };
  boxes: CodeBox[];
}

/**
 * A picture of `size` x `size` pixels (320 when absent) with 0 to 6 codes, the same for the same seed and split wherever
 * JavaScript's Math is the same (V8). `seed` is a whole number below 2^32. A box is the axis-aligned extent, clipped to the picture, of the code's modules
 * after all bending: bars and modules only. Quiet zone and the caption under a linear code are outside of it; parts
 * that something covers are inside of it. Longer guard bars of an EAN or UPC belong to the modules, so that digits between
 * them are inside. With a `ground` of that size, this lies behind everything instead of a painted one. Without `codes` there are
 * none: on a painted ground still all that lies about, on a given one nothing else. Throws InputError.
 */
export function generatePicture(
  seed: number,
  { size = 320, split, ground, codes = true }: PictureOptions,
): GeneratedPicture {
  checkOptions(seed, size, split);
  const random = new Random(mixSeed(seed, split === "training" ? 0x51ed27 : 0x2c1b3c));
  const picture = ground ?? createSurface(size, size, [0, 0, 0]);
  if (!ground) paintBackground(picture, random, random.pick<BackgroundKind>(kindsOfSplit[split].backgrounds));
  const bare = ground !== undefined && !codes;
  if (!bare) clutter(picture, random, split, codes);
  const placed: Placed[] = [];
  for (let count = codes ? codeCount(random) : 0; count > 0; count--) place(picture, random, split, placed);
  for (const each of placed) if (random.next() < 0.13) occlude(picture, random, each);
  // Held-out photographs stay what the camera saw.
  if (bare && (split === "held-out" || random.next() < 0.5)) return developed(picture);
  lighting(picture, random);
  const least = Math.min(size, ...placed.map(({ box }) => Math.min(box.width, box.height)));
  const blur = Math.min(2.4, 0.4 + 0.018 * least) * (size / 320);
  const data = exposure(picture, random, blur);
  return { picture: { width: size, height: size, data, channels: 3 }, boxes: placed.map(({ box }) => box) };
}

/** As it is, without codes. */
function developed({ width, height, rgb }: Surface): GeneratedPicture {
  return { picture: { width, height, data: Uint8ClampedArray.from(rgb), channels: 3 }, boxes: [] };
}

function checkOptions(seed: number, size: number, split: Split): void {
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32)
    throw new InputError(
      `generated picture: seed is ${seed}, expected a whole number from 0 to ${2 ** 32 - 1}`,
    );
  if (!Number.isInteger(size) || size < 64 || size > 2048)
    throw new InputError(`generated picture: size is ${size}, expected a whole number from 64 to 2048`);
  if (!Object.hasOwn(kindsOfSplit, split))
    throw new InputError(`generated picture: split is "${split}", expected training or held-out`);
}

/** Neighbouring seeds give unrelated pictures (the finaliser of MurmurHash3). */
function mixSeed(seed: number, salt: number): number {
  let h = (seed ^ salt) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function codeCount(random: Random): number {
  const at = random.next();
  return [0.1, 0.5, 0.72, 0.84, 0.91, 0.96].filter((limit) => at >= limit).length;
}

/** Where there are no codes there is more of it, half of the time in front of a thing that fills the picture. */
function clutter(picture: Surface, random: Random, split: Split, codes: boolean): void {
  const { width } = picture;
  const whole = !codes && random.next() < 0.5;
  for (
    let count = codes ? random.int(0, 7) : random.int(1, 12), first = true;
    count > 0;
    count--, first = false
  ) {
    const scale = 1.25;
    const share = whole && first ? random.uniform(1.2, 2) : 0.08 * 9 ** random.next();
    const long = Math.round(width * share * scale);
    const wide = Math.max(12, Math.round(long * random.uniform(0.3, 1)));
    const sheet = negativeSheet(random, split, long, wide);
    const pose = randomPose(random, { width: sheet.width, height: sheet.height, scale }, 0.8);
    pose.centre = [random.uniform(0, width), random.uniform(0, width)];
    drawSheet(picture, sheet, mapping(pose), {
      opacity: random.next() < 0.8 ? 1 : random.uniform(0.4, 1),
      side: 1,
    });
  }
  for (let count = random.next() < 0.3 ? random.int(1, 5) : 0; count > 0; count--) {
    const ends = [0, 1, 2, 3].map(() => random.uniform(-0.1, 1.1) * width);
    strokeLine(
      picture,
      [ends[0], ends[1], ends[2], ends[3]],
      random.uniform(1, 9),
      randomColour(random, 10, 240, 0.4),
      {
        shade: 0.5,
      },
    );
  }
}

interface Placed {
  box: CodeBox;
  sheet: PrintedSheet;
  map: Mapping;
  /** Extent of the whole sheet, which later sheets keep clear of. */
  area: CodeBox;
}

/** Tries to put one more code where it covers no other; gives up silently in a full picture. */
function place(picture: Surface, random: Random, split: Split, placed: Placed[]): void {
  const classNumber = random.int(0, codeClasses.length - 1);
  const code = randomCode(random, split, classNumber);
  const most = placed.length ? 0.5 : 0.94;
  const modules = Math.max(code.columns, code.rows);
  const least = Math.min(picture.width * most, Math.max(picture.width * 0.075, modules * 0.85));
  const side = least * Math.max(1, (picture.width * most) / least) ** random.next();
  const straight = random.next() < 0.1;
  const probe = random.int(0, 1e9);
  for (let attempt = 0; attempt < 8; attempt++) {
    const centre: Point = [
      random.uniform(0.05, 0.95) * picture.width,
      random.uniform(0.05, 0.95) * picture.height,
    ];
    const ink = straight ? inkFor(picture, centre, side) : undefined;
    const sheet = printedSheet(new Random(probe), split, code, side * 0.93 ** attempt, ink);
    const { surface, scale } = sheet;
    const pose = randomPose(random, { width: surface.width, height: surface.height, scale }, 1);
    pose.centre = centre;
    const map = mapping(pose);
    const found = landing(picture, sheet, map, classNumber, placed, random.next() < 0.08 ? 0.6 : 0.985);
    if (!found) continue;
    if (!ink && random.next() < 0.35) dropShadow(picture, random, sheet, pose);
    drawSheet(picture, surface, map);
    placed.push(found);
    return;
  }
}

/** Dark ink on light ground and the other way round; nothing where the ground is neither. */
function inkFor({ width, height, rgb }: Surface, [x, y]: Point, side: number): Colour | undefined {
  let [lowest, highest] = [255, 0];
  for (let k = 0; k < 49; k++) {
    const px = Math.min(width - 1, Math.max(0, Math.floor(x + ((k % 7) / 6 - 0.5) * side)));
    const py = Math.min(height - 1, Math.max(0, Math.floor(y + (Math.floor(k / 7) / 6 - 0.5) * side)));
    const at = (py * width + px) * 3;
    const light = (rgb[at] + rgb[at + 1] + rgb[at + 2]) / 3;
    lowest = Math.min(lowest, light);
    highest = Math.max(highest, light);
  }
  if (lowest > 105) return [22, 20, 24];
  return highest < 130 ? [240, 240, 236] : undefined;
}

/** Where the sheet lands, unless too little of the code is `visible` (a share), or another code would be covered. */
function landing(
  { width, height }: Surface,
  sheet: PrintedSheet,
  map: Mapping,
  classNumber: number,
  placed: readonly Placed[],
  visible: number,
): Placed | undefined {
  const whole = outline(map, sheet.code);
  const inside = clipToPicture(whole, width, height);
  if (inside.length < 3 || areaOf(inside) < visible * areaOf(whole)) return undefined;
  const box = { class: classNumber, ...extent(inside) };
  if (Math.min(box.width, box.height) < 0.03 * width) return undefined;
  const area = {
    class: classNumber,
    ...extent(outline(map, [0, 0, sheet.surface.width, sheet.surface.height])),
  };
  const clear = placed.every((other) => overlap(area, other.box) < 0.02 && overlap(other.area, box) < 0.5);
  return clear ? { box, sheet, map, area } : undefined;
}

/** Share of `b` that `a` covers. */
function overlap(a: CodeBox, b: CodeBox): number {
  const w = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const h = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return w > 0 && h > 0 ? (w * h) / (b.width * b.height) : 0;
}

function extent(points: readonly Point[]): Omit<CodeBox, "class"> {
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}

/** The sheet's own shadow on what lies under it. */
function dropShadow(
  picture: Surface,
  random: Random,
  { surface }: PrintedSheet,
  pose: Parameters<typeof mapping>[0],
): void {
  const away = random.uniform(1, 5);
  const dark = createSurface(4, 4, [15, 15, 18]);
  const scale = pose.sheet.scale;
  const shape = { width: surface.width, height: surface.height, scale };
  const moved = mapping({
    ...pose,
    sheet: shape,
    centre: [pose.centre[0] + away, pose.centre[1] + away * 0.8],
  });
  const stretched: Mapping = {
    forward: (u, v) => moved.forward((u * surface.width) / 4, (v * surface.height) / 4),
    back(x, y, out) {
      moved.back(x, y, out);
      out[0] *= 4 / surface.width;
      out[1] *= 4 / surface.height;
    },
  };
  drawSheet(picture, dark, stretched, { opacity: random.uniform(0.15, 0.5), side: 1 });
}

/** A finger, cable or tape over at most about a quarter of the code. */
function occlude(picture: Surface, random: Random, { box, sheet, map }: Placed): void {
  const [left, top, right, bottom] = sheet.code;
  const entry = random.uniform(0, 2 * Math.PI);
  const corner = [random.uniform(0, 1), random.uniform(0, 1)];
  const tip = map.forward(left + (right - left) * corner[0], top + (bottom - top) * corner[1]);
  const reach = picture.width;
  const skin = random.next() < 0.6;
  const thickness = Math.min(box.width, box.height) * random.uniform(0.1, skin ? 0.4 : 0.25);
  const line = [tip[0], tip[1], tip[0] + reach * Math.cos(entry), tip[1] + reach * Math.sin(entry)] as const;
  if (covered(line, thickness, sheet, map) > 0.22) return;
  const tone = random.uniform(0.3, 1);
  const colour: Colour = skin ? [235 * tone, 180 * tone, 150 * tone] : randomColour(random, 20, 240, 0.5);
  strokeLine(picture, line, thickness, colour, {
    shade: skin ? 0.35 : 0.1,
    opacity: skin ? 1 : random.uniform(0.6, 1),
  });
}

/** Share of 12 x 12 points of the code that lie under the line. */
function covered(
  [ax, ay, bx, by]: readonly [number, number, number, number],
  thickness: number,
  { code: [left, top, right, bottom] }: PrintedSheet,
  map: Mapping,
): number {
  const [ux, uy] = [bx - ax, by - ay];
  let hit = 0;
  for (let k = 0; k < 144; k++) {
    const [x, y] = map.forward(
      left + (((k % 12) + 0.5) / 12) * (right - left),
      top + ((Math.floor(k / 12) + 0.5) / 12) * (bottom - top),
    );
    const t = Math.min(1, Math.max(0, ((x - ax) * ux + (y - ay) * uy) / (ux * ux + uy * uy)));
    if (Math.hypot(x - ax - t * ux, y - ay - t * uy) < thickness / 2) hit++;
  }
  return hit / 144;
}
