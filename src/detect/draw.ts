/** Draws detections into a picture with plain pixels, so that Node and browser give the same result. */
import { expectKind } from "../base/arguments.ts";
import { InputError } from "../base/errors.ts";
import { type Color, fillDot, fillRect, strokeBox, strokeLine, strokePolygon, tint } from "./_canvas.ts";
import { glyphHeight, glyphRows, glyphWidth } from "./_font.ts";
import { type Detection, isObject, type Point } from "./detection.ts";
import { checkPicture, type Picture } from "./picture.ts";
import { cornersOf } from "./rotated.ts";
import { leastShown, limbsOf } from "./skeleton.ts";

/** How detections are drawn. */
export interface DrawOptions {
  /** Line width in pixels; by default grows with the picture. */
  lineWidth?: number;
  /** Pixels per pixel of the 5x7 font, 0 for no text; by default grows with the picture. */
  textScale?: number;
  /** Text of a detection; default `person 0.87`. Characters beyond ASCII become `?`. */
  text?(detection: Detection): string;
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
 * with a label; classes of the picture as lines of text at the left top.
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
  const side = (canvas.width + canvas.height) / 2;
  const lineWidth = options.lineWidth ?? Math.max(Math.round(side * 0.003), 2);
  const scale = options.textScale ?? Math.max(Math.round(side / 350), 1);
  const text = options.text ?? (({ label, score }) => `${label} ${score.toFixed(2)}`);
  for (const shape of options.shapes ?? []) drawShape(canvas, shape, lineWidth, scale);
  const ordered = [...detections].sort((a, b) => a.score - b.score);
  for (const found of ordered) {
    if (found.task === "segment") tint(canvas, found.mask, classColor(found.classId), maskOpacity);
  }
  for (const found of ordered.filter(isObject)) {
    const color = classColor(found.classId);
    const x0 = Math.round(found.box.x);
    const y0 = Math.round(found.box.y);
    const x1 = Math.round(found.box.x + found.box.width);
    const y1 = Math.round(found.box.y + found.box.height);
    if (found.task === "obb") strokePolygon(canvas, cornersOf(found.rotated), lineWidth, color);
    else strokeBox(canvas, x0, y0, x1, y1, lineWidth, color);
    if (found.task === "pose") drawPose(canvas, found.points, dotRadius(lineWidth, found.box.width), color);
    if (scale > 0) drawLabel(canvas, text(found), x0, y0, scale, color);
  }
  // Lines of classes, the best first.
  ordered
    .filter((found) => !isObject(found))
    .reverse()
    .forEach((found, i) => {
      const top = (i * (glyphHeight + 3) + 1) * scale;
      if (scale > 0) drawPlate(canvas, text(found), scale, top, scale, classColor(found.classId));
    });
}

const shapeColor: Color = [255, 220, 0];

function drawShape(canvas: Picture, { places, closed, text }: DrawnShape, line: number, scale: number): void {
  const last = closed ? places.length : places.length - 1;
  for (let i = 0; i < last; i++) {
    strokeLine(canvas, places[i], places[(i + 1) % places.length], line, shapeColor);
  }
  const [x, y] = places[0].map(Math.round);
  if (scale > 0) drawLabel(canvas, text, x, y, scale, shapeColor);
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

/** Text on a plate above the point, or below it where there is no room above, moved into the picture. */
function drawLabel(canvas: Picture, text: string, x: number, y: number, scale: number, color: Color): void {
  const plateHeight = (glyphHeight + 2) * scale;
  drawPlate(canvas, text, x, y >= plateHeight ? y - plateHeight : Math.max(y, 0), scale, color);
}

/** Text on a plate whose left top corner is at the point, moved to the left where it must. */
function drawPlate(canvas: Picture, text: string, x: number, top: number, scale: number, color: Color): void {
  const characters = Array.from(text);
  const plateWidth = (characters.length * (glyphWidth + 1) + 1) * scale;
  const plateHeight = (glyphHeight + 2) * scale;
  const left = Math.max(Math.min(x, canvas.width - plateWidth), 0);
  fillRect(canvas, left, top, left + plateWidth, top + plateHeight, color);
  const ink = readableOn(color);
  characters.forEach((character, i) => {
    drawGlyph(
      canvas,
      glyphRows(character),
      left + (i * (glyphWidth + 1) + 1) * scale,
      top + scale,
      scale,
      ink,
    );
  });
}

function drawGlyph(
  canvas: Picture,
  rows: readonly number[],
  x: number,
  y: number,
  scale: number,
  ink: Color,
): void {
  rows.forEach((row, j) => {
    for (let i = 0; i < glyphWidth; i++) {
      if (!((row >> (glyphWidth - 1 - i)) & 1)) continue;
      fillRect(canvas, x + i * scale, y + j * scale, x + (i + 1) * scale, y + (j + 1) * scale, ink);
    }
  });
}

/** A strong colour for each class; neighbours in number are far apart in hue (steps of the golden angle). */
export function classColor(classId: number): Color {
  expectKind("classColor: classId", classId, "a number");
  const hue = (classId * 137.508 + 10) % 360;
  const value = 0.95 - 0.2 * (Math.floor(classId / 12) % 3);
  const channel = (offset: number) => {
    const k = (offset + hue / 60) % 6;
    return Math.round(255 * value * (1 - 0.85 * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  return [channel(5), channel(3), channel(1)];
}

/** Black or white, whichever has the greater contrast (WCAG relative luminance) with the colour. */
function readableOn(color: Color): Color {
  const [r, g, b] = color.map((level) => (level / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? [0, 0, 0] : [255, 255, 255];
}
