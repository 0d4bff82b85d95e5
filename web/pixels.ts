/** Pictures in the worker: from files and bitmaps to pixels and back, over one reused canvas. */
import { InputError, type Picture, type ReportImage } from "../src/index.ts";
import { draw, masksOf, ownSpot } from "./drawing.ts";
import type { Drawn } from "./protocol.ts";

/** Longest side that is looked at; larger pictures are shrunk while they are decoded. */
const maxSide = 4096;

let canvas: OffscreenCanvas | undefined;
let context: OffscreenCanvasRenderingContext2D | undefined;

/** The canvas at this size; kept, because a stream of frames has one size. */
function canvasOf(width: number, height: number): OffscreenCanvasRenderingContext2D {
  if (!canvas || !context) {
    canvas = new OffscreenCanvas(width, height);
    const made = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
    if (!made) throw new InputError("this browser cannot draw in a worker (no OffscreenCanvas 2D context)");
    context = made;
  }
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  return context;
}

export function pixelsOf(
  bitmap: ImageBitmap | VideoFrame,
  width = (bitmap as ImageBitmap).width,
  height = (bitmap as ImageBitmap).height,
): ImageData {
  const target = canvasOf(width, height);
  target.drawImage(bitmap, 0, 0, width, height);
  return target.getImageData(0, 0, width, height);
}

/** Pixels of a frame, in a buffer that the next frame of this size is read into. */
export type FramePixels = Picture & { readonly data: Uint8ClampedArray<ArrayBuffer> };

/** A frame that a GPU takes as it is. */
export type GpuFrame = FramePixels & { readonly frame: ImageBitmap; close(): void };

/**
 * The bitmap as it is, for a GPU; once that is handed back, its pixels are read from a second handle when they are drawn or looked at again. Nothing
 * where the browser has no such handles. `close` it.
 */
export function gpuFrameOf(bitmap: ImageBitmap): GpuFrame | undefined {
  if (typeof VideoFrame !== "function") return undefined;
  const { width, height } = bitmap;
  const handle = new VideoFrame(bitmap, { timestamp: 0 });
  let read: ImageData | undefined;
  return {
    ...{ width, height, channels: 4, frame: bitmap, close: () => handle.close() },
    get data() {
      read ??= pixelsOf(handle, width, height);
      return read.data;
    },
  };
}

let buffer = new Uint8ClampedArray(0);
/** Whether a format of frames is copied as RGBA here: the first frame of each is read in both ways. */
const copied = new Map<string, boolean>();

/** The same levels as `pixelsOf`. Of frames without alpha nothing is drawn, and no new pixels are made. */
export async function framePixelsOf(bitmap: ImageBitmap): Promise<FramePixels> {
  if (typeof VideoFrame !== "function") return pixelsOf(bitmap);
  const frame = new VideoFrame(bitmap, { timestamp: 0 });
  try {
    const { format } = frame;
    // With alpha, it is the canvas that says what lies behind.
    const isPlain = format === "RGBX" || format === "BGRX";
    if (!isPlain || copied.get(format) === false) return pixelsOf(bitmap);
    if (!copied.has(format)) {
      const drawn = pixelsOf(bitmap);
      copied.set(format, (await copyFrame(frame, bitmap)) && isSame(buffer, drawn.data));
      return drawn;
    }
    if (await copyFrame(frame, bitmap)) return { width: bitmap.width, height: bitmap.height, data: buffer };
    return pixelsOf(bitmap);
  } finally {
    frame.close();
  }
}

/** Into the buffer; false where that is refused. */
async function copyFrame(frame: VideoFrame, { width, height }: ImageBitmap): Promise<boolean> {
  const bytes = width * height * 4;
  if (buffer.length !== bytes) buffer = new Uint8ClampedArray(bytes);
  try {
    // Not in the DOM's types yet: https://www.w3.org/TR/webcodecs/#dictdef-videoframecopytooptions
    const options: VideoFrameCopyToOptions & { format: "RGBA" } = { format: "RGBA" };
    const [{ offset, stride }] = await frame.copyTo(buffer, options);
    return offset === 0 && stride === width * 4;
  } catch {
    return false;
  }
}

/** Alpha apart. */
const isSame = (a: Uint8ClampedArray, b: Uint8ClampedArray): boolean =>
  a.every((level, i) => i % 4 === 3 || level === b[i]);

/** Decodes a picture file: upright, levels as stored (colour profiles move them, and detectors are trained without). */
export async function decodePicture(file: Blob, name: string): Promise<ImageData> {
  const bitmap = await decodeBitmap(file, name);
  const pixels = pixelsOf(bitmap);
  bitmap.close();
  return pixels;
}

async function decodeBitmap(file: Blob, name: string): Promise<ImageBitmap> {
  const options: ImageBitmapOptions = { colorSpaceConversion: "none" };
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, options);
  } catch (error) {
    throw new InputError(`${name}: not a picture that this browser can decode`, { cause: error });
  }
  const scale = maxSide / Math.max(bitmap.width, bitmap.height);
  if (scale >= 1) return bitmap;
  const [resizeWidth, resizeHeight] = [bitmap.width, bitmap.height].map((side) =>
    Math.max(Math.round(side * scale), 1),
  );
  const smaller = await createImageBitmap(bitmap, { resizeWidth, resizeHeight, resizeQuality: "high" });
  bitmap.close();
  return smaller;
}

/** A copy of the picture with what was found. */
export function drawnOn(picture: FramePixels, { boxes, labels, shapes }: Drawn): OffscreenCanvas {
  const { width, height, data } = picture;
  const target = new OffscreenCanvas(width, height);
  const made = target.getContext("2d", { alpha: false });
  if (!made) throw new InputError("this browser cannot draw a picture of this size");
  made.putImageData(new ImageData(data, width, height), 0, 0);
  const drawing = { ...{ boxes, labels, shapes, width, height }, mirrored: false };
  draw(made, { ...drawing, masks: masksOf(boxes, picture) }, ownSpot(picture));
  return target;
}

/** A picture as a file of this type, or as PNG where the browser has no encoder for it. */
export async function encode(
  picture: Picture & { data: Uint8ClampedArray<ArrayBuffer> },
  type: string,
): Promise<Blob> {
  const { width, height, data } = picture;
  const target = new OffscreenCanvas(width, height);
  target.getContext("2d")?.putImageData(new ImageData(data, width, height), 0, 0);
  return target.convertToBlob({ type, quality: 0.92 });
}

/** For the report. */
export async function encodeForReport(picture: Picture): Promise<ReportImage> {
  const data = new Uint8ClampedArray(picture.data);
  const blob = await encode({ ...picture, data }, "image/webp");
  const type = blob.type === "image/webp" ? "image/webp" : "image/png";
  return { type, bytes: new Uint8Array(await blob.arrayBuffer()) };
}
