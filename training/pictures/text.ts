/** Letters without system fonts: faces derived from the kit's bitmap font, and invented scripts. */
import { Random } from "../../src/base/random.ts";
import { glyphHeight, glyphRows, glyphWidth } from "../../src/detect/_font.ts";
import type { Face } from "./split.ts";
import { type Colour, fillEllipse, fillRect, type Surface } from "./surface.ts";

interface Style {
  /** Width of a cell relative to a square one, growth of strokes in cells, shift to the right per cell upwards. */
  stretch: number;
  bold: number;
  slant: number;
  dots?: boolean;
  upper?: boolean;
  /** Seed of an invented script; its glyphs have cells of `inventedSide`. */
  invented?: number;
}

const styles: Record<Face, Style> = {
  plain: { stretch: 0.9, bold: 0.05, slant: 0 },
  bold: { stretch: 1, bold: 0.5, slant: 0 },
  wide: { stretch: 1.4, bold: 0.1, slant: 0 },
  condensed: { stretch: 0.6, bold: 0.1, slant: 0 },
  smallCaps: { stretch: 0.95, bold: 0, slant: 0, upper: true },
  "invented A": { stretch: 1, bold: -0.1, slant: 0, invented: 11 },
  "invented B": { stretch: 0.7, bold: -0.25, slant: 0.1, invented: 12 },
  slanted: { stretch: 0.8, bold: 0.1, slant: 0.22 },
  dotted: { stretch: 1, bold: -0.1, slant: 0, dots: true },
  "heavy wide": { stretch: 1.2, bold: 0.6, slant: 0, upper: true },
  "invented C": { stretch: 0.85, bold: -0.2, slant: -0.1, invented: 13 },
};

const inventedSide = 7;
const inventedGlyphs = new Map<number, number[][]>();

/** Characters of strokes along rows and columns, as East Asian scripts look from afar. */
function inventedScript(seed: number): number[][] {
  const known = inventedGlyphs.get(seed);
  if (known) return known;
  const random = new Random(seed);
  const script = Array.from({ length: 60 }, () => {
    const rows = Array<number>(inventedSide).fill(0);
    for (let stroke = random.int(2, 5); stroke > 0; stroke--) {
      const at = random.int(0, inventedSide - 1);
      const from = random.int(0, 3);
      const to = random.int(from + 2, inventedSide - 1);
      for (let k = from; k <= to; k++) {
        if (stroke % 2) rows[at] |= 1 << k;
        else rows[k] |= 1 << at;
      }
    }
    return rows;
  });
  inventedGlyphs.set(seed, script);
  return script;
}

function glyph(style: Style, character: string): { columns: number; rows: readonly number[] } {
  if (style.invented) {
    const script = inventedScript(style.invented);
    return { columns: inventedSide, rows: script[(character.codePointAt(0) ?? 0) % script.length] };
  }
  return { columns: glyphWidth, rows: glyphRows(style.upper ? character.toUpperCase() : character) };
}

/** Advance of a character relative to the height of capitals. */
export function advance(face: Face): number {
  const style = styles[face];
  return (((style.invented ? inventedSide : glyphWidth) + 1.2) / glyphHeight) * style.stretch;
}

/** Draws one line of text with its top left at `x, y`; `height` is that of capitals, in pixels. */
export function drawText(
  surface: Surface,
  face: Face,
  text: string,
  [x, y]: readonly [number, number],
  height: number,
  colour: Colour,
): void {
  const style = styles[face];
  const cell = height / glyphHeight;
  const step = advance(face) * height;
  Array.from(text).forEach((character, i) => {
    if (character === " ") return;
    const { columns, rows } = glyph(style, character);
    rows.forEach((bits, row) => {
      const left = x + i * step + style.slant * (glyphHeight - row) * cell;
      drawRow(surface, style, bits, columns, [left, y + row * cell], cell, colour);
    });
  });
}

function drawRow(
  surface: Surface,
  style: Style,
  bits: number,
  columns: number,
  [left, top]: readonly [number, number],
  cell: number,
  colour: Colour,
): void {
  const grow = (style.bold * cell) / 2;
  const width = cell * style.stretch;
  for (let column = 0; column < columns; column++) {
    if (!((bits >> (columns - 1 - column)) & 1)) continue;
    let run = 1;
    while (!style.dots && column + run < columns && (bits >> (columns - 1 - column - run)) & 1) run++;
    const from = left + column * width;
    if (style.dots && cell > 2)
      fillEllipse(surface, [from + width / 2, top + cell / 2, width * 0.48, cell * 0.48], colour);
    else
      fillRect(
        surface,
        [
          from - grow,
          top - Math.max(0, grow) / 2,
          from + run * width + grow,
          top + cell + Math.max(0, grow) / 2,
        ],
        colour,
      );
    column += run - 1;
  }
}
