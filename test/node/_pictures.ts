/** Small picture files made by hand, of kinds that sharp does not write. */

const bytesOf = (value: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.floor(value / 256 ** i) % 256);

export interface BmpParts {
  width: number;
  /** Negative: the first row is the top one. */
  height: number;
  bits: number;
  /** Rows as they stand in the file, or runs. */
  data: readonly number[];
  /** Blue, green, red of each colour. */
  palette?: readonly (readonly number[])[];
  compression?: number;
  masks?: readonly number[];
  headerSize?: number;
  /** Colours that the header tells. */
  used?: number;
}

export function bmp(parts: BmpParts): Uint8Array {
  const { width, height, bits, data, palette = [], compression = 0, masks = [], headerSize = 40 } = parts;
  const isCore = headerSize === 12;
  const sizes = isCore
    ? [...bytesOf(width, 2), ...bytesOf(height, 2)]
    : [...bytesOf(width, 4), ...bytesOf(height >>> 0, 4)];
  const head = [...bytesOf(headerSize, 4), ...sizes, 1, 0, ...bytesOf(bits, 2)];
  if (headerSize >= 40) {
    head.push(...bytesOf(compression, 4), ...bytesOf(data.length, 4), ...bytesOf(0, 8));
    head.push(...bytesOf(parts.used ?? 0, 4), ...bytesOf(0, 4));
  }
  for (const mask of masks) head.push(...bytesOf(mask, 4));
  while (head.length < headerSize) head.push(0);
  for (const colour of palette) head.push(...colour, ...(isCore ? [] : [0]));
  const offset = 14 + head.length;
  return Uint8Array.from([
    66,
    77,
    ...bytesOf(offset + data.length, 4),
    0,
    0,
    0,
    0,
    ...bytesOf(offset, 4),
    ...head,
    ...data,
  ]);
}

export interface TiffParts {
  width: number;
  height: number;
  bits: number;
  /** 0 and 1 grey, 2 RGB, 3 palette, 5 inks, 6 YCbCr, 8 Lab. */
  photometric: number;
  samples: readonly number[];
  samplesPerPixel: number;
  /** 1 unsigned, 2 signed, 3 floating-point. */
  format?: number;
  /** 0 unknown, 1 associated, 2 unassociated alpha. */
  extra?: number;
  more?: readonly (readonly [tag: number, values: readonly number[]])[];
}

/** An uncompressed little-endian TIFF with one strip; samples of 32 bits are written as float32. */
export function tiff(parts: TiffParts): Uint8Array {
  const { width, height, bits, photometric, samples, samplesPerPixel, format, extra, more = [] } = parts;
  const pixels =
    bits === 32
      ? [...new Uint8Array(Float32Array.from(samples).buffer)]
      : samples.flatMap((value) => bytesOf(value & (2 ** bits - 1), bits / 8));
  const entries: (readonly [number, readonly number[]])[] = [
    ...([
      [256, [width]],
      [257, [height]],
      [258, Array(samplesPerPixel).fill(bits)],
      [259, [1]],
      [262, [photometric]],
      [273, [8]],
      [277, [samplesPerPixel]],
      [278, [height]],
      [279, [pixels.length]],
    ] as const),
    ...(extra === undefined ? [] : [[338, [extra]] as const]),
    ...(format === undefined ? [] : [[339, Array(samplesPerPixel).fill(format)] as const]),
    ...more,
  ];
  entries.sort(([a], [b]) => a - b);
  if (pixels.length % 2) pixels.push(0);
  const directory: number[] = bytesOf(entries.length, 2);
  const after: number[] = [];
  const start = 8 + pixels.length;
  for (const [tag, values] of entries) {
    const content = values.flatMap((value) => bytesOf(value, 2));
    directory.push(...bytesOf(tag, 2), 3, 0, ...bytesOf(values.length, 4));
    if (content.length <= 4) directory.push(...content, ...Array(4 - content.length).fill(0));
    else {
      directory.push(...bytesOf(start + 2 + 12 * entries.length + 4 + after.length, 4));
      after.push(...content, ...Array(content.length % 2).fill(0));
    }
  }
  return Uint8Array.from([
    73,
    73,
    42,
    0,
    ...bytesOf(start, 4),
    ...pixels,
    ...directory,
    0,
    0,
    0,
    0,
    ...after,
  ]);
}
