/** BMP pictures, which sharp does not read: all depths, run lengths, bit fields, and the headers of OS/2. */
import { ByteReader } from "../base/bytes.ts";
import { InputError, type Picture } from "../index.ts";

/** Sizes of the header after the 14 bytes of the file's: OS/2 1 and 2 (12, 16, 64), Windows (40), its versions 2 to 5. */
const headerSizes: readonly number[] = [12, 16, 40, 52, 56, 64, 108, 124];
const depths: readonly number[] = [1, 4, 8, 16, 24, 32];

/** How pixels are stored; 4 and 5 are JPEG and PNG for printers, 3 and 4 after an OS/2 header are other run lengths. */
const compressions = { none: 0, rle8: 1, rle4: 2, bitFields: 3, alphaBitFields: 6 } as const;

interface Header {
  width: number;
  height: number;
  topDown: boolean;
  bits: number;
  compression: number;
  /** Where the pixels begin in the file. */
  dataAt: number;
  /** RGB of each colour number; empty for more than 8 bits. */
  palette: Uint8Array;
  /** Bits of red, green, blue; for 16 and 32 bits. */
  masks: readonly number[];
}

/** Whether these are the first bytes of a BMP file. */
export function isBmp(bytes: Uint8Array): boolean {
  if (bytes.length < 26 || bytes[0] !== 0x42 || bytes[1] !== 0x4d) return false;
  return headerSizes.includes(new DataView(bytes.buffer, bytes.byteOffset).getUint32(14, true));
}

/**
 * The pixels of a BMP file as RGB, alpha dropped. Fields of 5 and 6 bits keep zeros below, as OpenCV leaves them. Throws
 * FormatError when the file is broken, InputError for more than `mostPixels` and for what BMP files hold only for printers.
 */
export function decodeBmp(bytes: Uint8Array, file: string, mostPixels: number): Picture {
  const header = readHeader(bytes, file, mostPixels);
  const { compression, bits } = header;
  const isRle = compression === compressions.rle8 || compression === compressions.rle4;
  const data = isRle
    ? painted(decodeRuns(bytes, header, file), header)
    : bits <= 8
      ? painted(unpackIndices(bytes, header, file), header)
      : decodeDirect(bytes, header, file);
  return { width: header.width, height: header.height, channels: 3, data };
}

function readHeader(bytes: Uint8Array, file: string, mostPixels: number): Header {
  const reader = new ByteReader(bytes, file, 10);
  const offset = reader.u32("offset of the pixels");
  const size = reader.u32("size of the header");
  const isCore = size === 12;
  const width = isCore ? reader.u16("width") : reader.i32("width");
  const signed = isCore ? reader.u16("height") : reader.i32("height");
  reader.skip(2, "planes");
  const bits = reader.u16("bits a pixel");
  const compression = size >= 40 ? reader.u32("compression") : 0;
  if (size >= 40) reader.skip(12, "size and resolution");
  const used = size >= 40 ? reader.u32("number of colours") : 0;
  const height = Math.abs(signed);
  if (width < 1 || height < 1) reader.fail(`found ${width}x${signed} pixels, expected at least 1x1`);
  if (width * height > mostPixels) {
    throw new InputError(
      `${file}: ${width}x${height} pixels are too many for a bmp file; at most ${mostPixels} are decoded, so make it smaller`,
    );
  }
  if (!depths.includes(bits)) reader.fail(`found ${bits} bits a pixel, expected ${depths.join(", ")}`);
  checkCompression(compression, bits, size, file);
  const hasFields = compression === compressions.bitFields || compression === compressions.alphaBitFields;
  const masks = hasFields
    ? readMasks(bytes, file)
    : bits === 16
      ? [0x7c00, 0x3e0, 0x1f]
      : [0xff0000, 0xff00, 0xff];
  const fieldBytes = hasFields && size === 40 ? (compression === compressions.bitFields ? 12 : 16) : 0;
  const paletteAt = 14 + size + fieldBytes;
  const entry = isCore ? 3 : 4;
  const most = 2 ** bits;
  const room = Math.max(0, Math.floor(((offset >= paletteAt ? offset : bytes.length) - paletteAt) / entry));
  const colours = bits > 8 ? 0 : Math.min(used || most, most, room);
  const palette = readPalette(bytes, paletteAt, colours, entry);
  const dataAt = offset >= paletteAt ? offset : paletteAt + colours * entry;
  return { width, height, topDown: signed < 0, bits, compression, dataAt, palette, masks };
}

function checkCompression(compression: number, bits: number, headerSize: number, file: string): void {
  const { none, rle8, rle4, bitFields, alphaBitFields } = compressions;
  const isOs2 = headerSize === 64;
  const fits =
    compression === none ||
    (compression === rle8 && bits === 8) ||
    (compression === rle4 && bits === 4) ||
    (!isOs2 && (compression === bitFields || compression === alphaBitFields) && (bits === 16 || bits === 32));
  if (fits) return;
  throw new InputError(
    `${file}: a bmp file with ${bits} bits a pixel and compression ${compression}, which is not read; save it without compression or as png`,
  );
}

/** They stand at the same place in the header of version 2 and behind the one of version 1. */
function readMasks(bytes: Uint8Array, file: string): number[] {
  const reader = new ByteReader(bytes, file, 54);
  return ["red", "green", "blue"].map((colour) => reader.u32(`bits of ${colour}`));
}

function readPalette(bytes: Uint8Array, at: number, colours: number, entry: number): Uint8Array {
  const palette = new Uint8Array(256 * 3); // what the file does not give is black
  for (let i = 0; i < colours; i++) {
    for (let c = 0; c < 3; c++) palette[3 * i + c] = bytes[at + entry * i + 2 - c];
  }
  return palette;
}

const rowOf = ({ topDown, height }: Header, y: number): number => (topDown ? y : height - 1 - y);

/** The rows as they stand in the file, each on a multiple of 4 bytes; throws when there are too few bytes. */
function storedRows(bytes: Uint8Array, { width, height, bits, dataAt }: Header, file: string) {
  const stride = 4 * Math.ceil((width * bits) / 32);
  const needed = stride * (height - 1) + Math.ceil((width * bits) / 8); // the last row may lack its filling
  const reader = new ByteReader(bytes, file, Math.min(dataAt, bytes.length));
  const data = reader.raw(needed, `${width}x${height} pixels of ${bits} bits`);
  return { stride, data };
}

function unpackIndices(bytes: Uint8Array, header: Header, file: string): Uint8Array {
  const { width, height, bits } = header;
  const { stride, data } = storedRows(bytes, header, file);
  const out = new Uint8Array(width * height);
  const perByte = 8 / bits;
  const mask = 2 ** bits - 1;
  for (let y = 0; y < height; y++) {
    const to = width * rowOf(header, y);
    for (let x = 0; x < width; x++) {
      const byte = data[stride * y + Math.floor(x / perByte)];
      out[to + x] = (byte >> (8 - bits * (1 + (x % perByte)))) & mask;
    }
  }
  return out;
}

function painted(indices: Uint8Array, { palette }: Header): Uint8Array {
  const out = new Uint8Array(indices.length * 3);
  for (let i = 0; i < indices.length; i++) {
    const from = 3 * indices[i];
    out[3 * i] = palette[from];
    out[3 * i + 1] = palette[from + 1];
    out[3 * i + 2] = palette[from + 2];
  }
  return out;
}

/** Runs of one or two colours; pixels that no run reaches keep colour 0. */
function decodeRuns(bytes: Uint8Array, header: Header, file: string): Uint8Array {
  const { width, height, dataAt } = header;
  const isNibbles = header.compression === compressions.rle4;
  const reader = new ByteReader(bytes, file, Math.min(dataAt, bytes.length));
  // A run of two bytes is at most 255 pixels, but steps may leave out any number: a few bytes must not become a huge picture.
  if (width * height > 2 ** 20 + 128 * reader.remaining) {
    reader.fail(`${reader.remaining} bytes of runs are too few for ${width}x${height} pixels`);
  }
  const out = new Uint8Array(width * height);
  let [x, y] = [0, 0];
  const put = (count: number, colour: (k: number) => number): void => {
    if (y >= height) reader.fail(`a run in row ${y}, expected rows below ${height}`);
    const to = width * rowOf(header, y);
    for (let k = 0; k < count && x < width; k++, x++) out[to + x] = colour(k);
  };
  const nibble = (byte: number, k: number): number => (k % 2 ? byte & 15 : byte >> 4);
  for (;;) {
    const count = reader.u8("a run");
    const value = reader.u8("a run");
    if (count > 0) put(count, isNibbles ? (k) => nibble(value, k) : () => value);
    else if (value === 0) [x, y] = [0, y + 1];
    else if (value === 1) return out;
    else if (value === 2) {
      x += reader.u8("a step to the right");
      y += reader.u8("a step up");
    } else {
      const length = isNibbles ? Math.ceil(value / 2) : value;
      const literal = reader.raw(length, "a run of single pixels");
      if (length % 2) reader.skip(1, "filling");
      put(value, isNibbles ? (k) => nibble(literal[k >> 1], k) : (k) => literal[k]);
    }
    // Some writers leave out the end mark.
    if (y >= height - 1 && reader.remaining < 2 && (x >= width || y >= height)) return out;
  }
}

/** 16, 24 and 32 bits: colours without a palette. */
function decodeDirect(bytes: Uint8Array, header: Header, file: string): Uint8Array {
  const { width, height, bits, masks } = header;
  const { stride, data } = storedRows(bytes, header, file);
  const fields = masks.map(levelsOf);
  const out = new Uint8Array(width * height * 3);
  const each = bits / 8;
  for (let y = 0; y < height; y++) {
    let to = 3 * width * rowOf(header, y);
    for (let x = 0, from = stride * y; x < width; x++, from += each) {
      const low = data[from] | (data[from + 1] << 8);
      const pixel = each === 2 ? low : low | (data[from + 2] << 16) | (each === 4 ? data[from + 3] << 24 : 0);
      for (const { mask, shift, levels } of fields) out[to++] = levels[(pixel & mask) >>> shift];
    }
  }
  return out;
}

/** Where a field lies, and the level from 0 to 255 of each of its values; of more than 8 bits the first 8 count. */
function levelsOf(mask: number): { mask: number; shift: number; levels: Uint8Array } {
  if (mask === 0) return { mask, shift: 0, levels: new Uint8Array(1) };
  const last = Math.clz32(mask & -mask) ^ 31;
  const all = 32 - Math.clz32(mask) - last;
  const bits = Math.min(all, 8);
  const shift = last + all - bits;
  const top = 2 ** bits - 1;
  const isShifted = bits === 5 || bits === 6;
  const levels = Uint8Array.from({ length: top + 1 }, (_, value) =>
    isShifted ? value << (8 - bits) : Math.round((value * 255) / top),
  );
  return { mask: mask & (-1 << shift), shift, levels };
}
