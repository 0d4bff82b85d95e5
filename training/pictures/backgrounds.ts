/** What lies behind everything: procedural textures. */
import type { Random } from "../../src/base/random.ts";
import { noiseField } from "./noise.ts";
import type { BackgroundKind } from "./split.ts";
import { type Colour, fillEllipse, fillRect, type Surface } from "./surface.ts";

type Painter = (surface: Surface, random: Random) => void;

/** A colour of the given mean brightness; `saturation` of 0..1 spreads the channels. */
export function randomColour(random: Random, low: number, high: number, saturation: number): Colour {
  const value = random.uniform(low, high);
  const channel = () => Math.min(255, Math.max(0, value * (1 + random.uniform(-saturation, saturation))));
  return [channel(), channel(), channel()];
}

/** Paints `colour` times (1 + field): the common form of most textures. */
function tint(surface: Surface, colour: Colour, field: (x: number, y: number, i: number) => number): void {
  const { width, height, rgb } = surface;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      const light = 1 + field(x, y, i);
      for (let c = 0; c < 3; c++) rgb[i * 3 + c] = colour[c] * light;
    }
  }
}

function gradient(surface: Surface, random: Random): void {
  const { width, height, rgb } = surface;
  const from = randomColour(random, 20, 250, 0.4);
  const to = randomColour(random, 20, 250, 0.4);
  const angle = random.uniform(0, 2 * Math.PI);
  const [dx, dy] = [Math.cos(angle) / width, Math.sin(angle) / height];
  for (let i = 0; i < width * height; i++) {
    const x = (i % width) - width / 2;
    const y = Math.floor(i / width) - height / 2;
    const t = Math.min(1, Math.max(0, 0.5 + x * dx + y * dy));
    for (let c = 0; c < 3; c++) rgb[i * 3 + c] = from[c] + (to[c] - from[c]) * t;
  }
}

function clouds(surface: Surface, random: Random): void {
  const { width, height } = surface;
  const field = noiseField(random, width, height, {
    cellX: random.uniform(12, 120),
    octaves: random.int(2, 5),
    gain: random.uniform(0.4, 0.8),
  });
  const depth = random.uniform(0.1, 0.9);
  tint(surface, randomColour(random, 40, 210, 0.4), (_x, _y, i) => field[i] * depth);
}

function wood(surface: Surface, random: Random): void {
  const { width, height } = surface;
  const upright = random.next() < 0.5;
  const long = random.uniform(80, 260);
  const short = random.uniform(4, 14);
  const grain = noiseField(random, width, height, {
    cellX: upright ? short : long,
    cellY: upright ? long : short,
    octaves: 3,
    gain: 0.6,
  });
  const rings = random.uniform(3, 12);
  const plank = random.uniform(60, 220);
  const value = random.uniform(70, 200);
  tint(surface, [value, value * random.uniform(0.65, 0.85), value * random.uniform(0.4, 0.65)], (x, y, i) => {
    const along = (upright ? x : y) / plank;
    const gap = along % 1 < 0.02 ? -0.5 : 0;
    return (
      0.12 * Math.sin(grain[i] * rings * 3) + 0.15 * grain[i] + gap + 0.06 * ((Math.floor(along) * 7) % 3)
    );
  });
}

function cardboard(surface: Surface, random: Random): void {
  const { width, height } = surface;
  const value = random.uniform(130, 205);
  const field = noiseField(random, width, height, { cellX: 90, octaves: 3, gain: 0.5 });
  const fibre = noiseField(random, width, height, { cellX: 6, cellY: 1.5 });
  const flute = random.uniform(5, 9);
  const depth = random.uniform(0, 0.05);
  tint(
    surface,
    [value, value * 0.82, value * 0.6],
    (x, _y, i) => 0.12 * field[i] + 0.06 * fibre[i] + depth * Math.sin((x * 6.28) / flute),
  );
  for (let seam = random.int(0, 2); seam > 0; seam--) {
    const at = random.uniform(0, height);
    fillRect(surface, [0, at, width, at + random.uniform(1, 3)], [60, 45, 30], 0.7);
  }
}

function fabric(surface: Surface, random: Random): void {
  const { width, height } = surface;
  const [px, py] = [random.uniform(2.5, 8), random.uniform(2.5, 8)];
  const depth = random.uniform(0.05, 0.25);
  const folds = noiseField(random, width, height, { cellX: 100, octaves: 2 });
  tint(surface, randomColour(random, 40, 210, 0.6), (x, y, i) => {
    const over =
      (Math.floor(x / px) + Math.floor(y / py)) % 2
        ? Math.sin((x / px) * Math.PI)
        : Math.sin((y / py) * Math.PI);
    return depth * Math.abs(over) + 0.3 * folds[i];
  });
}

function paper(surface: Surface, random: Random): void {
  const { width, height } = surface;
  const crumple = noiseField(random, width, height, { cellX: random.uniform(30, 90), octaves: 3, gain: 0.4 });
  const depth = random.uniform(0.02, 0.2);
  tint(surface, randomColour(random, 170, 250, 0.08), (_x, _y, i) => -depth * Math.abs(crumple[i]));
}

function metal(surface: Surface, random: Random): void {
  const { width, height } = surface;
  const brushed = noiseField(random, width, height, { cellX: 150, cellY: 1.2 });
  const shine = noiseField(random, width, height, { cellX: 160, octaves: 2 });
  tint(surface, randomColour(random, 80, 190, 0.06), (_x, _y, i) => 0.1 * brushed[i] + 0.35 * shine[i]);
}

function collage(surface: Surface, random: Random): void {
  const { width, height } = surface;
  random.pick([gradient, clouds, paper])(surface, random);
  for (let part = random.int(3, 14); part > 0; part--) {
    const [x, y] = [random.uniform(-40, width), random.uniform(-40, height)];
    const [w, h] = [random.uniform(20, width * 0.7), random.uniform(20, height * 0.7)];
    fillRect(surface, [x, y, x + w, y + h], randomColour(random, 20, 250, 0.5), random.uniform(0.5, 1));
  }
}

function brick(surface: Surface, random: Random): void {
  const { width, height } = surface;
  const [w, h] = [random.uniform(30, 80), random.uniform(14, 34)];
  const value = random.uniform(90, 170);
  const rough = noiseField(random, width, height, { cellX: 12, octaves: 3, gain: 0.7 });
  const shades = random.floats(997, -0.2, 0.2);
  const mortar = random.uniform(0.2, 0.7);
  tint(surface, [value, value * 0.6, value * 0.48], (x, y, i) => {
    const row = Math.floor(y / h);
    const along = x / w + (row % 2) * 0.5;
    const gap = along % 1 < 2.5 / w || (y / h) % 1 < 2.5 / h;
    return (gap ? mortar : shades[(row * 31 + Math.floor(along) * 7) % 997]) + 0.15 * rough[i];
  });
}

function marble(surface: Surface, random: Random): void {
  const { width, height } = surface;
  const field = noiseField(random, width, height, { cellX: random.uniform(50, 110), octaves: 4, gain: 0.6 });
  const turn = random.uniform(0.02, 0.06);
  const depth = random.uniform(0.15, 0.5);
  tint(
    surface,
    randomColour(random, 120, 240, 0.12),
    (x, y, i) => -depth * (1 - Math.abs(Math.sin(x * turn + y * turn * 0.6 + 6 * field[i]))) ** 3,
  );
}

function gravel(surface: Surface, random: Random): void {
  const { width, height } = surface;
  clouds(surface, random);
  const size = random.uniform(3, 11);
  for (let stone = Math.min(1400, (width * height) / (size * size)); stone > 0; stone--) {
    fillEllipse(
      surface,
      [
        random.uniform(0, width),
        random.uniform(0, height),
        size * random.uniform(0.4, 1),
        size * random.uniform(0.4, 1),
      ],
      randomColour(random, 60, 200, 0.12),
    );
  }
}

function tarpaulin(surface: Surface, random: Random): void {
  const { width, height } = surface;
  const folds = noiseField(random, width, height, {
    cellX: random.uniform(20, 60),
    cellY: random.uniform(90, 200),
    octaves: 2,
  });
  const depth = random.uniform(0.3, 0.7);
  tint(surface, randomColour(random, 50, 180, 0.7), (_x, _y, i) => depth * Math.sin(folds[i] * 5));
}

const painters: Record<BackgroundKind, Painter> = {
  gradient,
  clouds,
  wood,
  cardboard,
  fabric,
  paper,
  metal,
  collage,
  brick,
  marble,
  gravel,
  tarpaulin,
};

/** Covers the whole surface. */
export function paintBackground(surface: Surface, random: Random, kind: BackgroundKind): void {
  painters[kind](surface, random);
}
