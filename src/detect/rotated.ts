/** Boxes that are turned about their middle. */
import { expectKind } from "../base/arguments.ts";

/** Middle and extent in pixels. */
export interface RotatedBox {
  x: number;
  y: number;
  width: number;
  height: number;
  /** Radians from the x axis towards the y axis, which points down. */
  angle: number;
}

/** `x y` of its corners, clockwise as seen, from the one that is left top before the box is turned. */
export function cornersOf(rotated: RotatedBox): number[] {
  expectKind("cornersOf: rotated", rotated, "a turned box ({ x, y, width, height, angle })");
  const { x, y, width, height, angle } = rotated;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const corner = (across: number, down: number): number[] => [
    x + (across * width * cos - down * height * sin) / 2,
    y + (across * width * sin + down * height * cos) / 2,
  ];
  return [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)].flat();
}

/** The turned box of the least area about points `x y x y …`, one of whose sides runs along a side of the polygon that they make. */
export function rotatedAbout(points: readonly number[]): RotatedBox {
  let [best, least]: [RotatedBox | undefined, number] = [undefined, Number.POSITIVE_INFINITY];
  for (let i = 0; i < points.length; i += 2) {
    const next = (i + 2) % points.length;
    const angle = Math.atan2(points[next + 1] - points[i + 1], points[next] - points[i]);
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let k = 0; k < points.length; k += 2) {
      const [across, down] = [points[k] * cos + points[k + 1] * sin, points[k + 1] * cos - points[k] * sin];
      [left, right] = [Math.min(left, across), Math.max(right, across)];
      [top, bottom] = [Math.min(top, down), Math.max(bottom, down)];
    }
    const [width, height] = [right - left, bottom - top];
    if (!(width * height < least)) continue;
    const [across, down] = [(left + right) / 2, (top + bottom) / 2];
    least = width * height;
    best = { x: across * cos - down * sin, y: across * sin + down * cos, width, height, angle };
  }
  return best ?? { x: points[0], y: points[1], width: 0, height: 0, angle: 0 };
}

/** The box where x and y are `sx` and `sy` times as large; its sides stay sides where they differ, which may not be at right angles. */
export function scaledRotated(
  { x, y, width, height, angle }: RotatedBox,
  sx: number,
  sy: number,
): RotatedBox {
  if (sx === sy) return { x: x * sx, y: y * sx, width: width * sx, height: height * sx, angle };
  const side = (length: number, direction: number): [number, number] => [
    length * Math.cos(direction) * sx,
    length * Math.sin(direction) * sy,
  ];
  const [across, down] = [side(width, angle), side(height, angle + Math.PI / 2)];
  const turn = width > 0 ? Math.atan2(across[1], across[0]) : angle;
  return {
    ...{ x: x * sx, y: y * sy, width: Math.hypot(...across), height: Math.hypot(...down) },
    // Whole turns as they were.
    angle: turn + 2 * Math.PI * Math.round((angle - turn) / (2 * Math.PI)),
  };
}

/** A box as a normal distribution: its covariance `[[a, c], [c, b]]`. */
export interface Spread {
  readonly x: number;
  readonly y: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

export function spreadOf({ x, y, width, height, angle }: RotatedBox): Spread {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [across, down] = [width ** 2 / 12, height ** 2 / 12];
  const c = (across - down) * cos * sin;
  return { x, y, a: across * cos ** 2 + down * sin ** 2, b: across * sin ** 2 + down * cos ** 2, c };
}

/** Keeps quotients of nothing finite. */
const epsilon = 1e-7;

/**
 * How much two turned boxes are alike, 0..1: one minus the Hellinger distance of their normal distributions (ProbIoU, arXiv
 * 2106.06072), by which ultralytics drops overlapping ones.
 */
export function probiou(p: Spread, q: Spread): number {
  const [a, b, c] = [p.a + q.a, p.b + q.b, p.c + q.c];
  const [dx, dy] = [q.x - p.x, p.y - q.y];
  const determinant = a * b - c ** 2;
  const apart =
    (a * dy ** 2 + b * dx ** 2) / (determinant + epsilon) / 4 + (c * dx * dy) / (determinant + epsilon) / 2;
  const own = ({ a, b, c }: Spread): number => Math.max(a * b - c ** 2, 0);
  const form = Math.log(determinant / (4 * Math.sqrt(own(p) * own(q)) + epsilon) + epsilon) / 2;
  const distance = Math.min(Math.max(apart + form, epsilon), 100);
  return 1 - Math.sqrt(1 - Math.exp(-distance) + epsilon);
}
