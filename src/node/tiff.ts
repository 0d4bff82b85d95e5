/**
 * What of a TIFF file sharp does not read as OpenCV does: the meaning of its samples. Its tags say it; the samples themselves are
 * unpacked by sharp, from a copy whose tags call them plain RGB.
 */
import { FormatError, InputError } from "../index.ts";

const tags = {
  ...{
    bits: 258,
    compression: 259,
    photometric: 262,
    samples: 277,
    whitePoint: 318,
    extra: 338,
    format: 339,
  },
  ...{ yccFactors: 529, yccSubsampling: 530, yccRange: 532 },
} as const;
const photometric = { rgb: 2, separated: 5, ycc: 6, lab: 8, iccLab: 9, itu: 10 } as const;
const jpegCompressions: readonly number[] = [6, 7];
const unassociatedAlpha = 2;

/** Bytes of a value of each TIFF type; others are not looked at. */
const typeBytes: Readonly<Record<number, number>> = { 1: 1, 3: 2, 4: 4, 5: 8 };

/** How the samples of a TIFF are to be read, where it is not as sharp reads them. */
export interface TiffReading {
  /** The file with tags that call the samples RGB. */
  readonly bytes: Uint8Array;
  readonly bits: 8 | 16;
  /** Samples of pixels without gaps to RGB. */
  toRgb(samples: Uint8Array | Uint16Array, channels: number): Uint8Array;
  /** Whether neighbours may be averaged before `toRgb`. */
  readonly linear: boolean;
}

export function isTiff(bytes: Uint8Array): boolean {
  const [a, b, c, d] = bytes;
  if (bytes.length < 16 || a !== b) return false;
  return (
    (a === 0x49 && (c === 42 || c === 43) && d === 0) || (a === 0x4d && c === 0 && (d === 42 || d === 43))
  );
}

/**
 * How to read the first picture of a TIFF: nothing where sharp's reading is right. Levels are those of OpenCV, which takes them
 * from libtiff. Throws InputError for samples that have no levels (float, signed, 32 bits), FormatError for broken tags.
 */
export function tiffReading(bytes: Uint8Array, file: string): TiffReading | undefined {
  const entries = new Tags(bytes, file);
  /** A file without it is broken; -1 is no kind that there is. */
  const kind = entries.numbers(tags.photometric)[0] ?? -1;
  const bits = entries.numbers(tags.bits)[0] ?? 1;
  const format = entries.numbers(tags.format)[0] ?? 1;
  const samples = entries.numbers(tags.samples)[0] ?? 1;
  checkSamples(kind, bits, format, samples, file);
  // JPEG brings its own way from YCbCr to RGB, but takes inks as they are.
  const isJpeg = jpegCompressions.includes(entries.numbers(tags.compression)[0]);
  if (isJpeg && kind !== photometric.separated) return undefined;
  const convert = conversion(entries, kind, bits, samples, file);
  if (!convert) return undefined;
  const copy = entries.patched([
    [tags.photometric, photometric.rgb],
    [tags.extra, 0],
  ]);
  const linear = kind !== photometric.lab && kind !== photometric.ycc;
  return { bytes: copy, bits: bits === 16 ? 16 : 8, linear, toRgb: convert };
}

function checkSamples(kind: number, bits: number, format: number, samples: number, file: string): void {
  const what = { 2: "signed", 3: "floating-point", 4: "untyped", 5: "complex", 6: "complex" }[format];
  if (what || bits > 16) {
    throw new InputError(
      `${file}: a tiff file of ${bits}-bit ${what ?? "whole"} samples: which of them is white is not defined, so it is not read; save it with 8 bits`,
    );
  }
  const known =
    (kind >= 0 && kind <= 3) ||
    kind === photometric.separated ||
    kind === photometric.ycc ||
    kind === photometric.lab;
  const needs16 = kind === photometric.separated || kind === photometric.ycc;
  if (known && !(needs16 && bits === 16) && samples <= 4) return;
  throw new InputError(
    `${file}: a tiff file of ${kind < 0 ? "no stated colour kind" : `colour kind ${kind}`} with ${samples} samples of ${bits} bits, which is not read; save it as 8-bit RGB`,
  );
}

type Convert = TiffReading["toRgb"];

function conversion(
  entries: Tags,
  kind: number,
  bits: number,
  samples: number,
  file: string,
): Convert | undefined {
  if (kind === photometric.separated && samples === 4) return cmykToRgb;
  if (kind === photometric.lab && samples === 3) return labConversion(entries, bits);
  if (kind === photometric.ycc && samples === 3) {
    const subsampling = entries.numbers(tags.yccSubsampling);
    if (subsampling[0] === 1 && subsampling[1] === 1) return yccConversion(entries);
    throw new InputError(
      `${file}: a tiff file of YCbCr with fewer colour samples than pixels and no JPEG, which is not read; save it as RGB`,
    );
  }
  if (kind !== photometric.rgb || (samples === 3 && bits === 8)) return undefined;
  const level = bits === 16 ? (value: number) => Math.floor((value + 128) / 257) : (value: number) => value;
  const isUnassociated = samples === 4 && entries.numbers(tags.extra)[0] === unassociatedAlpha;
  return perPixel((p, i, out) => {
    const alpha = isUnassociated ? level(p[i + 3]) : 255;
    for (let c = 0; c < 3; c++) out(Math.floor((level(p[i + c]) * alpha + 127) / 255));
  });
}

/** A conversion that looks at one pixel after another and gives three levels each, rounded and bounded here. */
function perPixel(
  pixel: (samples: Uint8Array | Uint16Array, at: number, out: (level: number) => void) => void,
): Convert {
  return (samples, channels) => {
    const levels = new Uint8ClampedArray((samples.length / channels) * 3);
    let to = 0;
    const out = (level: number): void => {
      levels[to++] = level;
    };
    for (let i = 0; i < samples.length; i += channels) pixel(samples, i, out);
    return new Uint8Array(levels.buffer);
  };
}

/** Inks of 0 to 255 each over white. */
const cmykToRgb: Convert = perPixel((p, i, out) => {
  const light = 255 - p[i + 3];
  for (let c = 0; c < 3; c++) out(Math.floor((light * (255 - p[i + c])) / 255));
});

function yccConversion(entries: Tags): Convert {
  const [red, green, blue] = entries.rationals(tags.yccFactors) ?? [0.299, 0.587, 0.114];
  const range = entries.rationals(tags.yccRange) ?? [0, 255, 128, 255, 128, 255];
  const scaled = (value: number, k: number, most: number): number =>
    ((value - range[k]) * most) / (range[k + 1] - range[k] || 1);
  const [toRed, toBlue] = [2 - 2 * red, 2 - 2 * blue];
  return perPixel((p, i, out) => {
    const y = Math.floor(scaled(p[i], 0, 255));
    const cb = Math.floor(scaled(p[i + 1], 2, 127));
    const cr = Math.floor(scaled(p[i + 2], 4, 127));
    out(y + Math.floor(toRed * cr + 0.5));
    out(y + Math.floor((-red * toRed * cr) / green - (blue * toBlue * cb) / green + 0.5));
    out(y + Math.floor(toBlue * cb + 0.5));
  });
}

/** CIE L*a*b* through XYZ to the sRGB primaries, with their curve taken as a power of 2.4, as libtiff does. */
function labConversion(entries: Tags, bits: number): Convert {
  const [x, y] = entries.rationals(tags.whitePoint) ?? [0.3457, 0.3585];
  const white = [(x / y) * 100, 100, ((1 - x - y) / y) * 100];
  const [full, half, unit] = bits === 16 ? [65535, 32768, 256] : [255, 128, 1];
  const signed = (value: number): number => (value >= half ? value - 2 * half : value) / unit;
  const linear = (t: number): number => (t < 0.2069 ? (t - 0.13793) / 7.787 : t ** 3);
  const level = (light: number): number => {
    const step = Math.floor(((Math.min(Math.max(light, 1), 100) - 1) * 1500) / 99); // a black screen still gives 1 of 100
    return Math.round(255 * (step / 1500) ** (1 / 2.4));
  };
  return perPixel((p, i, out) => {
    const lightness = (p[i] * 100) / full;
    const f = lightness < 8.856 ? (7.787 * lightness) / 903.292 + 16 / 116 : (lightness + 16) / 116;
    const Y = lightness < 8.856 ? (white[1] * lightness) / 903.292 : white[1] * f ** 3;
    const X = white[0] * linear(f + signed(p[i + 1]) / 500);
    const Z = white[2] * linear(f - signed(p[i + 2]) / 200);
    out(level(3.241 * X - 1.5374 * Y - 0.4986 * Z));
    out(level(-0.9692 * X + 1.876 * Y + 0.0416 * Z));
    out(level(0.0556 * X - 0.204 * Y + 1.057 * Z));
  });
}

/** The tags of the first picture, of an ordinary TIFF or a BigTIFF. */
class Tags {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly file: string;
  private readonly little: boolean;
  /** Type, number of values and where they begin, by tag. */
  private readonly entries = new Map<number, { type: number; count: number; at: number }>();

  constructor(bytes: Uint8Array, file: string) {
    this.bytes = bytes;
    this.file = file;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.little = bytes[0] === 0x49;
    const isBig = this.u16(2) === 43;
    const [wordBytes, countBytes] = isBig ? [8, 8] : [4, 2];
    const word = (at: number): number => (isBig ? this.u64(at) : this.u32(at));
    const start = word(isBig ? 8 : 4);
    const count = isBig ? this.u64(start) : this.u16(start);
    if (count > 4096) this.fail(`found ${count} tags, expected at most 4096`);
    for (let i = 0; i < count; i++) {
      const at = start + countBytes + i * (4 + 2 * wordBytes);
      const [tag, type, values] = [this.u16(at), this.u16(at + 2), word(at + 4)];
      const inside = at + 4 + wordBytes;
      const isInline = (typeBytes[type] ?? 0) * values <= wordBytes;
      this.entries.set(tag, { type, count: values, at: isInline ? inside : word(inside) });
    }
  }

  private fail(message: string): never {
    throw new FormatError(`${this.file}: broken tiff tags: ${message}`);
  }
  private check(at: number, count: number): void {
    if (at + count > this.bytes.length) this.fail(`they reach beyond the end of the file, byte ${at}`);
  }
  private u16(at: number): number {
    this.check(at, 2);
    return this.view.getUint16(at, this.little);
  }
  private u32(at: number): number {
    this.check(at, 4);
    return this.view.getUint32(at, this.little);
  }
  private u64(at: number): number {
    this.check(at, 8);
    return Number(this.view.getBigUint64(at, this.little));
  }

  /** The first values of a tag, at most 16; none where it is missing. */
  numbers(tag: number): number[] {
    const entry = this.entries.get(tag);
    const size = typeBytes[entry?.type ?? 0];
    if (!entry || !size) return [];
    return Array.from({ length: Math.min(entry.count, 16) }, (_, i) => {
      const at = entry.at + i * size;
      if (entry.type === 5) return this.u32(at) / this.u32(at + 4);
      if (entry.type === 4) return this.u32(at);
      this.check(at, size);
      return entry.type === 3 ? this.u16(at) : this.bytes[at];
    });
  }

  /** The values of a tag of fractions, or nothing where it is missing or has one that is no number. */
  rationals(tag: number): number[] | undefined {
    const values = this.numbers(tag);
    return values.length && values.every(Number.isFinite) ? values : undefined;
  }

  /** A copy of the file in which the first values of these tags are others, where they are there. */
  patched(changes: readonly (readonly [tag: number, value: number])[]): Uint8Array {
    const copy = this.bytes.slice();
    const view = new DataView(copy.buffer);
    for (const [tag, value] of changes) {
      const entry = this.entries.get(tag);
      if (entry?.type === 3) view.setUint16(entry.at, value, this.little);
    }
    return copy;
  }
}
