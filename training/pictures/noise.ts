/** Smooth random fields, for textures and uneven light. */
import type { Random } from "../../src/base/random.ts";

/**
 * Value noise `[height, width]`, about -1..1: octaves of random lattices between which is interpolated smoothly.
 * `cellX`, `cellY` are the first lattice's cells in pixels; every octave halves them and has `gain` of the strength.
 */
export function noiseField(
  random: Random,
  width: number,
  height: number,
  {
    cellX,
    cellY = cellX,
    octaves = 1,
    gain = 0.5,
  }: { cellX: number; cellY?: number; octaves?: number; gain?: number },
): Float32Array {
  const out = new Float32Array(width * height);
  let [x, y, strength] = [cellX, cellY, 1];
  let total = 0;
  for (let octave = 0; octave < octaves; octave++) {
    addLattice(random, out, width, height, Math.max(1, x), Math.max(1, y), strength);
    total += strength;
    [x, y, strength] = [x / 2, y / 2, strength * gain];
  }
  for (let i = 0; i < out.length; i++) out[i] /= total;
  return out;
}

function addLattice(
  random: Random,
  out: Float32Array,
  width: number,
  height: number,
  cellX: number,
  cellY: number,
  strength: number,
): void {
  const columns = Math.ceil(width / cellX) + 2;
  const rows = Math.ceil(height / cellY) + 2;
  const lattice = random.floats(columns * rows, -strength, strength);
  const line = new Float32Array(columns);
  const cells = Int32Array.from({ length: width }, (_, x) => x / cellX);
  const weights = Float32Array.from({ length: width }, (_, x) => smooth(x / cellX - cells[x]));
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / cellY);
    const fy = smooth(y / cellY - row);
    for (let c = 0; c < columns; c++) {
      const top = lattice[row * columns + c];
      line[c] = top + (lattice[(row + 1) * columns + c] - top) * fy;
    }
    for (let x = 0; x < width; x++) {
      const c = cells[x];
      out[y * width + x] += line[c] + (line[c + 1] - line[c]) * weights[x];
    }
  }
}

const smooth = (t: number) => t * t * (3 - 2 * t);
