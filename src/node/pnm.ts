/** PBM, PGM and PPM pictures, which sharp does not read: as text (P1, P2, P3) and as bytes (P4, P5, P6). */
import { FormatError, InputError, type Picture } from "../index.ts";

const digit = (byte: number): boolean => byte >= 48 && byte <= 57;
const blank = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13);
const hash = 35;

/** Whether these are the first bytes of a PBM, PGM or PPM file. */
export function isPnm(bytes: Uint8Array): boolean {
  const [p, kind, after] = bytes;
  return p === 0x50 && kind >= 0x31 && kind <= 0x36 && (blank(after) || after === hash);
}

/** The words of a file from `at` on; comments go to the end of the line. */
class Words {
  private readonly bytes: Uint8Array;
  private readonly file: string;
  at = 2;

  constructor(bytes: Uint8Array, file: string) {
    this.bytes = bytes;
    this.file = file;
  }

  private skipBlank(): void {
    const { bytes } = this;
    for (; this.at < bytes.length; this.at++) {
      if (bytes[this.at] === hash) while (this.at < bytes.length && bytes[this.at] !== 10) this.at++;
      else if (!blank(bytes[this.at])) return;
    }
  }

  /** The next whole number, of at most `most`; `digits` limits how many digits belong to it. */
  number(field: string, most: number, digits = 10): number {
    this.skipBlank();
    const { bytes, at: start } = this;
    let value = 0;
    while (this.at < start + digits && digit(bytes[this.at])) value = 10 * value + bytes[this.at++] - 48;
    if (this.at === start || value > most) {
      const found =
        this.at > start ? value : start < bytes.length ? `byte ${bytes[start]}` : "the end of the file";
      throw new FormatError(
        `${this.file}: at byte ${start}: ${field}: found ${found}, expected a number up to ${most}`,
      );
    }
    return value;
  }
}

/**
 * The pixels as RGB. Levels are OpenCV's: text is scaled to 255, bytes are taken as they are, and of two bytes the first,
 * whatever the largest value is said to be. Throws FormatError, and InputError for more than `mostPixels`.
 */
export function decodePnm(bytes: Uint8Array, file: string, mostPixels: number): Picture {
  const kind = bytes[1] - 48;
  const words = new Words(bytes, file);
  const width = words.number("width", 2 ** 31 - 1);
  const height = words.number("height", 2 ** 31 - 1);
  if (!width || !height)
    throw new FormatError(`${file}: found ${width}x${height} pixels, expected at least 1x1`);
  if (width * height > mostPixels) {
    throw new InputError(
      `${file}: ${width}x${height} pixels are too many for a ppm file; at most ${mostPixels} are decoded, so make it smaller`,
    );
  }
  const isBits = kind === 1 || kind === 4;
  const most = isBits ? 1 : words.number("largest value", 65535);
  if (!most) throw new FormatError(`${file}: the largest value is 0, expected 1 to 65535`);
  const channels = kind === 3 || kind === 6 ? 3 : 1;
  const count = width * height * channels;
  const isText = kind <= 3;
  const needed = isText ? count : storedBytes(kind, width, height, count, most);
  const left = bytes.length - words.at - (isText ? 0 : 1);
  if (left < needed) {
    throw new FormatError(`${file}: truncated: ${left} bytes of pixels, expected at least ${needed}`);
  }
  const levels = isText
    ? readText(words, count, most, isBits)
    : readStored(bytes.subarray(words.at + 1), { kind, width, height, count, most });
  return { width, height, channels: 3, data: channels === 3 ? levels : tripled(levels) };
}

const storedBytes = (kind: number, width: number, height: number, count: number, most: number): number =>
  kind === 4 ? Math.ceil(width / 8) * height : most > 255 ? 2 * count : count;

function readText(words: Words, count: number, most: number, isBits: boolean): Uint8Array {
  const levels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    if (isBits) levels[i] = words.number("pixel", 1, 1) ? 0 : 255;
    else {
      const value = Math.min(words.number("pixel", 2 ** 31 - 1), most);
      levels[i] = most > 255 ? value >> 8 : Math.floor((value * 255) / most);
    }
  }
  return levels;
}

function readStored(
  data: Uint8Array,
  {
    kind,
    width,
    height,
    count,
    most,
  }: { kind: number; width: number; height: number; count: number; most: number },
): Uint8Array {
  if (kind === 4) {
    const levels = new Uint8Array(count);
    const pitch = Math.ceil(width / 8);
    for (let i = 0; i < count; i++) {
      const [x, y] = [i % width, Math.floor(i / width)];
      levels[i] = data[pitch * y + (x >> 3)] & (128 >> (x & 7)) ? 0 : 255;
    }
    return levels.subarray(0, width * height);
  }
  return most > 255 ? Uint8Array.from({ length: count }, (_, i) => data[2 * i]) : data.slice(0, count);
}

function tripled(levels: Uint8Array): Uint8Array {
  const out = new Uint8Array(levels.length * 3);
  for (let i = 0; i < levels.length; i++) out.fill(levels[i], 3 * i, 3 * i + 3);
  return out;
}
