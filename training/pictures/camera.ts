/** What light and camera do to a picture; nothing here moves anything, so that boxes stay exact. */
import { Random } from "../../src/base/random.ts";
import { noiseField } from "./noise.ts";
import { fillEllipse, type Surface } from "./surface.ts";

/** Uneven light, a shadow's edge, glare. */
export function lighting(picture: Surface, random: Random): void {
  const { width, height, rgb } = picture;
  if (random.next() < 0.6) {
    const field = noiseField(random, width, height, { cellX: random.uniform(0.5, 1.2) * width });
    multiply(rgb, field, random.uniform(0.1, 0.6));
  }
  if (random.next() < 0.25) shadow(picture, random);
  if (random.next() < 0.15) {
    const at = [random.uniform(0, width), random.uniform(0, height)] as const;
    const size = [random.uniform(0.05, 0.35) * width, random.uniform(0.05, 0.35) * height] as const;
    fillEllipse(
      picture,
      [...at, ...size],
      [255, 255, 250],
      random.uniform(0.2, 0.75),
      random.uniform(0.7, 1.6),
    );
  }
}

function multiply(rgb: Float32Array, field: Float32Array, depth: number): void {
  for (let i = 0; i < field.length; i++) {
    const light = 1 + depth * field[i];
    rgb[i * 3] *= light;
    rgb[i * 3 + 1] *= light;
    rgb[i * 3 + 2] *= light;
  }
}

/** Half of the picture, or a band, darker, with an edge a few pixels soft. */
function shadow({ width, height, rgb }: Surface, random: Random): void {
  const angle = random.uniform(0, 2 * Math.PI);
  const [nx, ny] = [Math.cos(angle), Math.sin(angle)];
  const offset = random.uniform(0.2, 0.8) * width;
  const band = random.next() < 0.5 ? random.uniform(0.05, 0.3) * width : 1e9;
  const soft = random.uniform(2, 30);
  const depth = random.uniform(0.2, 0.55);
  for (let i = 0; i < width * height; i++) {
    const across = (i % width) * nx + Math.floor(i / width) * ny - offset * (nx + ny > 0 ? 1 : -1) * 0.7;
    const cover = Math.min(1, Math.max(0, across / soft)) - Math.min(1, Math.max(0, (across - band) / soft));
    const light = 1 - depth * cover;
    for (let c = 0; c < 3; c++) rgb[i * 3 + c] *= light;
  }
}

/**
 * Lens, sensor and development: blur of up to `blur` pixels (standard deviation), motion, contrast, noise. Returns
 * 8-bit pixels `[height, width, 3]`.
 */
export function exposure(picture: Surface, random: Random, blur: number): Uint8ClampedArray {
  const { width, height, rgb } = picture;
  const kind = random.next();
  if (kind < 0.5) gaussianBlur(rgb, width, height, random.uniform(0.2, 1) ** 2 * blur);
  else if (kind < 0.62) motionBlur(picture, random, blur * 3);
  const gain = random.next() < 0.7 ? random.uniform(0.75, 1.15) : random.uniform(0.35, 1.3);
  const lift = random.uniform(0, 30) * (gain < 1 ? 1 : 0);
  const [red, green, blue] = [0, 1, 2].map(() => gain * random.uniform(0.92, 1.06));
  const grain = random.next() < 0.5 ? random.uniform(0, 4) : random.uniform(2, 14);
  const strength = grain * 0.8;
  const out = new Uint8ClampedArray(rgb.length);
  const grey = random.next() < 0.04;
  let from = random.int(0, normals.length - 1);
  for (let i = 0; i < rgb.length; i += 3) {
    const shared = normals[from++ & 0xffff] * 0.7;
    out[i] = rgb[i] * red + lift + (shared + normals[from++ & 0xffff]) * strength;
    out[i + 1] = rgb[i + 1] * green + lift + (shared + normals[from++ & 0xffff]) * strength;
    out[i + 2] = rgb[i + 2] * blue + lift + (shared + normals[from++ & 0xffff]) * strength;
    if (grey) out.fill((out[i] * 77 + out[i + 1] * 151 + out[i + 2] * 28) >> 8, i, i + 3);
    if (i % 960 === 0) from += random.int(0, 4095);
  }
  return out;
}

/** Drawn once: 300 000 logarithms a picture would take longer than all the rest. */
const normals = normalTable();
function normalTable(): Float32Array {
  const random = new Random(1);
  return Float32Array.from({ length: 65536 }, () => random.normal());
}

/** Separable, edges repeated. */
export function gaussianBlur(rgb: Float32Array, width: number, height: number, sigma: number): void {
  if (sigma < 0.25) return;
  const radius = Math.ceil(sigma * 2.5);
  const kernel = Float32Array.from({ length: 2 * radius + 1 }, (_, k) =>
    Math.exp(-((k - radius) ** 2) / (2 * sigma * sigma)),
  );
  const total = kernel.reduce((sum, value) => sum + value, 0);
  kernel.forEach((value, k) => {
    kernel[k] = value / total;
  });
  const between = new Float32Array(rgb.length);
  blurPass(rgb, between, kernel, radius, { lines: height, lineStep: width * 3, length: width, step: 3 });
  blurPass(between, rgb, kernel, radius, { lines: width, lineStep: 3, length: height, step: width * 3 });
}

function blurPass(
  from: Float32Array,
  to: Float32Array,
  kernel: Float32Array,
  radius: number,
  { lines, lineStep, length, step }: { lines: number; lineStep: number; length: number; step: number },
): void {
  for (let line = 0; line < lines; line++) {
    const start = line * lineStep;
    for (let x = 0; x < length; x++) {
      let r = 0;
      let g = 0;
      let b = 0;
      for (let k = -radius; k <= radius; k++) {
        const inside = x + k < 0 ? 0 : x + k < length ? x + k : length - 1;
        const at = start + inside * step;
        const weight = kernel[k + radius];
        r += from[at] * weight;
        g += from[at + 1] * weight;
        b += from[at + 2] * weight;
      }
      const at = start + x * step;
      to[at] = r;
      to[at + 1] = g;
      to[at + 2] = b;
    }
  }
}

/** Mean along a short line that is centred on every pixel. */
function motionBlur({ width, height, rgb }: Surface, random: Random, longest: number): void {
  const length = random.uniform(0.3, 1) * longest;
  const angle = random.uniform(0, Math.PI);
  const half = Math.round(length / 2);
  if (half < 1) return;
  const taps = Int32Array.from({ length: 4 * half + 2 }, (_, k) =>
    Math.round(((k >> 1) - half) * (k % 2 ? Math.sin(angle) : Math.cos(angle))),
  );
  const source = rgb.slice();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let r = 0;
      let g = 0;
      let b = 0;
      for (let k = 0; k < taps.length; k += 2) {
        const px = Math.min(width - 1, Math.max(0, x + taps[k]));
        const py = Math.min(height - 1, Math.max(0, y + taps[k + 1]));
        const at = (py * width + px) * 3;
        r += source[at];
        g += source[at + 1];
        b += source[at + 2];
      }
      const at = (y * width + x) * 3;
      const count = 2 * half + 1;
      rgb[at] = r / count;
      rgb[at + 1] = g / count;
      rgb[at + 2] = b / count;
    }
  }
}
