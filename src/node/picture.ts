/** Picture files through `sharp`: decoding with bounded memory, upright as the camera's EXIF note says, and encoding. */

import path from "node:path";
import type { Sharp } from "sharp";
import { expectKind } from "../base/arguments.ts";
import { FormatError, InputError, type Picture } from "../index.ts";
import { decodeBmp, isBmp } from "./bmp.ts";
import { readBytes } from "./files.ts";
import { hasEnd, hasScanData, jpegInksToRgb } from "./jpeg.ts";
import { localPath } from "./local.ts";
import { decodePnm, isPnm } from "./pnm.ts";
import { isTiff, type TiffReading, tiffReading } from "./tiff.ts";

/**
 * Most pixels that a file may have: 23000x23000. Such a picture is decoded row by row and shrunk on the way, so memory
 * stays small; above, the time alone is a nuisance.
 */
const maxPixels = 23_000 ** 2;
/** The same for files that can only be decoded as a whole (progressive JPEG, interlaced PNG, and formats other than these). */
const maxWholePixels = 100_000_000;
/** A picture with a longer side is shrunk to this while it is decoded. */
const maxSide = 8192;
/** File extensions that are taken for pictures in a folder. */
export const pictureExtensions: readonly string[] = [
  ...["jpg", "jpeg", "jpe", "jfif", "mpo", "png", "webp", "bmp", "dib", "gif", "tif", "tiff", "avif"],
  ...["ppm", "pgm", "pbm", "pnm"],
];

/** A picture from a file, and the size that it has there: larger than the picture if it had to be shrunk. */
export interface FilePicture extends Picture {
  readonly channels: 3;
  readonly fileWidth: number;
  readonly fileHeight: number;
}

/** What decoding may cost; without it a picture may be as large as `readPicture` says, and take any time. */
export interface DecodeLimits {
  /** The most pixels. */
  readonly pixels?: number;
  /** The most seconds, a whole number; of formats that sharp decodes. */
  readonly seconds?: number;
}

/**
 * Decodes a picture file to RGB, upright (EXIF orientation applied), alpha dropped; its content tells the format, not its name.
 * Levels are those of OpenCV's `imread`, with which detectors are trained: colour profiles are ignored, of 16 bits the upper 8
 * are taken. Sides above 8192 pixels are shrunk to that. A damaged JPEG is read as far as it goes, and the picture's `warning`
 * says so. Throws InputError when the file is missing, no picture, broken, of samples without defined levels, or
 * larger than 23000x23000 pixels (10000x10000 where it can only be decoded as a whole).
 */
export async function readPicture(given: string | URL): Promise<FilePicture> {
  const file = localPath(given);
  expectKind("readPicture: file", file, "a string");
  return decodePicture(await readBytes(file, "picture"), file);
}

/** As `readPicture`, of a file's bytes; `name` is what messages call it. */
export async function decodePicture(
  bytes: Uint8Array,
  name: string,
  limits: DecodeLimits = {},
): Promise<FilePicture> {
  if (bytes.length === 0) throw new InputError(`${name}: the file is empty, not a picture`);
  try {
    const own = decodeOurselves(bytes, name, limits);
    return own ? await fitted(own) : await decode(bytes, name, limits);
  } catch (error) {
    if (error instanceof InputError) throw error;
    if (error instanceof FormatError) throw new InputError(error.message, { cause: error }); // one kind for all formats
    throw new InputError(`${name}: not a picture that can be decoded: ${reasonOf(error)}`, { cause: error });
  }
}

const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split("\n")[0].replace(/^VipsJpeg: /, "");

/** Who brings pixels of their own does not wait for it. */
const loadSharp = async (): Promise<typeof import("sharp").default> => (await import("sharp")).default;

/** Formats that sharp does not read. */
function decodeOurselves(bytes: Uint8Array, file: string, limits: DecodeLimits): Picture | undefined {
  const most = Math.min(maxWholePixels, limits.pixels ?? maxWholePixels);
  if (isBmp(bytes)) return decodeBmp(bytes, file, most);
  if (isPnm(bytes)) return decodePnm(bytes, file, most);
  return undefined;
}

const shrink = { width: maxSide, height: maxSide, fit: "inside", withoutEnlargement: true } as const;

async function fitted({ width, height, data }: Picture): Promise<FilePicture> {
  const size = { fileWidth: width, fileHeight: height };
  if (Math.max(width, height) <= maxSide) return { width, height, channels: 3, data, ...size };
  const sharp = await loadSharp();
  const image = sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: maxPixels });
  const { data: small, info } = await image.resize(shrink).raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: 3, data: bytesOf(small), ...size };
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Which samples are asked of sharp, and how they become RGB where they are not. */
interface Reading {
  readonly bytes: Uint8Array;
  readonly space: "srgb" | "cmyk" | "rgb16";
  readonly toRgb?: TiffReading["toRgb"];
}

async function decode(bytes: Uint8Array, file: string, limits: DecodeLimits): Promise<FilePicture> {
  const tiff = isTiff(bytes) ? tiffReading(bytes, file) : undefined;
  const sharp = await loadSharp();
  const metadata = await sharp(tiff?.bytes ?? bytes, { limitInputPixels: false, failOn: "none" }).metadata();
  const { width, height, format, isProgressive, space } = metadata;
  const byRow = (format === "jpeg" || format === "png") && !isProgressive;
  const limit = Math.min(byRow ? maxPixels : maxWholePixels, limits.pixels ?? maxPixels);
  if (width * height > limit) {
    throw new InputError(
      `${file}: ${width}x${height} pixels are too many for a ${isProgressive ? "progressive " : ""}${format} file; at most ${limit} are decoded, so make it smaller`,
    );
  }
  if (format === "svg" || format === "pdf") throw new InputError(`${file}: ${format} is not a pixel format`);
  const large = Math.max(width, height) > maxSide;
  if (large && tiff && !tiff.linear) {
    throw new InputError(
      `${file}: above ${maxSide} pixels a tiff file must be RGB; make it smaller or save it as RGB`,
    );
  }
  const reading: Reading = tiff
    ? { ...tiff, space: tiff.bits === 16 ? "rgb16" : "srgb" }
    : format === "jpeg" && space === "cmyk"
      ? { bytes, space: "cmyk", toRgb: jpegInksToRgb }
      : { bytes, space: "srgb" };
  const { seconds } = limits;
  const { autoOrient } = metadata;
  const size = { fileWidth: autoOrient.width, fileHeight: autoOrient.height };
  try {
    // Warnings about tiff files are about tags that do not touch the pixels.
    const failOn = format === "tiff" ? "error" : "warning";
    return { ...(await samples(reading, large, { failOn, seconds, file })), ...size };
  } catch (error) {
    if (format !== "jpeg" || !hasScanData(bytes)) throw error;
    const picture = await samples(reading, large, { failOn: "none", seconds, file });
    // The decoder's own words may be those of another picture, decoded at the same time: it collects them for the whole process.
    const damage = hasEnd(bytes) ? "its data have errors" : "it ends too early";
    return { ...picture, ...size, warning: `${file}: damaged, read as far as it goes: ${damage}` };
  }
}

async function samples(
  { bytes, space, toRgb }: Reading,
  large: boolean,
  {
    failOn,
    seconds = 0,
    file,
  }: { failOn: "warning" | "error" | "none"; seconds: number | undefined; file: string },
): Promise<Picture & { channels: 3 }> {
  const sharp = await loadSharp();
  // Colour profiles are ignored, as by OpenCV: applying them moves levels by up to 9 in the mean of a picture.
  const options = { limitInputPixels: maxPixels, sequentialRead: true, ignoreIcc: true, failOn };
  const upright = sharp(bytes, options).autoOrient().pipelineColourspace(space).toColourspace(space);
  const fitting = large ? upright.resize(shrink) : upright;
  const depth = space === "rgb16" ? "ushort" : "uchar";
  const { data, info } = await (toRgb ? fitting : fitting.removeAlpha())
    .timeout({ seconds })
    .raw({ depth })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (!toRgb && channels !== 3) throw new InputError(`${file}: decoded to ${channels} channels, expected 3`);
  const plain = bytesOf(data);
  if (!toRgb) return { width, height, channels: 3, data: plain };
  const wide = depth === "ushort" ? new Uint16Array(plain.slice().buffer) : plain;
  return { width, height, channels: 3, data: toRgb(wide, channels) };
}

/** How a picture is written, by file extension. JPEG has no colour subsampling, which keeps thin box lines clear. */
const encoders: Readonly<Record<string, (image: Sharp) => Sharp>> = {
  ".jpg": (image) => image.jpeg({ quality: 92, chromaSubsampling: "4:4:4" }),
  ".jpeg": (image) => image.jpeg({ quality: 92, chromaSubsampling: "4:4:4" }),
  ".png": (image) => image.png(),
  ".webp": (image) => image.webp({ quality: 92 }),
  ".avif": (image) => image.avif(),
  ".tif": (image) => image.tiff(),
  ".tiff": (image) => image.tiff(),
};

/** Whether `encodePicture` knows the extension of this name. */
export function encodable(name: string): boolean {
  expectKind("encodable: name", name, "a string");
  return path.extname(name).toLowerCase() in encoders;
}

/** The bytes of a picture in the format of the name's extension: JPEG, PNG, WebP, AVIF or TIFF. Throws InputError. */
export async function encodePicture(picture: Picture, name: string): Promise<Uint8Array> {
  expectKind("encodePicture: picture", picture, "a picture ({ width, height, data })");
  expectKind("encodePicture: name", name, "a string");
  const { width, height, data, channels = 4 } = picture;
  const encode = encoders[path.extname(name).toLowerCase()];
  if (!encode) {
    throw new InputError(`${name}: pictures are written as ${Object.keys(encoders).join(", ")}, not as this`);
  }
  const sharp = await loadSharp();
  return encode(sharp(data, { raw: { width, height, channels } })).toBuffer();
}
