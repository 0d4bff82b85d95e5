/** Picture files through `sharp`: decoding with bounded memory, upright as the camera's EXIF note says, and encoding. */
import path from "node:path";
import sharp, { type Sharp } from "sharp";
import { InputError, type Picture } from "../index.ts";
import { readBytes } from "./files.ts";

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
  "jpg",
  "jpeg",
  "png",
  "webp",
  "bmp",
  "gif",
  "tif",
  "tiff",
  "avif",
];

/** A picture from a file, and the size that it has there: larger than the picture if it had to be shrunk. */
export interface FilePicture extends Picture {
  readonly channels: 3;
  readonly fileWidth: number;
  readonly fileHeight: number;
}

/**
 * Decodes a picture file to RGB, upright (EXIF orientation applied), alpha dropped. Sides above 8192 pixels are shrunk to
 * that. Throws InputError when the file is missing, no picture, broken, or larger than 23000x23000 pixels (10000x10000 where
 * it can only be decoded as a whole).
 */
export async function readPicture(file: string): Promise<FilePicture> {
  const bytes = await readBytes(file);
  if (bytes.length === 0) throw new InputError(`${file}: the file is empty, not a picture`);
  try {
    return await decode(bytes, file);
  } catch (error) {
    if (error instanceof InputError) throw error;
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new InputError(`${file}: not a picture that can be decoded: ${reason}`, { cause: error });
  }
}

async function decode(bytes: Uint8Array, file: string): Promise<FilePicture> {
  // Colour profiles are ignored, as by OpenCV, with which detectors are trained and calibrated: applying them moves levels
  // by up to 9 in the mean of a picture.
  const open = (): Sharp =>
    sharp(bytes, { limitInputPixels: maxPixels, sequentialRead: true, ignoreIcc: true });
  const { width, height, format, isProgressive, autoOrient } = await sharp(bytes, {
    limitInputPixels: false,
  }).metadata();
  const byRow = (format === "jpeg" || format === "png") && !isProgressive;
  const limit = byRow ? maxPixels : maxWholePixels;
  if (width * height > limit) {
    throw new InputError(
      `${file}: ${width}x${height} pixels are too many for a ${isProgressive ? "progressive " : ""}${format} file; at most ${limit} are decoded, so make it smaller`,
    );
  }
  if (format === "svg" || format === "pdf") throw new InputError(`${file}: ${format} is not a pixel format`);
  const upright = open().autoOrient();
  const fitting =
    Math.max(width, height) > maxSide
      ? upright.resize({ width: maxSide, height: maxSide, fit: "inside", withoutEnlargement: true })
      : upright;
  const { data, info } = await fitting
    .toColourspace("srgb")
    .removeAlpha()
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) throw new InputError(`${file}: decoded to ${info.channels} channels, expected 3`);
  return {
    width: info.width,
    height: info.height,
    channels: 3,
    data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    fileWidth: autoOrient.width,
    fileHeight: autoOrient.height,
  };
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
  return path.extname(name).toLowerCase() in encoders;
}

/** The bytes of a picture in the format of the name's extension: JPEG, PNG, WebP, AVIF or TIFF. Throws InputError. */
export async function encodePicture(picture: Picture, name: string): Promise<Uint8Array> {
  const { width, height, data, channels = 4 } = picture;
  const encode = encoders[path.extname(name).toLowerCase()];
  if (!encode) {
    throw new InputError(`${name}: pictures are written as ${Object.keys(encoders).join(", ")}, not as this`);
  }
  return encode(sharp(data, { raw: { width, height, channels } })).toBuffer();
}
