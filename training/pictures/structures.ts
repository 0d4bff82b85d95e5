/** What man has built in rows and frames: it looks most like codes in photographs, and is none. */
import type { Random } from "../../src/base/random.ts";
import { randomColour } from "./backgrounds.ts";
import type { Painter, Tools } from "./negatives.ts";
import { noiseField } from "./noise.ts";
import { type Colour, fillEllipse, fillRect, type Surface, strokeLine, strokeRect } from "./surface.ts";
import { advance, drawText } from "./text.ts";

const scaled = ([r, g, b]: Colour, by: number): Colour => [r * by, g * by, b * by];

/** Windows in rows, some lit or with blinds down, with sills, muntins and storeys between. */
function facade(sheet: Surface, { random, ground }: Tools): void {
  const [columns, rows] = [random.int(2, 11), random.int(2, 11)];
  const [w, h] = [sheet.width / columns, sheet.height / rows];
  const [wide, high] = [random.uniform(0.35, 0.85), random.uniform(0.4, 0.85)];
  const glass = randomColour(random, 10, 110, 0.3);
  const frame = random.next() < 0.6 ? randomColour(random, 150, 250, 0.1) : scaled(ground, 0.6);
  const [across, down] = [random.int(1, 3), random.int(1, 3)];
  for (let c = 0; c < columns; c++)
    for (let r = 0; r < rows; r++) {
      if (random.next() < 0.05) continue;
      const [x, y] = [(c + (1 - wide) / 2) * w, (r + (1 - high) / 2) * h];
      const box = [x, y, x + wide * w, y + high * h] as const;
      const lit = random.next();
      fillRect(
        sheet,
        box,
        lit < 0.2 ? randomColour(random, 120, 250, 0.4) : scaled(glass, random.uniform(0.6, 1.6)),
      );
      if (lit > 0.8) fillRect(sheet, [x, y, box[2], y + random.uniform(0.2, 0.9) * high * h], frame);
      const line = Math.max(0.7, w * 0.04);
      for (let k = 1; k < across; k++) {
        const at = x + (k / across) * wide * w;
        fillRect(sheet, [at - line / 2, y, at + line / 2, box[3]], frame);
      }
      for (let k = 1; k < down; k++) {
        const at = y + (k / down) * high * h;
        fillRect(sheet, [x, at - line / 2, box[2], at + line / 2], frame);
      }
      strokeRect(sheet, box, line, frame);
    }
}

/** Frames within frames: doors, pictures, screens, washing machines; the nearest to finder patterns. */
function frames(sheet: Surface, { random, ink, ground }: Tools): void {
  const across = random.int(1, 4);
  const w = sheet.width / across;
  const down = Math.max(1, Math.round(sheet.height / w));
  const h = sheet.height / down;
  for (let c = 0; c < across; c++)
    for (let r = 0; r < down; r++) {
      const round = random.next() < 0.25;
      let [x, y, right, bottom] = [c * w + 2, r * h + 2, (c + 1) * w - 2, (r + 1) * h - 2];
      for (let ring = random.int(1, 4); ring > 0 && right - x > 3 && bottom - y > 3; ring--) {
        const colour = random.next() < 0.5 ? (ring % 2 ? ink : ground) : randomColour(random, 10, 245, 0.3);
        if (round)
          fillEllipse(sheet, [(x + right) / 2, (y + bottom) / 2, (right - x) / 2, (bottom - y) / 2], colour);
        else fillRect(sheet, [x, y, right, bottom], colour);
        const step = random.uniform(0.06, 0.25);
        const [dx, dy] = [(right - x) * step, (bottom - y) * step * random.uniform(0.7, 1.3)];
        [x, y, right, bottom] = [x + dx, y + dy, right - dx, bottom - dy];
      }
    }
}

/** Backs of books with titles, cartons or bottles, one beside the other. */
function books(sheet: Surface, { random, face }: Tools): void {
  const thin = random.uniform(3, sheet.width / 6);
  for (let x = 0; x < sheet.width; ) {
    const wide = thin * random.uniform(0.4, 1.4);
    const top = random.uniform(0, 0.25) * sheet.height;
    const colour = randomColour(random, 15, 240, 0.5);
    fillRect(sheet, [x, top, x + wide, sheet.height], colour);
    fillRect(sheet, [x, top, x + Math.max(0.6, wide * 0.1), sheet.height], scaled(colour, 0.5));
    const print =
      colour[0] + colour[1] + colour[2] > 380
        ? randomColour(random, 10, 70, 0.3)
        : randomColour(random, 180, 250, 0.2);
    for (let band = random.int(0, 3); band > 0; band--) {
      const at = random.uniform(top, sheet.height);
      fillRect(sheet, [x, at, x + wide, at + random.uniform(1, sheet.height * 0.1)], print);
    }
    const size = Math.min(wide * 0.7, sheet.height * 0.08);
    for (let y = top + size; y < sheet.height * random.uniform(0.4, 1) - size; y += size * 1.4)
      drawText(sheet, face, "ABCDEFGHKLMNOPRSTUVW"[random.int(0, 19)], [x + wide * 0.2, y], size, print);
    x += wide + (random.next() < 0.1 ? random.uniform(0, thin) : 0);
  }
}

/** Slats in the light: blinds, radiators, vents, stairs; their distances grow evenly as in perspective. */
function slats(sheet: Surface, { random, ink, ground }: Tools): void {
  const growth = random.next() < 0.5 ? 1 : random.uniform(0.93, 1.08);
  const share = random.uniform(0.25, 0.75);
  const round = random.next() < 0.4;
  for (
    let [x, step] = [0, random.uniform(3, 18)];
    x < sheet.width && step > 1;
    [x, step] = [x + step, step * growth]
  ) {
    for (let k = 0; k < 4; k++) {
      const tone = round ? Math.sin(((k + 0.5) / 4) * Math.PI) : 1 - k * 0.15;
      const colour: Colour = [0, 1, 2].map(
        (c) => ground[c] + (ink[c] - ground[c]) * tone,
      ) as unknown as Colour;
      fillRect(
        sheet,
        [x + (k / 4) * step * share, 0, x + ((k + 1) / 4) * step * share, sheet.height],
        colour,
      );
    }
  }
  for (let cord = random.int(0, 3); cord > 0; cord--) {
    const y = random.uniform(0, sheet.height);
    fillRect(sheet, [0, y, sheet.width, y + random.uniform(1, 4)], scaled(ground, 0.7));
  }
}

/** Stripes that wander, branch and end, as of zebras, bark and cloth; blotches where the field is even both ways. */
function zebra(sheet: Surface, { random, ink, ground }: Tools): void {
  const { width, height } = sheet;
  const cell = random.uniform(12, 50);
  const field = noiseField(random, width, height, {
    cellX: cell,
    cellY: cell * random.uniform(1, 5),
    octaves: random.int(1, 3),
  });
  const [pitch, bend] = [random.uniform(4, 16), random.uniform(0, 6)];
  const blotches = random.next() < 0.4;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const value = field[y * width + x];
      const dark = blotches ? value > 0.1 : Math.sin((x / pitch) * Math.PI + bend * value) > 0.1;
      const colour = dark ? ink : ground;
      const at = (y * width + x) * 3;
      for (let c = 0; c < 3; c++) sheet.rgb[at + c] = colour[c];
    }
}

/** Chips, pads, holes and tracks. */
function board(sheet: Surface, { random, face }: Tools): void {
  const { width, height } = sheet;
  fillRect(
    sheet,
    [0, 0, width, height],
    random.pick<Colour>([
      [20, 85, 50],
      [25, 60, 100],
      [40, 45, 42],
      [120, 40, 35],
      [170, 150, 90],
    ]),
  );
  const metal = randomColour(random, 140, 230, 0.12);
  for (let track = random.int(5, 30); track > 0; track--) {
    let [x, y] = [random.uniform(0, width), random.uniform(0, height)];
    for (let part = random.int(1, 4); part > 0; part--) {
      const angle = (random.int(0, 7) * Math.PI) / 4;
      const long = random.uniform(5, 60);
      const [to, down] = [x + long * Math.cos(angle), y + long * Math.sin(angle)];
      strokeLine(sheet, [x, y, to, down], random.uniform(0.7, 2), scaled(metal, 0.7));
      [x, y] = [to, down];
    }
    fillEllipse(sheet, [x, y, 2, 2], metal);
  }
  for (let part = random.int(2, 10); part > 0; part--) {
    const [x, y] = [random.uniform(0, width), random.uniform(0, height)];
    const [w, h] = [random.uniform(6, width * 0.35), random.uniform(6, height * 0.35)];
    const pitch = random.uniform(2.5, 6);
    for (let pin = x + 1; pin < x + w - 1; pin += pitch)
      fillRect(sheet, [pin, y - pitch, pin + pitch * 0.5, y + h + pitch], metal);
    if (random.next() < 0.5)
      for (let pin = y + 1; pin < y + h - 1; pin += pitch)
        fillRect(sheet, [x - pitch, pin, x + w + pitch, pin + pitch * 0.5], metal);
    fillRect(sheet, [x, y, x + w, y + h], randomColour(random, 8, 60, 0.2));
    drawText(sheet, face, "74HC595", [x + w * 0.1, y + h * 0.3], Math.min(h * 0.3, w / 8), metal);
  }
}

/** Traffic signs, shop signs and number plates: few large letters or an arrow within a border. */
function sign(sheet: Surface, { random, face }: Tools): void {
  const { width, height } = sheet;
  const plate = random.pick<Colour>([
    [25, 60, 160],
    [190, 25, 30],
    [240, 240, 235],
    [250, 200, 30],
    [20, 110, 60],
    [20, 20, 22],
  ]);
  const print: Colour = plate[0] + plate[1] + plate[2] > 380 ? [20, 20, 24] : [245, 245, 240];
  const border = random.uniform(1, 6);
  if (random.next() < 0.3) {
    const middle = [width / 2, height / 2] as const;
    fillEllipse(sheet, [...middle, width / 2, height / 2], print);
    fillEllipse(sheet, [...middle, width / 2 - border, height / 2 - border], plate);
  } else {
    fillRect(sheet, [0, 0, width, height], plate);
    strokeRect(sheet, [border, border, width - border, height - border], border * 0.7, print);
  }
  const lines = random.int(1, 3);
  const size = Math.min((height * 0.6) / lines, (width * 0.8) / (4 * advance(face)));
  for (let line = 0; line < lines; line++)
    drawText(
      sheet,
      face,
      letters(random, random.int(1, 5)),
      [width * 0.15, height * 0.2 + line * size * 1.25],
      size,
      print,
    );
  if (random.next() < 0.3)
    strokeLine(sheet, [width * 0.2, height * 0.8, width * 0.8, height * 0.3], border * 2, print);
}

function letters(random: Random, count: number): string {
  return Array.from({ length: count }, () => "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[random.int(0, 35)]).join(
    "",
  );
}

/** Dice, dominoes and switches: rounded squares with dots. */
function dice(sheet: Surface, { random, ink, ground }: Tools): void {
  const side = Math.max(10, sheet.width / random.int(1, 6));
  fillRect(sheet, [0, 0, sheet.width, sheet.height], scaled(ground, random.uniform(0.3, 0.9)));
  const grid = random.int(2, 4);
  for (let y = 0; y < sheet.height; y += side)
    for (let x = 0; x < sheet.width; x += side) {
      const gap = side * random.uniform(0.04, 0.15);
      fillRect(sheet, [x + gap, y + gap, x + side - gap, y + side - gap], ground);
      const share = random.uniform(0.2, 1);
      for (let k = 0; k < grid * grid; k++) {
        if (random.next() > share) continue;
        const [cx, cy] = [(k % grid) + 0.5, Math.floor(k / grid) + 0.5];
        const radius = (side / grid) * 0.28;
        fillEllipse(
          sheet,
          [x + side * (0.12 + (0.76 * cx) / grid), y + side * (0.12 + (0.76 * cy) / grid), radius, radius],
          ink,
        );
      }
    }
}

/** Holes or knobs at even distances: loudspeakers, grilles, sieves, cobbles. */
function holes(sheet: Surface, { random, ink }: Tools): void {
  const step = random.uniform(4, 16);
  const [rx, ry] = [step * random.uniform(0.2, 0.45), step * random.uniform(0.2, 0.45)];
  const offset = random.next() < 0.5 ? step / 2 : 0;
  for (let row = 0; row * step < sheet.height; row++)
    for (let x = (row % 2) * offset; x < sheet.width; x += step)
      fillEllipse(sheet, [x, row * step, rx, ry], scaled(ink, random.uniform(0.7, 1.2)));
}

/** Bands across bands, as of shirts, cloths and tiled floors in several tones. */
function plaid(sheet: Surface, { random }: Tools): void {
  const { width, height } = sheet;
  for (const upright of [true, false]) {
    const repeat = random.uniform(12, 70);
    for (let band = random.int(1, 4); band > 0; band--) {
      const [from, wide] = [random.uniform(0, repeat), random.uniform(1, repeat * 0.4)];
      const colour = randomColour(random, 5, 245, 0.5);
      const opacity = random.uniform(0.3, 0.8);
      for (let at = from - repeat; at < (upright ? width : height); at += repeat)
        fillRect(sheet, upright ? [at, 0, at + wide, height] : [0, at, width, at + wide], colour, opacity);
    }
  }
}

/** Leaves, gravel, crowds: shapes of one kind strewn densely, in strong light and shadow. */
function foliage(sheet: Surface, { random }: Tools): void {
  const { width, height } = sheet;
  const size = random.uniform(2, 14);
  const [dark, light] = [randomColour(random, 5, 60, 0.5), randomColour(random, 90, 240, 0.5)];
  fillRect(sheet, [0, 0, width, height], dark);
  for (let k = Math.min(900, (width * height) / (size * size)); k > 0; k--) {
    const tone = random.next();
    const colour = [0, 1, 2].map((c) => dark[c] + (light[c] - dark[c]) * tone) as unknown as Colour;
    const [x, y] = [random.uniform(0, width), random.uniform(0, height)];
    if (random.next() < 0.6)
      fillEllipse(sheet, [x, y, size * random.uniform(0.3, 1), size * random.uniform(0.2, 0.8)], colour);
    else
      strokeLine(
        sheet,
        [x, y, x + random.uniform(-3, 3) * size, y + random.uniform(-3, 3) * size],
        size * 0.3,
        colour,
      );
  }
}

/** A page with headlines, columns and pictures. */
function page(sheet: Surface, tools: Tools): void {
  const { random, face, ink } = tools;
  const { width, height } = sheet;
  drawText(sheet, face, letters(random, 8), [width * 0.06, height * 0.04], height * 0.08, ink);
  const columns = random.int(1, 4);
  const w = (width * 0.92) / columns;
  const line = Math.max(2, height / random.int(25, 70));
  for (let c = 0; c < columns; c++)
    for (let y = height * 0.16; y < height * 0.95; y += line * 1.6) {
      const left = width * 0.04 + c * w;
      if (random.next() < 0.06) {
        const tall = random.uniform(0.05, 0.25) * height;
        fillRect(sheet, [left, y, left + w * 0.92, y + tall], randomColour(random, 20, 220, 0.5));
        y += tall;
        continue;
      }
      const end = left + w * (random.next() < 0.15 ? random.uniform(0.2, 0.9) : 0.92);
      for (let x = left; x < end; ) {
        const word = line * random.uniform(0.8, 4);
        for (let stroke = x; stroke < Math.min(end, x + word); stroke += line * 0.45)
          fillRect(sheet, [stroke, y + random.uniform(0, 0.3) * line, stroke + line * 0.2, y + line], ink);
        x += word + line * 0.6;
      }
    }
}

/** Shop shelves: rows of packages with labels, several of each. */
function goods(sheet: Surface, tools: Tools): void {
  const { random, face } = tools;
  const rows = random.int(1, 4);
  const h = sheet.height / rows;
  fillRect(sheet, [0, 0, sheet.width, sheet.height], randomColour(random, 10, 70, 0.2));
  for (let r = 0; r < rows; r++)
    for (let x = 1; x < sheet.width; ) {
      const wide = random.uniform(0.2, 0.8) * h;
      const top = (r + random.uniform(0.05, 0.5)) * h;
      const [box, label] = [randomColour(random, 30, 240, 0.7), randomColour(random, 20, 250, 0.5)];
      const brand = letters(random, 3);
      for (let copy = random.int(1, 4); copy > 0 && x < sheet.width; copy--, x += wide + 1) {
        fillRect(sheet, [x, top, x + wide, (r + 0.95) * h], box);
        fillRect(sheet, [x + wide * 0.12, top + h * 0.1, x + wide * 0.88, top + h * 0.3], label);
        drawText(sheet, face, brand, [x + wide * 0.16, top + h * 0.12], Math.min(h * 0.12, wide * 0.2), box);
      }
    }
}

export const structures = {
  facade,
  frames,
  books,
  slats,
  zebra,
  board,
  sign,
  dice,
  holes,
  plaid,
  foliage,
  page,
  goods,
} satisfies Record<string, Painter>;
