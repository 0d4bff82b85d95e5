/** Printed matter with codes on it: stickers, parcel labels, print straight on the ground. */
import type { Random } from "../../src/base/random.ts";
import { randomColour } from "./backgrounds.ts";
import type { Code } from "./codes.ts";
import { textBlock } from "./negatives.ts";
import { noiseField } from "./noise.ts";
import { type Face, kindsOfSplit, type Split } from "./split.ts";
import { blend, type Colour, createSurface, type Surface, strokeRect } from "./surface.ts";
import { advance, drawText } from "./text.ts";

export type Rectangle = readonly [number, number, number, number];

export interface PrintedSheet {
  surface: Surface;
  /** Left, top, right, bottom of the code's modules in texels. */
  code: Rectangle;
  /** Texels per picture pixel. */
  scale: number;
}

/** Modules of quiet zone at the sides and above. */
const quietZones = [4, 2, 2, 3, 9];

/**
 * A sheet with `code` whose longer side will be `side` picture pixels long. `straight` is print without paper under it
 * (the sheet's alpha is then the ink), in the colour that is given.
 */
export function printedSheet(
  random: Random,
  split: Split,
  code: Code,
  side: number,
  straight: Colour | undefined,
): PrintedSheet {
  const size = codeSize(random, code, side);
  const scale = side > 150 ? 1.25 : side > 60 ? 1.6 : 2.2;
  const [width, height] = [size.width * scale, size.height * scale];
  const module = width / code.columns;
  const inverted = !straight && random.next() < 0.04;
  const colours = sheetColours(random, inverted);
  const margin = layout(random, code, width, height, module);
  const surface = createSurface(
    Math.ceil(width + margin.left + margin.right),
    Math.ceil(height + margin.top + margin.bottom),
    straight ?? colours.paper,
  );
  const rect: Rectangle = [margin.left, margin.top, margin.left + width, margin.top + height];
  const ink = inkOf(random, code, rect, surface);
  if (straight) return { surface: { ...surface, alpha: ink }, code: rect, scale };
  decorate(random, split, code, surface, rect, module, margin, colours.ink);
  for (let i = 0; i < ink.length; i++) if (ink[i] > 0) blend(surface.rgb, i, colours.ink, ink[i]);
  texture(random, surface);
  return { surface, code: rect, scale };
}

function codeSize(random: Random, code: Code, side: number): { width: number; height: number } {
  const { columns, rows, rowHeight, linear } = code;
  if (linear) {
    const aspect = random.next() < 0.7 ? random.uniform(0.25, 0.75) : random.uniform(0.1, 1.3);
    const height = Math.max(aspect, 11 / side);
    return height <= 1 ? { width: side, height: side * height } : { width: side / height, height: side };
  }
  const module = side / Math.max(columns, rows * rowHeight);
  return { width: columns * module, height: rows * rowHeight * module };
}

function sheetColours(random: Random, inverted: boolean): { paper: Colour; ink: Colour } {
  const kind = random.next();
  const light: Colour =
    kind < 0.72
      ? randomColour(random, 215, 255, 0.03)
      : kind < 0.86
        ? randomColour(random, 170, 240, 0.25)
        : [random.uniform(170, 215), random.uniform(140, 170), random.uniform(100, 130)];
  const dark = random.next() < 0.75 ? randomColour(random, 0, 45, 0.1) : randomColour(random, 15, 80, 0.8);
  return inverted ? { paper: dark, ink: light } : { paper: light, ink: dark };
}

interface Margin {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Quiet zone all round, plus room for other print on some labels. */
function layout(random: Random, code: Code, width: number, height: number, module: number): Margin {
  const quiet = Math.max(module * quietZones[code.class] * random.uniform(0.5, 1.3), 2);
  const across = code.linear ? Math.max(3, height * random.uniform(0.04, 0.2)) : quiet;
  const margin: Margin = { left: quiet, right: quiet, top: across, bottom: across };
  if (code.linear && random.next() < 0.65) margin.bottom += Math.max(width / 12, module * 9);
  if (random.next() < 0.4) {
    const side = random.pick(["left", "right", "top", "bottom"] as const);
    margin[side] += Math.max(width, height) * random.uniform(0.2, 0.9);
  }
  if (random.next() < 0.15) margin.top += height * random.uniform(0.2, 0.5);
  return margin;
}

/** Ink of the code for every texel, 0..1: modules by exact area, grown or shrunk as print is. */
function inkOf(random: Random, code: Code, rect: Rectangle, { width, height }: Surface): Float32Array {
  const ink = new Float32Array(width * height);
  const [left, top, right, bottom] = rect;
  const module = (right - left) / code.columns;
  const row = (bottom - top) / code.rows;
  const guards = code.linear?.guards;
  const spread = random.next() < 0.3 ? random.uniform(-0.12, 0.12) * module : 0;
  const dots = !code.linear && code.class < 2 && module > 3.5 && random.next() < 0.08;
  for (let r = 0; r < code.rows; r++) {
    for (let c = 0; c < code.columns; c++) {
      if (!code.modules[r * code.columns + c]) continue;
      const cell: [number, number, number, number] = [
        left + c * module,
        top + r * row,
        left + (c + 1) * module,
        top + (r + 1) * row,
      ];
      if (dots) {
        addDot(ink, width, cell);
        continue;
      }
      let run = 1;
      while (c + run < code.columns && code.modules[r * code.columns + c + run]) run++;
      const to = left + (c + run) * module;
      if (guards && !guards.some(([from, end]) => c >= from && c < end))
        cell[3] = bottom - longerBy(code, rect);
      addInk(ink, width, [Math.max(left, cell[0] - spread), cell[1], Math.min(right, to + spread), cell[3]]);
      c += run - 1;
    }
  }
  return ink;
}

/** How much further down guard bars reach than the others: five modules on ordinary labels. */
function longerBy({ columns, linear }: Code, [left, top, right, bottom]: Rectangle): number {
  return linear?.guards ? Math.min((5 * (right - left)) / columns, 0.15 * (bottom - top)) : 0;
}

function addInk(ink: Float32Array, width: number, [left, top, right, bottom]: Rectangle): void {
  for (let y = Math.floor(top); y < bottom; y++) {
    const cy = Math.min(bottom, y + 1) - Math.max(top, y);
    for (let x = Math.floor(left); x < right; x++) {
      const at = y * width + x;
      ink[at] = Math.min(1, ink[at] + cy * (Math.min(right, x + 1) - Math.max(left, x)));
    }
  }
}

function addDot(ink: Float32Array, width: number, [left, top, right, bottom]: Rectangle): void {
  const radius = (right - left) / 2;
  for (let y = Math.floor(top); y < bottom; y++) {
    for (let x = Math.floor(left); x < right; x++) {
      const distance = Math.hypot(x + 0.5 - left - radius, y + 0.5 - top - radius);
      const at = y * width + x;
      ink[at] = Math.max(ink[at], Math.min(1, Math.max(0, radius + 0.5 - distance)));
    }
  }
}

/** Caption under linear codes, other text where the label has room, a frame. */
function decorate(
  random: Random,
  split: Split,
  code: Code,
  surface: Surface,
  [left, top, right, bottom]: Rectangle,
  module: number,
  margin: Margin,
  ink: Colour,
): void {
  const face = random.pick<Face>(kindsOfSplit[split].faces);
  const width = right - left;
  let under = bottom + 2 - longerBy(code, [left, top, right, bottom]);
  if (code.linear && margin.bottom > module * 8) {
    const caption = code.linear.caption;
    const height = Math.min(
      width / 9,
      (width * 0.95) / (caption.length * advance(face)),
      margin.bottom * 0.7,
    );
    const x = left + (width - caption.length * advance(face) * height) * random.pick([0.5, 0.5, 0]);
    drawText(surface, face, caption, [x, under], height, ink);
    under += height * 1.4;
  }
  const quiet = module * 3 + 2;
  const size = random.uniform(4, 11) * 1.4;
  const tools = { random, face, ink };
  const places: Rectangle[] = [
    [4, 4, surface.width - 4, top - quiet],
    [4, under + quiet, surface.width - 4, surface.height - 3],
    [4, top, left - quiet, bottom],
    [right + quiet, top, surface.width - 4, bottom],
  ];
  for (const place of places)
    if (place[2] - place[0] > size * 3 && place[3] - place[1] > size) textBlock(surface, tools, place, size);
  if (random.next() < 0.12)
    strokeRect(surface, [1, 1, surface.width - 1, surface.height - 1], random.uniform(1, 2.5), ink);
}

/** Slight unevenness of paper and print. */
function texture(random: Random, { width, height, rgb }: Surface): void {
  const depth = random.uniform(0, 0.08);
  if (depth < 0.03) return;
  const field = noiseField(random, width, height, { cellX: random.uniform(20, 120) });
  for (let i = 0; i < field.length; i++) {
    const light = 1 + depth * field[i];
    for (let c = 0; c < 3; c++) rgb[i * 3 + c] *= light;
  }
}
