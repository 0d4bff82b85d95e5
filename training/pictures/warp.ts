/** Where flat things land in a picture: curvature, turn, tilt, perspective; and drawing them there. */
import type { Random } from "../../src/base/random.ts";
import type { Surface } from "./surface.ts";

export type Point = readonly [number, number];

/** Centre of the sheet in the picture, and what bends it. Lengths in picture pixels. */
export interface Pose {
  centre: Point;
  /** Sheet's size in texels, and texels per picture pixel before perspective. */
  sheet: { width: number; height: number; scale: number };
  angle: number;
  /** Foreshortening by `squeeze` (<= 1) along the direction `tilt`. */
  tilt: number;
  squeeze: number;
  /** Change of 1/depth per pixel right and down. */
  perspective: Point;
  /** The sheet lies around a cylinder of this radius whose axis runs along its y (or x if `acrossRows`); absent: flat. */
  cylinder?: { radius: number; acrossRows: boolean; bow: number };
}

/** Turns texels of the sheet into points of the picture, and back; the way back is NaN behind the cylinder's rim. */
export interface Mapping {
  forward(u: number, v: number): [number, number];
  /** Writes the texel of picture point `x, y` into `out`. */
  back(x: number, y: number, out: Float64Array): void;
}

export function mapping(pose: Pose): Mapping {
  const { centre, sheet, angle, tilt, squeeze, perspective, cylinder } = pose;
  const gx = perspective[0];
  const gy = perspective[1];
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const [ct, st] = [Math.cos(tilt), Math.sin(tilt)];
  // Turn times foreshortening, and its inverse.
  const [k00, k01, k11] = [ct * ct + squeeze * st * st, (1 - squeeze) * ct * st, st * st + squeeze * ct * ct];
  const [a, b, d, e] = [c * k00 - s * k01, c * k01 - s * k11, s * k00 + c * k01, s * k01 + c * k11];
  const det = a * e - b * d;
  const [ia, ib, id, ie] = [e / det, -b / det, -d / det, a / det];
  const across = cylinder?.acrossRows ?? false;
  const radius = cylinder?.radius ?? 0;
  const bow = cylinder ? cylinder.bow * radius : 0;
  return {
    forward(u, v) {
      let x = (u - sheet.width / 2) / sheet.scale;
      let y = (v - sheet.height / 2) / sheet.scale;
      if (cylinder) {
        const theta = (across ? y : x) / radius;
        const lift = bow * (1 - Math.cos(theta));
        if (across) [x, y] = [x + lift, radius * Math.sin(theta)];
        else [x, y] = [radius * Math.sin(theta), y + lift];
      }
      const [X, Y] = [a * x + b * y, d * x + e * y];
      const w = 1 + gx * X + gy * Y;
      return [centre[0] + X / w, centre[1] + Y / w];
    },
    // Called for every pixel: plain numbers only.
    back(px, py, out) {
      const dx = px - centre[0];
      const dy = py - centre[1];
      const w = 1 / (1 - gx * dx - gy * dy);
      let x = (ia * dx + ib * dy) * w;
      let y = (id * dx + ie * dy) * w;
      if (cylinder) {
        const arc = Math.asin((across ? y : x) / radius);
        const lift = bow * (1 - Math.cos(arc));
        if (across) {
          x -= lift;
          y = radius * arc;
        } else {
          x = radius * arc;
          y -= lift;
        }
      }
      out[0] = x * sheet.scale + sheet.width / 2;
      out[1] = y * sheet.scale + sheet.height / 2;
    },
  };
}

/** A rectangle of texels as a closed outline in the picture, `steps` points a side. */
export function outline(
  map: Mapping,
  [left, top, right, bottom]: readonly [number, number, number, number],
  steps = 24,
): Point[] {
  const corners: Point[] = [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
  return corners.flatMap(([u, v], i) => {
    const [nextU, nextV] = corners[(i + 1) % 4];
    return Array.from({ length: steps }, (_, k) =>
      map.forward(u + ((nextU - u) * k) / steps, v + ((nextV - v) * k) / steps),
    );
  });
}

/**
 * A random pose with its centre at the origin: mostly along the picture's axes, else at any angle. `strength` of 0..1
 * scales tilt, perspective and how often the sheet is bent around a cylinder.
 */
export function randomPose(random: Random, sheet: Pose["sheet"], strength: number): Pose {
  const width = sheet.width / sheet.scale;
  const height = sheet.height / sheet.scale;
  const half = Math.hypot(width, height) / 2;
  const turned = random.next();
  const angle =
    turned < 0.6
      ? (random.int(0, 3) * Math.PI) / 2 + random.normal() * 0.07
      : turned < 0.8
        ? (random.int(0, 3) * Math.PI) / 2 + random.normal() * 0.3
        : random.uniform(0, 2 * Math.PI);
  const deep = random.next() < 0.6 ? strength : 0;
  const pull = random.uniform(0, 0.32 * deep) / half;
  const towards = random.uniform(0, 2 * Math.PI);
  const pose: Pose = {
    centre: [0, 0],
    sheet,
    angle,
    tilt: random.uniform(0, Math.PI),
    squeeze: 1 - random.uniform(0, 0.4) * deep,
    perspective: [pull * Math.cos(towards), pull * Math.sin(towards)],
  };
  if (random.next() < 0.18 * strength) {
    const acrossRows = random.next() < 0.4;
    const reach = random.uniform(0.4, 1.15);
    pose.cylinder = {
      radius: (acrossRows ? height : width) / 2 / reach,
      acrossRows,
      bow: random.uniform(-0.35, 0.35),
    };
  }
  return pose;
}

/** Draws the sheet into the picture: `side` x `side` points a pixel, each interpolated between texels. */
export function drawSheet(
  picture: Surface,
  sheet: Surface,
  map: Mapping,
  { opacity = 1, side = 2 } = {},
): void {
  const { from, to } = rowSpans(outline(map, [0, 0, sheet.width, sheet.height]), picture);
  const { width, rgb } = picture;
  const texel = new Float64Array(2);
  const sum = new Float64Array(4);
  const share = opacity / (side * side);
  for (let y = 0; y < picture.height; y++) {
    for (let x = from[y]; x < to[y]; x++) {
      sum[0] = 0;
      sum[1] = 0;
      sum[2] = 0;
      sum[3] = 0;
      for (let j = 0.5; j < side; j++) {
        for (let i = 0.5; i < side; i++) {
          map.back(x + i / side, y + j / side, texel);
          addTexel(sheet, texel[0], texel[1], sum);
        }
      }
      if (sum[3] === 0) continue;
      const at = (y * width + x) * 3;
      const kept = 1 - sum[3] * share;
      rgb[at] = rgb[at] * kept + sum[0] * share;
      rgb[at + 1] = rgb[at + 1] * kept + sum[1] * share;
      rgb[at + 2] = rgb[at + 2] * kept + sum[2] * share;
    }
  }
}

/** First and last pixel (not included) of every row of the picture that the outline reaches. */
function rowSpans(
  points: readonly Point[],
  { width, height }: Surface,
): { from: Int32Array; to: Int32Array } {
  const from = new Int32Array(height).fill(width);
  const to = new Int32Array(height);
  points.forEach(([ax, ay], i) => {
    const [bx, by] = points[(i + 1) % points.length];
    const last = Math.min(height - 1, Math.floor(Math.max(ay, by)));
    for (let y = Math.max(0, Math.floor(Math.min(ay, by))); y <= last; y++) {
      const slope = by === ay ? 0 : (bx - ax) / (by - ay);
      const [low, high] = [Math.min(ay, by), Math.max(ay, by)];
      const x0 = by === ay ? ax : ax + (Math.min(high, Math.max(low, y)) - ay) * slope;
      const x1 = by === ay ? bx : ax + (Math.min(high, Math.max(low, y + 1)) - ay) * slope;
      // The outline's points lie a few pixels apart on curved sheets: a pixel more on both sides.
      from[y] = Math.max(0, Math.min(from[y], Math.floor(Math.min(x0, x1)) - 1));
      to[y] = Math.min(width, Math.max(to[y], Math.ceil(Math.max(x0, x1)) + 1));
    }
  });
  return { from, to };
}

function addTexel(sheet: Surface, u: number, v: number, sum: Float64Array): void {
  const { width, height, rgb, alpha } = sheet;
  if (!(u >= 0 && v >= 0 && u < width && v < height)) return;
  const x = u < 0.5 ? 0 : u - 0.5;
  const y = v < 0.5 ? 0 : v - 0.5;
  const left = x | 0;
  const top = y | 0;
  const fx = x - left;
  const fy = y - top;
  const i00 = top * width + left;
  const i01 = left + 1 < width ? i00 + 1 : i00;
  const down = top + 1 < height ? width : 0;
  const w11 = fx * fy;
  const w01 = fx - w11;
  const w10 = fy - w11;
  const w00 = 1 - fx - w10;
  let weight = 1;
  if (alpha) {
    weight = alpha[i00] * w00 + alpha[i01] * w01 + alpha[i00 + down] * w10 + alpha[i01 + down] * w11;
    if (weight === 0) return;
  }
  const [a, b, c, d] = [i00 * 3, i01 * 3, (i00 + down) * 3, (i01 + down) * 3];
  sum[0] += (rgb[a] * w00 + rgb[b] * w01 + rgb[c] * w10 + rgb[d] * w11) * weight;
  sum[1] += (rgb[a + 1] * w00 + rgb[b + 1] * w01 + rgb[c + 1] * w10 + rgb[d + 1] * w11) * weight;
  sum[2] += (rgb[a + 2] * w00 + rgb[b + 2] * w01 + rgb[c + 2] * w10 + rgb[d + 2] * w11) * weight;
  sum[3] += weight;
}

/** The outline's part inside the picture (Sutherland-Hodgman). */
export function clipToPicture(points: readonly Point[], width: number, height: number): Point[] {
  const planes: ((p: Point) => number)[] = [
    (p) => p[0],
    (p) => width - p[0],
    (p) => p[1],
    (p) => height - p[1],
  ];
  return planes.reduce<Point[]>(
    (polygon, inside, plane) =>
      polygon.flatMap((p, i) => {
        const q = polygon[(i + 1) % polygon.length];
        const [dp, dq] = [inside(p), inside(q)];
        const kept: Point[] = dp >= 0 ? [p] : [];
        if (dp >= 0 !== dq >= 0) {
          const t = dp / (dp - dq);
          // Rounding must not leave the picture again.
          const x = Math.min(width, Math.max(0, p[0] + (q[0] - p[0]) * t));
          const y = Math.min(height, Math.max(0, p[1] + (q[1] - p[1]) * t));
          kept.push(plane < 2 ? [x, p[1] + (q[1] - p[1]) * t] : [x, y]);
        }
        return kept;
      }),
    [...points],
  );
}

/** Area of a closed outline, in square pixels. */
export function areaOf(points: readonly Point[]): number {
  let twice = 0;
  points.forEach(([x, y], i) => {
    const [nextX, nextY] = points[(i + 1) % points.length];
    twice += x * nextY - nextX * y;
  });
  return Math.abs(twice) / 2;
}
