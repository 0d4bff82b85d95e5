/** Pieces of photographs with a sharp edge: whatever is fine-grained and framed looks a little like a code. */
import type { Random } from "../../src/base/random.ts";
import { randomColour } from "./backgrounds.ts";
import { type Colour, createSurface, fillRect, type Surface } from "./surface.ts";

/** A piece of the source whose longer side is about `long` texels (no more than the source has), with what surrounds it. */
export function cuttingOf(source: Surface, random: Random, long: number): Surface {
  const wide = Math.max(8, Math.min(source.width, long));
  const high = Math.max(8, Math.min(source.height, Math.round(long * random.uniform(0.3, 1))));
  const pieces = Array.from({ length: random.int(1, 5) }, () =>
    cut(source, [random.int(0, source.width - wide), random.int(0, source.height - high)], wide, high),
  );
  const piece = pieces.reduce((best, other) => (unrest(other) > unrest(best) ? other : best));
  const way = random.next();
  if (way < 0.25) harden(piece, random);
  else if (way < 0.5) stretch(piece, random.uniform(1.2, 2.5));
  const shape = random.next();
  if (shape < 0.25) return blot(piece, random);
  return shape < 0.4 ? piece : framed(piece, random);
}

function cut(
  { width, rgb }: Surface,
  [left, top]: readonly [number, number],
  wide: number,
  high: number,
): Surface {
  const piece = createSurface(wide, high, [0, 0, 0]);
  for (let y = 0; y < high; y++) {
    const from = ((top + y) * width + left) * 3;
    piece.rgb.set(rgb.subarray(from, from + wide * 3), y * wide * 3);
  }
  return piece;
}

const brightness = (rgb: Float32Array, at: number) => (rgb[at] + rgb[at + 1] + rgb[at + 2]) / 3;

function meanBrightness({ rgb }: Surface): number {
  let sum = 0;
  for (let at = 0; at < rgb.length; at += 3) sum += brightness(rgb, at);
  return (sum * 3) / rgb.length;
}

/** Mean difference of brightness between neighbours in a row: fine-grained pieces are the ones that need practice. */
function unrest({ rgb }: Surface): number {
  let sum = 0;
  for (let at = 3; at < rgb.length; at += 3) sum += Math.abs(brightness(rgb, at) - brightness(rgb, at - 3));
  return (sum * 3) / rgb.length;
}

/** Two tones, as prints and emblems have. */
function harden(piece: Surface, random: Random): void {
  const { rgb } = piece;
  const limit = meanBrightness(piece) * random.uniform(0.8, 1.2);
  const dark = randomColour(random, 0, 110, 0.5);
  const light = randomColour(random, 140, 255, 0.4);
  const edge = random.uniform(3, 25);
  for (let at = 0; at < rgb.length; at += 3) {
    const share = Math.min(1, Math.max(0, 0.5 + (brightness(rgb, at) - limit) / edge));
    for (let c = 0; c < 3; c++) rgb[at + c] = dark[c] + (light[c] - dark[c]) * share;
  }
}

/** More contrast around the mean. */
function stretch(piece: Surface, gain: number): void {
  const { rgb } = piece;
  const mean = meanBrightness(piece);
  for (let i = 0; i < rgb.length; i++) rgb[i] = Math.min(255, Math.max(0, mean + (rgb[i] - mean) * gain));
}

/** Behind a frame of one or two colours, with bars across at times: a window, a picture on a wall, a poster, a plate. */
function framed(piece: Surface, random: Random): Surface {
  const { width, height } = piece;
  const short = Math.min(width, height);
  const colour: Colour =
    random.next() < 0.6 ? randomColour(random, 190, 255, 0.1) : randomColour(random, 5, 190, 0.5);
  const edge = Math.ceil(short * random.uniform(0.03, 0.25));
  const sheet = createSurface(width + 2 * edge, height + 2 * edge, colour);
  const bar = short * random.uniform(0.02, 0.07);
  const [columns, rows] = random.next() < 0.4 ? [random.int(1, 4), random.int(1, 4)] : [1, 1];
  for (let c = 1; c < columns; c++)
    fillRect(piece, [(c / columns) * width - bar, 0, (c / columns) * width, height], colour);
  for (let r = 1; r < rows; r++)
    fillRect(piece, [0, (r / rows) * height - bar, width, (r / rows) * height], colour);
  for (let y = 0; y < height; y++)
    sheet.rgb.set(
      piece.rgb.subarray(y * width * 3, (y + 1) * width * 3),
      ((y + edge) * sheet.width + edge) * 3,
    );
  if (random.next() < 0.4) {
    const rim = randomColour(random, 0, 255, 0.4);
    const thick = Math.max(1, edge * random.uniform(0.1, 0.5));
    fillRect(sheet, [0, 0, sheet.width, thick], rim);
    fillRect(sheet, [0, sheet.height - thick, sheet.width, sheet.height], rim);
    fillRect(sheet, [0, 0, thick, sheet.height], rim);
    fillRect(sheet, [sheet.width - thick, 0, sheet.width, sheet.height], rim);
  }
  return sheet;
}

/** With a round or wavy outline. */
function blot(piece: Surface, random: Random): Surface {
  const { width, height, rgb } = piece;
  const waves = [2, 3, 4, 5].map((count) => [count, random.uniform(0, 0.5 / count), random.uniform(0, 6.3)]);
  const alpha = new Float32Array(width * height);
  const soft = Math.min(width, height) / 2;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [dx, dy] = [(2 * (x + 0.5)) / width - 1, (2 * (y + 0.5)) / height - 1];
      const angle = Math.atan2(dy, dx);
      let rim = 0.85;
      for (const [count, depth, phase] of waves) rim += depth * 0.5 * Math.sin(count * angle + phase);
      alpha[y * width + x] = Math.min(1, Math.max(0, (rim - Math.hypot(dx, dy)) * soft));
    }
  return { width, height, rgb, alpha };
}
