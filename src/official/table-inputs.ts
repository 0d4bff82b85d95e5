/**
 * How the official ncnn2table makes inputs: pictures stretched to a size, or arrays in `.npy` files as they are.
 * Source: ncnn tools/quantize/ncnn2table.cpp.
 */
import { expectKind } from "../base/arguments.ts";
import { ByteReader } from "../base/bytes.ts";
import { FormatError, UsageError } from "../base/errors.ts";
import { normalize, place, stretchTransform } from "../detect/letterbox.ts";
import type { Picture } from "../detect/picture.ts";
import { elementCount, type Tensor } from "../ir/tensor.ts";

/** The pixel orders of ncnn2table. */
export const tablePixels = ["RGB", "BGR", "GRAY", "RGBA", "BGRA"] as const;
/** A pixel order of ncnn2table. */
export type TablePixel = (typeof tablePixels)[number];

/** How ncnn2table makes an input of a picture. */
export interface TableInput {
  pixel: TablePixel;
  /** One number a channel, in `pixel` order: `value = (level − mean)·norm`. */
  mean: readonly number[];
  norm: readonly number[];
  /** Size in pixels; 0 or less keeps the picture's own, or its aspect where the other one is given. */
  width: number;
  height: number;
}

/** Channels of a pixel order. */
export function pixelChannels(pixel: TablePixel): number {
  expectKind("pixelChannels: pixel", pixel, "a string");
  return pixel === "GRAY" ? 1 : pixel.endsWith("A") ? 4 : 3;
}

/** The input tensor `[channels, height, width]` of a picture; alpha is 255. */
export function tableTensor(picture: Picture, input: TableInput): Tensor {
  expectKind("tableTensor: picture", picture, "a picture ({ width, height, data })");
  expectKind("tableTensor: input", input, "an object");
  expectKind("tableTensor: input.pixel", input.pixel, "a string");
  const { pixel, mean, norm, ...size } = input;
  const { width, height } = targetSize(picture, size);
  const transform = stretchTransform(picture.width, picture.height, width, height);
  const placed = place(picture, transform, 0);
  const isGray = pixel === "GRAY";
  const color = normalize(placed, {
    channels: isGray ? 1 : 3,
    pixel: isGray ? "GRAY" : pixel.startsWith("BGR") ? "BGR" : "RGB",
    mean: [...mean],
    norm: [...norm],
  });
  if (pixelChannels(pixel) !== 4) return color;
  const data = new Float32Array(4 * width * height).fill((255 - mean[3]) * norm[3]);
  data.set(color.data);
  return { shape: [4, height, width], data };
}

const largestSide = 16384;

function targetSize(
  picture: Picture,
  { width, height }: { width: number; height: number },
): { width: number; height: number } {
  let size = { width, height };
  if (width <= 0 && height <= 0) size = { width: picture.width, height: picture.height };
  else if (width <= 0) size.width = Math.trunc(picture.width * Math.fround(height / picture.height));
  else if (height <= 0) size.height = Math.trunc(picture.height * Math.fround(width / picture.width));
  if (size.width < 1 || size.height < 1 || size.width > largestSide || size.height > largestSide) {
    throw new UsageError(`shape ${size.width}x${size.height}: expected 1 to ${largestSide} pixels a side`);
  }
  return size;
}

/**
 * A float32 array from a `.npy` file (numpy's format, versions 1 to 3), in C order, rank 1 to 4: numpy's shape is ours.
 * Throws FormatError.
 */
export function readNpy(bytes: Uint8Array, where: string): Tensor {
  expectKind("readNpy: bytes", bytes, "bytes (a Uint8Array)");
  const reader: ByteReader = new ByteReader(bytes, where);
  const magic = String.fromCharCode(...reader.raw(6, "magic"));
  if (magic !== "\x93NUMPY")
    throw new FormatError(`${where}: not a .npy file: its first bytes are not \\x93NUMPY`);
  const major = reader.u8("version");
  reader.u8("version");
  if (major < 1 || major > 3) reader.fail(`.npy version ${major}, expected 1 to 3`);
  const length = major === 1 ? reader.u16("header length") : reader.u32("header length");
  const header = new TextDecoder().decode(reader.raw(length, "header"));
  const field = (pattern: RegExp): string | undefined => pattern.exec(header)?.[1];
  const type = field(/'descr'\s*:\s*'([^']*)'/);
  if (type !== "<f4")
    reader.fail(`dtype ${type ?? "unknown"}, expected float32 ("<f4"); save array.astype("float32")`);
  if (field(/'fortran_order'\s*:\s*(True|False)/) !== "False") {
    reader.fail("the array is in Fortran order, expected C order; save numpy.ascontiguousarray(array)");
  }
  const shape = (field(/'shape'\s*:\s*\(([^)]*)\)/) ?? "")
    .split(",")
    .flatMap((text) => (text.trim() ? [Number(text)] : []));
  if (
    !shape.length ||
    shape.length > 4 ||
    !shape.every((extent) => Number.isSafeInteger(extent) && extent > 0)
  ) {
    reader.fail(`shape (${shape.join(", ")}), expected 1 to 4 extents of at least 1`);
  }
  const data = reader.f32Array(reader.payFor(elementCount(shape), 4, "the array"), "the array");
  return { shape, data };
}
