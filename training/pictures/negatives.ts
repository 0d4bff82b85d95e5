/** Things without codes that lie about: plain clutter, and patterns that a detector might take for codes. */
import type { Random } from "../../src/base/random.ts";
import { randomColour } from "./backgrounds.ts";
import { type Face, kindsOfSplit, type NegativeKind, type Split } from "./split.ts";
import { structures } from "./structures.ts";
import {
  type Colour,
  createSurface,
  fillEllipse,
  fillRect,
  type Surface,
  strokeLine,
  strokeRect,
} from "./surface.ts";
import { advance, drawText } from "./text.ts";

/** What a painter needs besides the sheet it fills: `ink` stands out from the sheet's ground. */
export interface Tools {
  random: Random;
  face: Face;
  ink: Colour;
  ground: Colour;
}
export type Painter = (sheet: Surface, tools: Tools) => void;

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:-/";

/** Random words of a total length. */
export function randomText(random: Random, length: number): string {
  let text = "";
  while (text.length < length) {
    for (let word = random.int(1, 9); word > 0; word--) text += letters[random.int(0, letters.length - 1)];
    text += " ";
  }
  return text.slice(0, length);
}

/** Lines of text within a rectangle, ragged at the right. */
export function textBlock(
  sheet: Surface,
  { random, face, ink }: Pick<Tools, "random" | "face" | "ink">,
  [left, top, right, bottom]: readonly [number, number, number, number],
  height: number,
): void {
  for (let y = top; y + height <= bottom; y += height * 1.55) {
    const length = Math.floor(((right - left) / (advance(face) * height)) * random.uniform(0.4, 1));
    drawText(sheet, face, randomText(random, Math.min(80, length)), [left, y], height, ink);
  }
}

function text(sheet: Surface, tools: Tools): void {
  const { width, height } = sheet;
  textBlock(sheet, tools, [4, 4, width - 4, height - 4], tools.random.uniform(4, Math.max(6, height / 4)));
}

function checkers(sheet: Surface, { random, ink }: Tools): void {
  const cell = Math.max(3, sheet.width / random.int(4, 16));
  for (let row = 0; row * cell < sheet.height; row++)
    for (let column = row % 2; column * cell < sheet.width; column += 2)
      fillRect(sheet, [column * cell, row * cell, (column + 1) * cell, (row + 1) * cell], ink);
}

function stripes(sheet: Surface, { random, ink }: Tools): void {
  const step = random.uniform(4, 24);
  const share = random.uniform(0.3, 0.7);
  const lean = random.next() < 0.5 ? 0 : random.uniform(-1, 1);
  for (let x = -sheet.height; x < sheet.width + sheet.height; x += step) {
    if (lean === 0) fillRect(sheet, [x, 0, x + step * share, sheet.height], ink);
    else strokeLine(sheet, [x, 0, x + lean * sheet.height, sheet.height], step * share, ink);
  }
}

function grid(sheet: Surface, columns: number, rows: number, line: number, ink: Colour): void {
  const { width, height } = sheet;
  for (let c = 0; c <= columns; c++) {
    const x = (c / columns) * (width - line);
    fillRect(sheet, [x, 0, x + line, height], ink);
  }
  for (let r = 0; r <= rows; r++) {
    const y = (r / rows) * (height - line);
    fillRect(sheet, [0, y, width, y + line], ink);
  }
}

function window(sheet: Surface, { random, ink }: Tools): void {
  const [columns, rows] = [random.int(1, 5), random.int(1, 7)];
  for (let c = 0; c < columns; c++)
    for (let r = 0; r < rows; r++)
      fillRect(
        sheet,
        [
          (c / columns) * sheet.width,
          (r / rows) * sheet.height,
          ((c + 1) / columns) * sheet.width,
          ((r + 1) / rows) * sheet.height,
        ],
        randomColour(random, 20, 120, 0.2),
      );
  grid(sheet, columns, rows, random.uniform(2, 8), ink[0] > 128 ? ink : [225, 225, 220]);
}

function keyboard(sheet: Surface, { random, face, ink, ground }: Tools): void {
  const key = Math.max(7, sheet.width / random.int(8, 16));
  const gap = key * random.uniform(0.08, 0.2);
  const cap: Colour = [ground[0] * 0.8, ground[1] * 0.8, ground[2] * 0.82];
  fillRect(sheet, [0, 0, sheet.width, sheet.height], [ground[0] * 0.5, ground[1] * 0.5, ground[2] * 0.5]);
  for (let row = 0; row * key < sheet.height; row++) {
    for (let x = gap + (row % 3) * key * 0.25; x < sheet.width; ) {
      const wide = random.next() < 0.1 ? 2 : 1;
      fillRect(sheet, [x, row * key + gap, x + key * wide - gap, (row + 1) * key - gap], cap);
      drawText(
        sheet,
        face,
        letters[random.int(26, 51)],
        [x + key * 0.25, row * key + key * 0.3],
        key * 0.35,
        ink,
      );
      x += key * wide;
    }
  }
}

function staff(sheet: Surface, { random, ink }: Tools): void {
  const step = random.uniform(3, 7);
  for (let y = step * 3; y + 4 * step < sheet.height; y += step * 11) {
    for (let line = 0; line < 5; line++)
      fillRect(sheet, [2, y + line * step, sheet.width - 2, y + line * step + 1], ink);
    for (let x = 8; x < sheet.width - 8; x += random.uniform(step * 1.5, step * 5)) {
      const at = y + random.int(0, 8) * (step / 2);
      fillEllipse(sheet, [x, at, step * 0.62, step * 0.48], ink);
      fillRect(sheet, [x + step * 0.5, at - step * 3, x + step * 0.5 + 1, at], ink);
    }
  }
}

function table(sheet: Surface, tools: Tools): void {
  const { random, face, ink } = tools;
  const [columns, rows] = [random.int(2, 7), random.int(3, 14)];
  grid(sheet, columns, rows, 1, ink);
  const [w, h] = [sheet.width / columns, sheet.height / rows];
  const size = h * 0.45;
  for (let c = 0; c < columns; c++)
    for (let r = 0; r < rows; r++)
      if (random.next() < 0.75)
        drawText(
          sheet,
          face,
          randomText(random, random.int(1, Math.max(1, Math.floor((w * 0.8) / (advance(face) * size))))),
          [c * w + 3, r * h + h * 0.3],
          size,
          ink,
        );
}

function crossword(sheet: Surface, { random, ink, face }: Tools): void {
  const columns = random.int(6, 15);
  const cell = sheet.width / columns;
  const rows = Math.ceil(sheet.height / cell);
  for (let c = 0; c < columns; c++)
    for (let r = 0; r < rows; r++) {
      if (random.next() < 0.2) fillRect(sheet, [c * cell, r * cell, (c + 1) * cell, (r + 1) * cell], ink);
      else if (random.next() < 0.5)
        drawText(
          sheet,
          face,
          letters[random.int(26, 51)],
          [c * cell + cell * 0.25, r * cell + cell * 0.25],
          cell * 0.5,
          ink,
        );
    }
  for (let c = 0; c <= columns; c++) fillRect(sheet, [c * cell, 0, c * cell + 1, sheet.height], ink);
  for (let r = 0; r <= rows; r++) fillRect(sheet, [0, r * cell, sheet.width, r * cell + 1], ink);
}

function fence(sheet: Surface, { random, ink }: Tools): void {
  const step = random.uniform(6, 22);
  const slat = step * random.uniform(0.4, 0.8);
  for (let x = step / 3; x < sheet.width; x += step)
    fillRect(
      sheet,
      [x, random.uniform(0, 4), x + slat, sheet.height],
      randomColour(random, ink[0] * 0.8 + 20, ink[0] + 40, 0.15),
    );
  for (const y of [0.25, 0.75])
    fillRect(sheet, [0, sheet.height * y, sheet.width, sheet.height * y + slat * 0.7], ink);
}

/** Coarse tiles in many tones: no module pattern has more than two. */
function mosaic(sheet: Surface, { random }: Tools): void {
  const cell = Math.max(5, sheet.width / random.int(4, 14));
  const tones = Array.from({ length: random.int(4, 7) }, () => randomColour(random, 20, 245, 0.4));
  for (let y = 0; y < sheet.height; y += cell)
    for (let x = 0; x < sheet.width; x += cell)
      fillRect(sheet, [x, y, x + cell, y + cell], random.pick(tones));
}

function block(sheet: Surface, { random, ground }: Tools): void {
  const edge = random.uniform(0.05, 0.3);
  fillRect(
    sheet,
    [0, 0, sheet.width, sheet.height * edge],
    [ground[0] * 0.75, ground[1] * 0.75, ground[2] * 0.75],
  );
  fillRect(
    sheet,
    [0, sheet.height * (1 - edge), sheet.width * edge, sheet.height],
    [ground[0] * 1.1, ground[1] * 1.1, ground[2] * 1.1],
  );
}

function ticket(sheet: Surface, tools: Tools): void {
  const { random, face, ink } = tools;
  const { width, height } = sheet;
  strokeRect(sheet, [2, 2, width - 2, height - 2], random.uniform(1, 3), ink);
  drawText(
    sheet,
    face,
    randomText(random, 8).toUpperCase(),
    [width * 0.08, height * 0.1],
    height * 0.16,
    ink,
  );
  textBlock(
    sheet,
    tools,
    [width * 0.08, height * 0.4, width * 0.6, height * 0.95],
    Math.max(4, height * 0.07),
  );
  fillEllipse(
    sheet,
    [width * 0.8, height * 0.65, height * 0.16, height * 0.16],
    randomColour(random, 40, 200, 0.7),
  );
}

function calendar(sheet: Surface, { random, face, ink }: Tools): void {
  const [w, h] = [sheet.width / 7, sheet.height / 7];
  fillRect(sheet, [0, 0, sheet.width, h * 0.9], randomColour(random, 60, 180, 0.7));
  for (let day = 1; day <= 31; day++) {
    const at = day + 2;
    drawText(
      sheet,
      face,
      String(day),
      [(at % 7) * w + w * 0.25, (Math.floor(at / 7) + 1.2) * h],
      h * 0.45,
      ink,
    );
  }
}

function piano(sheet: Surface, { random }: Tools): void {
  const key = sheet.width / random.int(6, 20);
  fillRect(sheet, [0, 0, sheet.width, sheet.height], [235, 232, 222]);
  for (let k = 0; k * key < sheet.width; k++) {
    fillRect(sheet, [k * key, 0, k * key + 1, sheet.height], [40, 40, 40]);
    if ([0, 1, 3, 4, 5].includes(k % 7))
      fillRect(sheet, [(k + 0.7) * key, 0, (k + 1.3) * key, sheet.height * 0.62], [25, 25, 28]);
  }
}

function ruler(sheet: Surface, { random, face, ink }: Tools): void {
  const step = random.uniform(3, 6);
  for (let tick = 0; tick * step < sheet.width; tick++) {
    const long = tick % 10 === 0 ? 0.5 : tick % 5 === 0 ? 0.38 : 0.25;
    fillRect(sheet, [tick * step, 0, tick * step + 1, sheet.height * long], ink);
    if (tick % 10 === 0)
      drawText(
        sheet,
        face,
        String(tick / 10),
        [tick * step, sheet.height * 0.6],
        Math.min(step * 3, sheet.height * 0.3),
        ink,
      );
  }
}

function shelf(sheet: Surface, { random, ground }: Tools): void {
  const rows = random.int(2, 4);
  fillRect(sheet, [0, 0, sheet.width, sheet.height], [ground[0] * 0.4, ground[1] * 0.4, ground[2] * 0.4]);
  for (let row = 0; row < rows; row++) {
    const floor = ((row + 1) / rows) * sheet.height;
    for (let x = 2; x < sheet.width; ) {
      const wide = random.uniform(5, 30);
      fillRect(
        sheet,
        [x, floor - (sheet.height / rows) * random.uniform(0.4, 0.85), x + wide, floor],
        randomColour(random, 30, 230, 0.6),
      );
      x += wide + random.uniform(0, 3);
    }
    fillRect(sheet, [0, floor - 4, sheet.width, floor], ground);
  }
}

/** Walls of one width along a grid, gaps as wide as walls: no finder, no solid border. */
function maze(sheet: Surface, { random, ink }: Tools): void {
  const cell = sheet.width / random.int(5, 12);
  for (let y = 0; y < sheet.height; y += cell)
    for (let x = 0; x < sheet.width; x += cell)
      if (random.next() < 0.5) strokeLine(sheet, [x, y, x + cell, y + cell], cell * 0.25, ink);
      else strokeLine(sheet, [x + cell, y, x, y + cell], cell * 0.25, ink);
}

function columnText(sheet: Surface, tools: Tools): void {
  const columns = tools.random.int(2, 4);
  const w = sheet.width / columns;
  for (let c = 0; c < columns; c++)
    textBlock(sheet, tools, [c * w + 3, 3, (c + 1) * w - 3, sheet.height - 3], Math.max(3, w / 20));
}

function oval(sheet: Surface, { random, ink }: Tools): void {
  const { width, height } = sheet;
  for (let ring = random.int(1, 5); ring > 0; ring--)
    fillEllipse(
      sheet,
      [width / 2, height / 2, (width * ring) / 11, (height * ring) / 11],
      ring % 2 ? ink : randomColour(random, 60, 240, 0.7),
    );
}

const painters: Record<NegativeKind, Painter> = {
  text,
  checkers,
  stripes,
  window,
  keyboard,
  staff,
  table,
  crossword,
  fence,
  mosaic,
  block,
  ticket,
  calendar,
  piano,
  ruler,
  shelf,
  maze,
  "column text": columnText,
  oval,
  ...structures,
};

/** A sheet of the given size with something on it that is no code. */
export function negativeSheet(random: Random, split: Split, width: number, height: number): Surface {
  const light = random.next() < 0.75;
  const ground = light ? randomColour(random, 150, 250, 0.15) : randomColour(random, 15, 150, 0.4);
  const ink =
    random.next() < 0.7 === light ? randomColour(random, 5, 70, 0.4) : randomColour(random, 170, 250, 0.2);
  const sheet = createSurface(width, height, ground);
  const face = random.pick<Face>(kindsOfSplit[split].faces);
  painters[random.pick<NegativeKind>(kindsOfSplit[split].negatives)](sheet, { random, face, ink, ground });
  return sheet;
}
