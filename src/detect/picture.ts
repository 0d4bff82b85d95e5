/** Pictures as plain pixels. Decoding and encoding of files is the caller's (`sharp` in Node, a canvas in the browser). */
import { described, isCalled } from "../base/arguments.ts";
import { InputError } from "../base/errors.ts";
import type { Frame } from "../ir/pixels.ts";

/** 8-bit pixels `[height, width, channels]`, RGB or RGBA, rows without gaps, top row first. An `ImageData` fits. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
  /** 4 when absent, as in `ImageData`. Alpha is ignored on reading. */
  readonly channels?: 3 | 4;
  /** Where a GPU can take the picture from; `data` is then read out only for what does not compute there. */
  readonly frame?: Frame;
  /** What is wrong with the file that it was read from, where it could be read nevertheless: a line that names the file. */
  readonly warning?: string;
}

/**
 * A picture of what a browser shows, as it is now; its pixels are read out when they are first asked for, and not at all where a GPU takes it. What is
 * transparent lies on black. Levels are sRGB.
 */
export function pictureOfFrame(frame: Frame): Picture {
  const isVideo = isCalled(frame, "VideoFrame");
  const [width, height] = isVideo
    ? [(frame as VideoFrame).displayWidth, (frame as VideoFrame).displayHeight]
    : [(frame as ImageBitmap).width, (frame as ImageBitmap).height];
  let data: Uint8ClampedArray | undefined;
  return {
    ...{ width, height, channels: 4, frame },
    get data() {
      data ??= pixelsOf(frame, width, height);
      return data;
    },
  };
}

/** Whether that can be made of it. */
export const isFrame = (picture: unknown): picture is Frame => isCalled(picture, "ImageBitmap", "VideoFrame");

function pixelsOf(frame: Frame, width: number, height: number): Uint8ClampedArray {
  const context = new OffscreenCanvas(width, height).getContext("2d", {
    willReadFrequently: true,
    alpha: false,
  });
  if (!context) throw new InputError("this browser cannot read frames (no OffscreenCanvas 2D context)");
  try {
    context.drawImage(frame, 0, 0, width, height);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new InputError(`the frame cannot be read: ${why}; look at it before it is closed`);
  }
  return context.getImageData(0, 0, width, height).data;
}

/** Longest side that is accepted: more is a broken header, not a photograph. */
const maxSide = 65535;

function checkSide(name: string, side: number): void {
  if (Number.isInteger(side) && side >= 1 && side <= maxSide) return;
  throw new InputError(`picture: ${name} is ${side}, expected a whole number from 1 to ${maxSide}`);
}

/** Number of channels after checking that sizes and data agree. Throws InputError. */
export function checkPicture(picture: Picture): 3 | 4 {
  const { width, height, channels = 4 } = picture;
  checkSide("width", width);
  checkSide("height", height);
  if (channels !== 3 && channels !== 4) {
    throw new InputError(`picture: ${channels} channels, expected 3 (RGB) or 4 (RGBA)`);
  }
  // What is there is not read before it is needed.
  if (picture.frame) return 4;
  const { data } = picture;
  if (!isCalled(data, "Uint8Array", "Uint8ClampedArray")) {
    throw new InputError(`picture: data is ${described(data)}, expected levels 0 to 255 as a Uint8Array`);
  }
  if (data.length !== width * height * channels) {
    throw new InputError(
      `picture: ${data.length} bytes of pixels, expected ${width * height * channels} for ${width}x${height} with ${channels} channels`,
    );
  }
  return channels;
}
