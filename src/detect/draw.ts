/** Draws detections into a picture with plain pixels, so that Node and browser give the same result. */
import { expectKind } from "../base/arguments.ts";
import { glyphHeight, glyphRows, glyphWidth } from "./_font.ts";
import type { Detection } from "./detect.ts";
import { checkPicture, type Picture } from "./picture.ts";

/** How boxes are drawn. */
export interface DrawOptions {
  /** Line width in pixels; by default grows with the picture. */
  lineWidth?: number;
  /** Pixels per pixel of the 5x7 font, 0 for no text; by default grows with the picture. */
  textScale?: number;
  /** Text of a box; default `person 0.87`. Characters beyond ASCII become `?`. */
  text?(detection: Detection): string;
}

type Color = readonly [red: number, green: number, blue: number];

/** An RGBA copy of the picture with a box, its points and a label for each detection, the best on top. */
export function drawDetections(
  picture: Picture,
  detections: readonly Detection[],
  options: DrawOptions = {},
): Picture & { data: Uint8ClampedArray<ArrayBuffer>; channels: 4 } {
  expectKind("drawDetections: picture", picture, "a picture ({ width, height, data })");
  expectKind("drawDetections: detections", detections, "a list of detections");
  expectKind("drawDetections: options", options, "an object of options");
  const canvas = toRgba(picture);
  const side = (picture.width + picture.height) / 2;
  const lineWidth = options.lineWidth ?? Math.max(Math.round(side * 0.003), 2);
  const scale = options.textScale ?? Math.max(Math.round(side / 350), 1);
  const text = options.text ?? (({ label, score }) => `${label} ${score.toFixed(2)}`);
  for (const detection of [...detections].sort((a, b) => a.score - b.score)) {
    const color = classColor(detection.classId);
    const x0 = Math.round(detection.box.x);
    const y0 = Math.round(detection.box.y);
    const x1 = Math.round(detection.box.x + detection.box.width);
    const y1 = Math.round(detection.box.y + detection.box.height);
    strokeBox(canvas, x0, y0, x1, y1, lineWidth, color);
    for (const { x, y, score = 1 } of detection.points ?? []) {
      if (score >= leastShown) fillDot(canvas, x, y, dotRadius(lineWidth, detection.box.width), color);
    }
    if (scale > 0) drawLabel(canvas, text(detection), x0, y0, scale, color);
  }
  return canvas;
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

/** Fills `[x0, x1) x [y0, y1)`, as much of it as lies in the picture. */
function fillRect(canvas: Picture, x0: number, y0: number, x1: number, y1: number, [r, g, b]: Color): void {
  const { width, height, data } = canvas;
  const left = Math.max(x0, 0);
  const right = Math.min(x1, width);
  for (let y = Math.max(y0, 0); y < Math.min(y1, height); y++) {
    for (let x = left, i = (y * width + left) * 4; x < right; x++, i += 4) {
      data[i] = r;
      data[i + 1] = g;
      data[i + 2] = b;
      data[i + 3] = 255;
    }
  }
}

function strokeBox(
  canvas: Picture,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  line: number,
  color: Color,
): void {
  fillRect(canvas, x0, y0, x1, y0 + line, color);
  fillRect(canvas, x0, y1 - line, x1, y1, color);
  fillRect(canvas, x0, y0, x0 + line, y1, color);
  fillRect(canvas, x1 - line, y0, x1, y1, color);
}

/** Points that are seen less surely are not drawn. */
const leastShown = 0.5;

/** Small beside a small box. */
const dotRadius = (lineWidth: number, width: number): number =>
  Math.min(Math.max(lineWidth, 1.5), Math.max(width / 16, 1));

/** A disc about the point, a plain pixel at least. */
function fillDot(canvas: Picture, x: number, y: number, radius: number, color: Color): void {
  const first = Math.max(Math.floor(y - radius), 0);
  const last = Math.min(Math.ceil(y + radius), canvas.height);
  for (let row = first; row < last; row++) {
    const half = Math.sqrt(Math.max(radius ** 2 - (row + 0.5 - y) ** 2, 0));
    fillRect(canvas, Math.round(x - half), row, Math.round(x + half), row + 1, color);
  }
}

/** Text on a plate above the point, or below it where there is no room above, moved into the picture. */
function drawLabel(canvas: Picture, text: string, x: number, y: number, scale: number, color: Color): void {
  const characters = Array.from(text);
  const plateWidth = (characters.length * (glyphWidth + 1) + 1) * scale;
  const plateHeight = (glyphHeight + 2) * scale;
  const left = Math.max(Math.min(x, canvas.width - plateWidth), 0);
  const top = y >= plateHeight ? y - plateHeight : Math.max(y, 0);
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
