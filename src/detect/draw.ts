/** Draws detections into a picture with plain pixels. */
import { expectKind } from "../base/arguments.ts";
import { InputError } from "../base/errors.ts";
import {
  blend,
  type Color,
  fillDot,
  fillRect,
  strokeBox,
  strokeLine,
  strokePolygon,
  tint,
} from "./_canvas.ts";
import { classColor, distinctColors, readableOn } from "./colors.ts";
import { type Box, type Detection, isObject, type Point } from "./detection.ts";
import { bitmapLettering, type Letterer, type Lettering, type Letters } from "./lettering.ts";
import { checkPicture, type Picture } from "./picture.ts";
import { placePlates } from "./plates.ts";
import { cornersOf } from "./rotated.ts";
import { leastShown, limbsOf } from "./skeleton.ts";

/** How detections are drawn. */
export interface DrawOptions {
  /** Line width in pixels; by default grows with the picture. */
  lineWidth?: number;
  /** Height of a line of text in pixels, 0 for no text; by default grows with the picture. */
  textHeight?: number;
  /** Text of a detection; default `person 0.87`. */
  text?(detection: Detection): string;
  /** How texts look; default: the kit's bitmap font, whose pixels are the same everywhere, with `?` for characters beyond ASCII. */
  lettering?: Lettering;
  /** Boxes of a class that overlap are of lighter and darker colours; default true. From frame to frame these would change. */
  shades?: boolean;
  /** Lines and regions below the detections. */
  shapes?: readonly DrawnShape[];
}

/** A line or a region in the picture, with a text at its first place. */
export interface DrawnShape {
  readonly places: readonly (readonly [x: number, y: number])[];
  /** Whether the last place is joined to the first. */
  readonly closed: boolean;
  readonly text: string;
}

/** How much of the colour of a mask is seen on the picture. */
const maskOpacity = 0.45;

/**
 * An RGBA copy of the picture with what was found, the best on top: boxes (as they are turned), masks, points and skeletons, each
 * with a label as far as there is room for it that no better label takes; classes of the picture as lines of text at the left top.
 */
export function drawDetections(
  picture: Picture,
  detections: readonly Detection[],
  options: DrawOptions = {},
): Picture & { data: Uint8ClampedArray<ArrayBuffer>; channels: 4 } {
  expectKind("drawDetections: picture", picture, "a picture ({ width, height, data })");
  expectKind("drawDetections: detections", detections, "a list of detections");
  expectKind("drawDetections: options", options, "an object of options");
  const canvas = toRgba(picture);
  drawInto(canvas, detections, options);
  return canvas;
}

/** The same into an RGBA picture itself. */
export function drawInto(canvas: Picture, detections: readonly Detection[], options: DrawOptions = {}): void {
  expectKind("drawInto: picture", canvas, "a picture ({ width, height, data })");
  expectKind("drawInto: detections", detections, "a list of detections");
  expectKind("drawInto: options", options, "an object of options");
  if (checkPicture(canvas) !== 4) throw new InputError("picture: 3 channels, expected 4 (RGBA) to draw into");
  const { lineWidth, textHeight, text } = measuresOf(canvas, options);
  const { shapes = [], shades = true, lettering = bitmapLettering } = options;
  for (const shape of shapes) drawShape(canvas, shape, lineWidth);
  const best = [...detections].sort((a, b) => b.score - a.score);
  const colors = shades ? distinctColors(best) : best.map(({ classId }) => classColor(classId));
  const drawn = best.map((found, i) => ({ found, color: colors[i] }));
  for (const { found, color } of drawn.toReversed()) {
    if (found.task === "segment") tint(canvas, found.mask, color, maskOpacity);
  }
  for (const { found, color } of drawn.toReversed()) drawObject(canvas, found, lineWidth, color);
  if (textHeight <= 0) return;
  // Above all lines.
  const labels = [
    ...shapes.map(({ places: [[x, y]], text: name }) => ({
      box: { x: Math.round(x), y: Math.round(y), width: 0, height: 0 },
      color: shapeColor,
      letters: lettering(name, textHeight),
    })),
    ...drawn.flatMap(({ found, color }) =>
      isObject(found)
        ? [{ box: roundBox(found.box), color, letters: lettering(text(found), textHeight) }]
        : [],
    ),
  ];
  const wanted = labels.map(({ box, letters: { width, height } }) => ({ box, width, height }));
  const places = placePlates(wanted, canvas);
  labels.forEach(({ color, letters }, i) => {
    const place = places[i];
    if (place) drawPlate(canvas, letters, place.x, place.y, color);
  });
  // Lines of classes, the best first.
  let top = 1;
  for (const { found, color } of drawn) {
    if (isObject(found)) continue;
    const letters = lettering(text(found), textHeight);
    drawPlate(canvas, letters, 1, top, color);
    top += letters.height + 1;
  }
}

/** Options with letters that had to be made ready for the texts of this drawing. */
export async function lettered(
  canvas: Pick<Picture, "width" | "height">,
  detections: readonly Detection[],
  letterer: Letterer,
  options: DrawOptions = {},
): Promise<DrawOptions> {
  expectKind("lettered: detections", detections, "a list of detections");
  expectKind("lettered: letterer", letterer, "a function");
  expectKind("lettered: options", options, "an object of options");
  const { textHeight, text } = measuresOf(canvas, options);
  if (textHeight <= 0) return options;
  const texts = [...detections.map(text), ...(options.shapes ?? []).map((shape) => shape.text)];
  return { ...options, lettering: await letterer(texts, textHeight) };
}

/** What grows with the picture. */
function measuresOf(
  { width, height }: Pick<Picture, "width" | "height">,
  options: DrawOptions,
): Required<Pick<DrawOptions, "lineWidth" | "textHeight" | "text">> {
  const side = (width + height) / 2;
  return {
    lineWidth: options.lineWidth ?? Math.max(Math.round(side * 0.003), 2),
    textHeight: options.textHeight ?? Math.max(Math.round(side / 38), 14),
    text: options.text ?? (({ label, score }) => `${label} ${score.toFixed(2)}`),
  };
}

const shapeColor: Color = [255, 220, 0];

function drawShape(canvas: Picture, { places, closed }: DrawnShape, line: number): void {
  const last = closed ? places.length : places.length - 1;
  for (let i = 0; i < last; i++) {
    strokeLine(canvas, places[i], places[(i + 1) % places.length], line, shapeColor);
  }
}

/** To whole pixels, by its corners. */
function roundBox({ x, y, width, height }: Box): Box {
  const [left, top] = [Math.round(x), Math.round(y)];
  return { x: left, y: top, width: Math.round(x + width) - left, height: Math.round(y + height) - top };
}

function drawObject(canvas: Picture, found: Detection, lineWidth: number, color: Color): void {
  if (!isObject(found)) return;
  const { x, y, width, height } = roundBox(found.box);
  if (found.task === "obb") strokePolygon(canvas, cornersOf(found.rotated), lineWidth, color);
  else strokeBox(canvas, x, y, x + width, y + height, lineWidth, color);
  if (found.task === "pose") drawPose(canvas, found.points, dotRadius(lineWidth, found.box.width), color);
}

/** Points as dots, and the lines between them where it is known which belong together. */
function drawPose(canvas: Picture, points: readonly Point[], radius: number, color: Color): void {
  const isSeen = ({ score = 1 }: Point): boolean => score >= leastShown;
  const limbs = limbsOf(points.length);
  for (const [from, to] of limbs) {
    const [a, b] = [points[from], points[to]];
    if (isSeen(a) && isSeen(b)) strokeLine(canvas, [a.x, a.y], [b.x, b.y], radius, color);
  }
  // To be seen on lines.
  const dot = limbs.length ? 1.75 * radius : radius;
  for (const point of points) if (isSeen(point)) fillDot(canvas, point.x, point.y, dot, color);
}

function toRgba(picture: Picture): Picture & { data: Uint8ClampedArray<ArrayBuffer>; channels: 4 } {
  const channels = checkPicture(picture);
  const { width, height, data: from } = picture;
  const data = new Uint8ClampedArray(width * height * 4);
  if (channels === 4) data.set(from);
  else {
    for (let i = 0, p = 0; i < data.length; i += 4, p += 3) {
      data[i] = from[p];
      data[i + 1] = from[p + 1];
      data[i + 2] = from[p + 2];
      data[i + 3] = 255;
    }
  }
  return { width, height, channels: 4, data };
}

/** Small beside a small box. */
const dotRadius = (lineWidth: number, width: number): number =>
  Math.min(Math.max(lineWidth, 1.5), Math.max(width / 16, 1));

/** Letters on a plate whose left top corner is at the point. */
function drawPlate(canvas: Picture, letters: Letters, x: number, y: number, color: Color): void {
  fillRect(canvas, x, y, x + letters.width, y + letters.height, color);
  blend(canvas, letters, x, y, readableOn(color));
}
