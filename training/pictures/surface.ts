/** Drawing on plain float pixels with exact or near-exact coverage at edges; the same on every machine. */

/** Red, green, blue, 0..255. */
export type Colour = readonly [number, number, number];

/** Pixels `[height, width, 3]`, 0..255, not clamped until the end; `alpha` `[height, width]`, 0..1, opaque when absent. */
export interface Surface {
  readonly width: number;
  readonly height: number;
  readonly rgb: Float32Array;
  readonly alpha?: Float32Array;
}

export function createSurface(width: number, height: number, colour: Colour): Surface {
  const rgb = new Float32Array(width * height * 3);
  for (let i = 0; i < rgb.length; i += 3) {
    rgb[i] = colour[0];
    rgb[i + 1] = colour[1];
    rgb[i + 2] = colour[2];
  }
  return { width, height, rgb };
}

/** Lays `colour` over pixel number `i` with a coverage of 0..1. */
export function blend(rgb: Float32Array, i: number, colour: Colour, coverage: number): void {
  const at = i * 3;
  rgb[at] += (colour[0] - rgb[at]) * coverage;
  rgb[at + 1] += (colour[1] - rgb[at + 1]) * coverage;
  rgb[at + 2] += (colour[2] - rgb[at + 2]) * coverage;
}

/** An axis-aligned rectangle; edges between pixels cover them in part. */
export function fillRect(
  surface: Surface,
  [left, top, right, bottom]: readonly [number, number, number, number],
  colour: Colour,
  opacity = 1,
): void {
  const { width, height, rgb } = surface;
  const x1 = Math.min(width, Math.ceil(right));
  const y1 = Math.min(height, Math.ceil(bottom));
  for (let y = Math.max(0, Math.floor(top)); y < y1; y++) {
    const cy = (Math.min(bottom, y + 1) - Math.max(top, y)) * opacity;
    if (cy <= 0) continue;
    for (let x = Math.max(0, Math.floor(left)); x < x1; x++) {
      const cx = Math.min(right, x + 1) - Math.max(left, x);
      if (cx > 0) blend(rgb, y * width + x, colour, cx * cy);
    }
  }
}

export function strokeRect(
  surface: Surface,
  [left, top, right, bottom]: readonly [number, number, number, number],
  thickness: number,
  colour: Colour,
): void {
  fillRect(surface, [left, top, right, top + thickness], colour);
  fillRect(surface, [left, bottom - thickness, right, bottom], colour);
  fillRect(surface, [left, top + thickness, left + thickness, bottom - thickness], colour);
  fillRect(surface, [right - thickness, top + thickness, right, bottom - thickness], colour);
}

/** An ellipse with axes along the picture's, its edge one pixel soft (or `softness` of its radius). */
export function fillEllipse(
  surface: Surface,
  [cx, cy, rx, ry]: readonly [number, number, number, number],
  colour: Colour,
  opacity = 1,
  softness = 0,
): void {
  const { width, height, rgb } = surface;
  const soft = Math.max(softness, 1 / Math.max(1, Math.min(rx, ry)));
  const reach = 1 + soft / 2;
  const x1 = Math.min(width - 1, Math.ceil(cx + rx * reach));
  const y1 = Math.min(height - 1, Math.ceil(cy + ry * reach));
  for (let y = Math.max(0, Math.floor(cy - ry * reach)); y <= y1; y++) {
    const dy = (y + 0.5 - cy) / ry;
    for (let x = Math.max(0, Math.floor(cx - rx * reach)); x <= x1; x++) {
      const dx = (x + 0.5 - cx) / rx;
      const inside = (reach - Math.sqrt(dx * dx + dy * dy)) / soft;
      if (inside > 0) blend(rgb, y * width + x, colour, Math.min(1, inside) * opacity);
    }
  }
}

/** A line with round ends; `shade` may darken it towards its sides, as a finger or a cable is. */
export function strokeLine(
  surface: Surface,
  [ax, ay, bx, by]: readonly [number, number, number, number],
  thickness: number,
  colour: Colour,
  { opacity = 1, shade = 0 }: { opacity?: number; shade?: number } = {},
): void {
  const { width, height, rgb } = surface;
  const radius = thickness / 2;
  const [ux, uy] = [bx - ax, by - ay];
  const length2 = Math.max(1e-6, ux * ux + uy * uy);
  const x1 = Math.min(width - 1, Math.ceil(Math.max(ax, bx) + radius));
  const y1 = Math.min(height - 1, Math.ceil(Math.max(ay, by) + radius));
  for (let y = Math.max(0, Math.floor(Math.min(ay, by) - radius)); y <= y1; y++) {
    for (let x = Math.max(0, Math.floor(Math.min(ax, bx) - radius)); x <= x1; x++) {
      const px = x + 0.5 - ax;
      const py = y + 0.5 - ay;
      const t = Math.min(1, Math.max(0, (px * ux + py * uy) / length2));
      const distance = Math.sqrt((px - t * ux) ** 2 + (py - t * uy) ** 2);
      const coverage = Math.min(1, radius + 0.5 - distance, thickness) * opacity;
      if (coverage <= 0) continue;
      const light = 1 - shade * (distance / radius) ** 2;
      blend(rgb, y * width + x, [colour[0] * light, colour[1] * light, colour[2] * light], coverage);
    }
  }
}
