/** Pictures as plain pixels. Decoding and encoding of files is the caller's (`sharp` in Node, a canvas in the browser). */
import { described, isCalled } from "../base/arguments.ts";
import { InputError } from "../base/errors.ts";

/** 8-bit pixels `[height, width, channels]`, RGB or RGBA, rows without gaps, top row first. An `ImageData` fits. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
  /** 4 when absent, as in `ImageData`. Alpha is ignored on reading. */
  readonly channels?: 3 | 4;
  /** What is wrong with the file that it was read from, where it could be read nevertheless: a line that names the file. */
  readonly warning?: string;
}

/** Longest side that is accepted: more is a broken header, not a photograph. */
const maxSide = 65535;

/** Number of channels after checking that sizes and data agree. Throws InputError. */
export function checkPicture(picture: Picture): 3 | 4 {
  const { width, height, data, channels = 4 } = picture;
  for (const [name, side] of [
    ["width", width],
    ["height", height],
  ] as const) {
    if (!Number.isInteger(side) || side < 1 || side > maxSide) {
      throw new InputError(`picture: ${name} is ${side}, expected a whole number from 1 to ${maxSide}`);
    }
  }
  if (channels !== 3 && channels !== 4) {
    throw new InputError(`picture: ${channels} channels, expected 3 (RGB) or 4 (RGBA)`);
  }
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
