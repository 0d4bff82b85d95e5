/** Letters of the system's fonts, of any script, through sharp. */

import { existsSync } from "node:fs";
import { expectKind } from "../base/arguments.ts";
import type { Letterer, Letters } from "../index.ts";
import { bitmapLettering } from "../steps.ts";

/** Texts are cut and letters forgotten above these. */
const mostCharacters = 200;
const mostKept = 4000;

/** Letters by height and text. Scores are kept apart from what stands before them, so that few are new from frame to frame. */
const kept = new Map<string, Letters>();
const partsOf = (text: string): string[] =>
  Array.from(text.replace(/[\p{Cc}\p{Cs}\uFFFE\uFFFF]/gu, " "))
    .slice(0, mostCharacters)
    .join("")
    .split(/ (?=[\d.%]+$)/);
const keyOf = (part: string, height: number): string => `${height} ${part}`;

/** As parts of the height of a line: of the font, its baseline, and what is left free before and after a part. */
const [fontShare, baseShare, sideShare] = [0.74, 0.76, 0.2];

/** The letters of the system's fonts; the kit's own where there are no fonts, as in many containers. */
export const fontLetterer: Letterer = async (texts, wanted) => {
  expectKind("fontLetterer: texts", texts, "a list of strings");
  expectKind("fontLetterer: height", wanted, "a number");
  const height = Math.max(Math.round(wanted), 8);
  if (!(await hasFonts())) return bitmapLettering;
  const parts = [...new Set(texts.flatMap(partsOf))];
  const missing = parts.filter((part) => !kept.has(keyOf(part, height)));
  if (kept.size + missing.length > mostKept) kept.clear();
  const fresh = missing.length ? await drawLines(missing, height) : [];
  fresh.forEach((letters, i) => {
    kept.set(keyOf(missing[i], height), letters);
  });
  // Others may empty the map before this is asked.
  const own = new Map(parts.map((part) => [part, kept.get(keyOf(part, height))]));
  return (text) => joined(partsOf(text).flatMap((part) => own.get(part) ?? []));
};

let fonts: Promise<boolean> | undefined;
/** Whether two letters are drawn, and as two. */
const hasFonts = (): Promise<boolean> => {
  fonts ??= (async () => {
    const { platform, env } = process;
    // Where fontconfig finds no settings it complains on stderr, and there are no fonts.
    const isBare = platform === "linux" && !existsSync(env.FONTCONFIG_FILE ?? "/etc/fonts/fonts.conf");
    if (isBare && !env.FONTCONFIG_PATH) return false;
    try {
      const [i, m] = await drawLines(["i", "m"], 16);
      return i.ink.some((ink) => ink > 0) && Buffer.compare(i.ink, m.ink) !== 0;
    } catch {
      return false;
    }
  })();
  return fonts;
};

/** Pixels of a line in which it is looked whether a character is drawn. */
const probeHeight = 48;
/** Of a line that lies between two pixels, one of them has as much ink. */
const lineInk = 100;
const mostProbes = 256;

/**
 * Characters of these texts that no font of this system has, each once: they are drawn as boxes with their codes, or, where there are no
 * fonts at all, as `?`.
 */
export async function withoutGlyphs(texts: readonly string[]): Promise<string[]> {
  const all = [...new Set(texts.flatMap(partsOf).join(""))].filter((character) => character > "~");
  if (!all.length || !(await hasFonts())) return all;
  const missing: string[] = [];
  for (let i = 0; i < all.length; i += mostProbes) {
    const some = all.slice(i, i + mostProbes);
    const lines = await drawLines(some, probeHeight);
    const framed = some.filter((_, k) => frameOf(lines[k]) !== undefined);
    for (const character of framed) if (await isCode(character)) missing.push(character);
  }
  return missing;
}

interface Frame {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Where ink is, if a closed rectangle goes around it. */
function frameOf({ ink, width, height }: Letters): Frame | undefined {
  const frame = { left: width, right: -1, top: height, bottom: -1 };
  for (let i = 0; i < ink.length; i++) {
    if (!ink[i]) continue;
    const [x, y] = [i % width, Math.floor(i / width)];
    frame.left = Math.min(frame.left, x);
    frame.right = Math.max(frame.right, x);
    frame.top = Math.min(frame.top, y);
    frame.bottom = Math.max(frame.bottom, y);
  }
  const { left, right, top, bottom } = frame;
  if (right < left) return undefined;
  const isLine = (x: number, y: number, inX: number, inY: number): boolean =>
    Math.max(ink[y * width + x], ink[(y + inY) * width + x + inX]) >= lineInk;
  for (let x = left + 1; x < right; x++) {
    if (!isLine(x, top, 0, 1) || !isLine(x, bottom, 0, -1)) return undefined;
  }
  for (let y = top + 1; y < bottom; y++) {
    if (!isLine(left, y, 1, 0) || !isLine(right, y, -1, 0)) return undefined;
  }
  return frame;
}

/**
 * Whether a framed character is a box with its code: that of a character near by has the same frame and the same upper half, since only
 * its last digit is another. Letters that are boxes themselves (口, 日) have no neighbours of that kind.
 */
async function isCode(character: string): Promise<boolean> {
  const code = character.codePointAt(0) ?? 0;
  const near = [1, 2, 4, 8].flatMap((bit) => partsOf(String.fromCodePoint(code ^ bit)));
  const [own, ...others] = await drawLines([character, ...near], probeHeight);
  const frame = frameOf(own);
  if (!frame) return false;
  const { left, right, top, bottom } = frame;
  const middle = (top + bottom) >> 1;
  return others.some(({ ink, width }) => {
    if (width !== own.width) return false;
    return ink.every((level, i) => {
      const [x, y] = [i % width, Math.floor(i / width)];
      const isLower = x > left + 1 && x < right - 1 && y > middle && y < bottom - 1;
      return isLower || level === own.ink[i];
    });
  });
}

const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

/** A line for each text in one picture, then cut apart. */
async function drawLines(
  texts: readonly string[],
  height: number,
): Promise<(Letters & { ink: Uint8Array })[]> {
  const { default: sharp } = await import("sharp");
  const side = Math.round(height * sideShare);
  const longest = Math.max(...texts.map((text) => Array.from(text).length));
  const width = 2 * side + Math.ceil((longest + 1) * height);
  const lines = texts.map((text, i) => {
    const base = i * height + height * baseShare;
    return `<text x="${side}" y="${base.toFixed(2)}" xml:space="preserve">${escaped(text)}</text>`;
  });
  const style = `font-family="sans-serif" font-weight="600" font-size="${(height * fontShare).toFixed(2)}" fill="#fff"`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height * texts.length}"><g ${style}>${lines.join("")}</g></svg>`;
  const { data } = await sharp(Buffer.from(svg), { limitInputPixels: false })
    .ensureAlpha()
    .extractChannel(3)
    .raw()
    .toBuffer({ resolveWithObject: true });
  return texts.map((_, i) =>
    cropped(data.subarray(i * height * width, (i + 1) * height * width), width, side),
  );
}

/** As wide as its ink, with the free sides. */
function cropped(line: Uint8Array, width: number, side: number): Letters & { ink: Uint8Array } {
  const height = line.length / width;
  let used = 0;
  for (let y = 0; y < height; y++) {
    for (let x = width - 1; x >= used; x--) if (line[y * width + x]) used = x + 1;
  }
  const taken = Math.min(Math.max(used, side) + side, width);
  const ink = new Uint8Array(taken * height);
  for (let y = 0; y < height; y++) ink.set(line.subarray(y * width, y * width + taken), y * taken);
  return { width: taken, height, ink };
}

/** Side by side; the free sides make the space between. */
function joined(all: readonly Letters[]): Letters {
  const height = all[0]?.height ?? 1;
  const width = all.reduce((sum, each) => sum + each.width, 0);
  const ink = new Uint8Array(width * height);
  let left = 0;
  for (const letters of all) {
    for (let y = 0; y < height; y++) {
      const row = letters.ink.subarray(y * letters.width, (y + 1) * letters.width);
      ink.set(row, y * width + left);
    }
    left += letters.width;
  }
  return { width, height, ink };
}
