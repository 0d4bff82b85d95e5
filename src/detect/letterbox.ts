/** From a picture to the model's input tensor, and from its coordinates back: YOLOv5's letterbox, a cut, or a plain stretch. */

import { expectKind } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";
import { roundHalfEven } from "../base/maths.ts";
import type { ModelInput } from "../heads/manifest.ts";
import type { LevelMap, Placement, Taps } from "../ir/pixels.ts";
import type { Tensor } from "../ir/tensor.ts";
import { antialiasInto, type Window } from "./antialias.ts";
import { checkPicture, type Picture } from "./picture.ts";
import { resizeInto, tapsOf } from "./resize.ts";

/** How a picture lies in the input: `input = source·scale + pad`, all in pixels, x to the right and y down. */
export interface Transform {
  readonly sourceWidth: number;
  readonly sourceHeight: number;
  /** Size of the input tensor. */
  readonly width: number;
  readonly height: number;
  readonly scaleX: number;
  readonly scaleY: number;
  /** Border on the left and on the top, whole numbers; below 0 where so much of the picture is cut off. */
  readonly padX: number;
  readonly padY: number;
}

/** Which size the input tensor gets. */
export interface InputOptions {
  /** Size instead of the manifest's; multiples of its stride. */
  width?: number;
  height?: number;
  /** Letterbox only: pad to the next multiple of the stride instead of the full size, so that less border is computed. */
  rectangle?: boolean;
}

/** Where YOLOv5's letterbox puts a picture of this size. The inner picture is at least one pixel in each direction. */
export function letterboxTransform(
  sourceWidth: number,
  sourceHeight: number,
  width: number,
  height: number,
  rectangleStride?: number,
  align: ModelInput["letterboxAlign"] = "center",
): Transform {
  const ratio = Math.min(height / sourceHeight, width / sourceWidth);
  // YOLOX, whose pictures lie in the corner, cuts fractions off. The summand is for ratios that are not exact.
  const whole = align === "corner" ? (x: number) => Math.floor(x + 1e-9) : roundHalfEven;
  const innerWidth = Math.max(whole(sourceWidth * ratio), 1);
  const innerHeight = Math.max(whole(sourceHeight * ratio), 1);
  const border = (total: number) => (rectangleStride ? total % rectangleStride : total);
  const borderX = border(width - innerWidth);
  const borderY = border(height - innerHeight);
  return {
    sourceWidth,
    sourceHeight,
    width: innerWidth + borderX,
    height: innerHeight + borderY,
    scaleX: innerWidth / sourceWidth,
    scaleY: innerHeight / sourceHeight,
    padX: align === "corner" ? 0 : Math.max(roundHalfEven(borderX / 2 - 0.1), 0),
    padY: align === "corner" ? 0 : Math.max(roundHalfEven(borderY / 2 - 0.1), 0),
  };
}

export function stretchTransform(
  sourceWidth: number,
  sourceHeight: number,
  width: number,
  height: number,
): Transform {
  const [scaleX, scaleY] = [width / sourceWidth, height / sourceHeight];
  return { sourceWidth, sourceHeight, width, height, scaleX, scaleY, padX: 0, padY: 0 };
}

/**
 * Where torchvision's `Resize` and `CenterCrop` put a picture, which are applied with Pillow (`antialias`); or where YOLOv5's
 * `CenterCrop` does, which cuts first and resizes then, so that the border that is left out may be a fraction.
 */
export function cropTransform(
  sourceWidth: number,
  sourceHeight: number,
  width: number,
  height: number,
  antialias = false,
): Transform {
  const source = { sourceWidth, sourceHeight, width, height };
  const scale = Math.max(width / sourceWidth, height / sourceHeight);
  if (antialias) {
    // The summand is for ratios that are not exact.
    const extent = (side: number, least: number): number => Math.max(Math.floor(side * scale + 1e-9), least);
    const [across, down] = [extent(sourceWidth, width), extent(sourceHeight, height)];
    return {
      ...{ ...source, scaleX: across / sourceWidth, scaleY: down / sourceHeight },
      ...{ padX: 0 - roundHalfEven((across - width) / 2), padY: 0 - roundHalfEven((down - height) / 2) },
    };
  }
  const [cutWidth, cutHeight] = [width, height].map((side) => Math.max(Math.floor(side / scale + 1e-9), 1));
  const [scaleX, scaleY] = [width / cutWidth, height / cutHeight];
  return {
    ...{ ...source, scaleX, scaleY },
    padX: 0 - Math.floor((sourceWidth - cutWidth) / 2) * scaleX,
    padY: 0 - Math.floor((sourceHeight - cutHeight) / 2) * scaleY,
  };
}

/** The picture placed as `transform` says, RGB, with the border at level `color`. */
export function place(
  picture: Picture,
  transform: Transform,
  color: number,
  antialias = false,
): Picture & { channels: 3 } {
  const { width, height, sourceWidth, sourceHeight, scaleX, scaleY, padX, padY } = transform;
  const data = new Uint8Array(width * height * 3);
  if (antialias) {
    const [across, down] = [Math.round(sourceWidth * scaleX), Math.round(sourceHeight * scaleY)];
    const shown = { width: Math.min(across, width), height: Math.min(down, height) };
    if (shown.width < width || shown.height < height) data.fill(color);
    const window = { x: Math.max(0 - padX, 0), y: Math.max(0 - padY, 0), ...shown };
    const offset = (Math.max(padY, 0) * width + Math.max(padX, 0)) * 3;
    antialiasInto(picture, across, down, window, data, width * 3, offset);
    return { width, height, channels: 3, data };
  }
  const { cut, left, top, innerWidth, innerHeight } = partsOf(transform);
  if (innerWidth < width || innerHeight < height) data.fill(color);
  const isCut = cut.width < sourceWidth || cut.height < sourceHeight;
  const shown = isCut ? cutOut(picture, cut.x, cut.y, cut.width, cut.height) : picture;
  resizeInto(shown, innerWidth, innerHeight, data, width * 3, (top * width + left) * 3);
  return { width, height, channels: 3, data };
}

/** The part of the picture that is shown, where it begins in the input, and how large it becomes there, in whole pixels; without antialiasing. */
function partsOf({ width, height, sourceWidth, sourceHeight, scaleX, scaleY, padX, padY }: Transform): {
  cut: Window;
  left: number;
  top: number;
  innerWidth: number;
  innerHeight: number;
} {
  const [shownWidth, shownHeight] = [Math.round(width / scaleX), Math.round(height / scaleY)];
  if (shownWidth < sourceWidth || shownHeight < sourceHeight) {
    // Where one line is cut off, nothing is before the picture.
    const [x, y] = [Math.round(-padX / scaleX), Math.round(-padY / scaleY)];
    const cut = { x, y, width: shownWidth, height: shownHeight };
    return { cut, left: 0, top: 0, innerWidth: width, innerHeight: height };
  }
  return {
    ...{ cut: { x: 0, y: 0, width: sourceWidth, height: sourceHeight }, left: padX, top: padY },
    innerWidth: Math.round(sourceWidth * scaleX),
    innerHeight: Math.round(sourceHeight * scaleY),
  };
}

/** What `place` does, as a record for whoever does it. */
export function placementOf(transform: Transform, color: number): Placement {
  const { width, height, sourceWidth, sourceHeight } = transform;
  const { cut, left, top, innerWidth, innerHeight } = partsOf(transform);
  return {
    ...{ sourceWidth, sourceHeight, width, height, left, top, border: color },
    columns: shifted(tapsOf(cut.width, innerWidth), cut.x),
    rows: shifted(tapsOf(cut.height, innerHeight), cut.y),
  };
}

const shifted = ({ from, next, first, second }: Taps, by: number): Taps => ({
  from: from.map((i) => i + by),
  next: next.map((i) => i + by),
  ...{ first, second },
});

/** A part of a picture, which lies in it. */
function cutOut(picture: Picture, x: number, y: number, width: number, height: number): Picture {
  const channels = checkPicture(picture);
  const data = new Uint8Array(width * height * channels);
  for (let row = 0; row < height; row++) {
    const from = ((y + row) * picture.width + x) * channels;
    data.set(picture.data.subarray(from, from + width * channels), row * width * channels);
  }
  return { width, height, channels, data };
}

/** The placement that a model's input calls for. Throws UsageError for a size that is no multiple of the stride. */
export function inputTransform(
  sourceWidth: number,
  sourceHeight: number,
  input: ModelInput,
  options: InputOptions = {},
): Transform {
  const { width = input.width, height = input.height } = options;
  for (const [name, side] of [
    ["width", width],
    ["height", height],
  ] as const) {
    if (!Number.isInteger(side) || side < 1 || side > 16384 || side % input.stride) {
      throw new UsageError(
        `input ${name} ${side}: expected a multiple of the model's stride ${input.stride}, at most 16384`,
      );
    }
  }
  if (input.resize === "stretch") return stretchTransform(sourceWidth, sourceHeight, width, height);
  if (input.resize === "crop")
    return cropTransform(sourceWidth, sourceHeight, width, height, input.antialias);
  const stride = options.rectangle ? input.stride : undefined;
  return letterboxTransform(sourceWidth, sourceHeight, width, height, stride, input.letterboxAlign);
}

/** The input tensor `[channels, height, width]` of a picture, and how to get back from it. */
export function toTensor(
  picture: Picture,
  input: ModelInput,
  options: InputOptions = {},
): { tensor: Tensor & { data: Float32Array }; transform: Transform } {
  expectKind("toTensor: picture", picture, "a picture ({ width, height, data })");
  expectKind("toTensor: input", input, "an object");
  expectKind("toTensor: options", options, "an object of options");
  checkPicture(picture);
  const transform = inputTransform(picture.width, picture.height, input, options);
  const placed = place(picture, transform, input.letterboxColor, input.antialias);
  return { tensor: normalize(placed, input), transform };
}

/** Of red, green and blue in a level of grey, in 256ths, as ncnn has them. */
const grayParts = [77, 150, 29] as const;

/** `(level − mean)·norm` of an RGB picture in the model's channel order, as float32 planes `[channels, height, width]`. */
export function normalize(
  picture: Picture & { channels: 3 },
  input: Pick<ModelInput, "channels" | "pixel" | "mean" | "norm">,
): Tensor & { data: Float32Array } {
  const { width, height, data: pixels } = picture;
  const area = width * height;
  const [red, green, blue] = grayParts;
  const data = new Float32Array(area * input.channels);
  for (let c = 0; c < input.channels; c++) {
    const levels = levelTable(input.mean[c], input.norm[c]);
    const plane = data.subarray(c * area, (c + 1) * area);
    if (input.pixel === "GRAY") {
      for (let i = 0, p = 0; i < area; i++, p += 3) {
        plane[i] = levels[(red * pixels[p] + green * pixels[p + 1] + blue * pixels[p + 2]) >> 8];
      }
    } else {
      const channel = input.pixel === "BGR" ? 2 - c : c;
      for (let i = 0, p = channel; i < area; i++, p += 3) plane[i] = levels[pixels[p]];
    }
  }
  return { shape: [input.channels, height, width], data };
}

/** What `normalize` does, as a record for whoever does it. */
export function levelMapOf({
  channels,
  pixel,
  mean,
  norm,
}: Pick<ModelInput, "channels" | "pixel" | "mean" | "norm">): LevelMap {
  const only = (channel: number): [number, number, number] => {
    const place = pixel === "BGR" ? 2 - channel : channel;
    return [0, 1, 2].map((i) => (i === place ? 256 : 0)) as [number, number, number];
  };
  const all = Array.from({ length: channels }, (_, c) => c);
  return {
    mix: all.map((c) => (pixel === "GRAY" ? grayParts : only(c))),
    values: all.map((c) => levelTable(mean[c], norm[c])),
  };
}

/** The value of each level, rounded as ncnn's substract_mean_normalize rounds: `level·norm + (−mean·norm)`, fused. */
function levelTable(mean: number, norm: number): Float32Array {
  const scale = Math.fround(norm);
  const shift = Math.fround(-Math.fround(mean) * scale);
  return Float32Array.from({ length: 256 }, (_, level) => level * scale + shift);
}

/** A point of the input tensor in pixels of the source picture; not clipped. */
export function toSource(transform: Transform, x: number, y: number): [number, number] {
  return [(x - transform.padX) / transform.scaleX, (y - transform.padY) / transform.scaleY];
}

/** A point of the source picture in pixels of the input tensor. */
export function toInput(transform: Transform, x: number, y: number): [number, number] {
  return [x * transform.scaleX + transform.padX, y * transform.scaleY + transform.padY];
}
