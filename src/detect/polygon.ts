/** Areas of polygons, and what two share, exactly (to rounding). A polygon is `x y x y …`, in either direction, and does not cross itself. */

type Polygon = readonly number[];

/** Area in square pixels. */
export function polygonArea(polygon: Polygon): number {
  let twice = 0;
  for (let i = 2; i + 3 < polygon.length; i += 2) twice += cross(polygon, i);
  return Math.abs(twice) / 2;
}

/** Of the triangle of the first corner, the one at `i` and the one behind: twice its area, negative where it turns the other way. */
function cross(p: Polygon, i: number): number {
  return (p[i] - p[0]) * (p[i + 3] - p[1]) - (p[i + 2] - p[0]) * (p[i + 1] - p[1]);
}

/** Intersection over union; 0 where they share nothing. */
export function polygonIou(a: Polygon, b: Polygon): number {
  if (apart(a, b, 0) || apart(a, b, 1)) return 0;
  const shared = sharedArea(a, b);
  return shared > 0 ? shared / (polygonArea(a) + polygonArea(b) - shared) : 0;
}

function apart(a: Polygon, b: Polygon, axis: 0 | 1): boolean {
  const along = (polygon: Polygon) => polygon.filter((_, i) => i % 2 === axis);
  const [x, y] = [along(a), along(b)];
  return Math.max(...x) <= Math.min(...y) || Math.max(...y) <= Math.min(...x);
}

/** Both as fans of triangles, whose areas count negative where they turn the other way: so dents are left out. */
function sharedArea(a: Polygon, b: Polygon): number {
  const [left, top] = a;
  // Near the origin, so that far from it nothing is lost to rounding.
  const [ours, theirs] = [a, b].map((each) => fan(each.map((v, i) => v - (i % 2 ? top : left))));
  let sum = 0;
  for (const one of ours) {
    for (const other of theirs) sum += one.sign * other.sign * polygonArea(clip(one.corners, other.corners));
  }
  return Math.abs(sum);
}

/** A triangle with its corners in the direction from x to y, and −1 where they were in the other. */
interface Triangle {
  readonly corners: Polygon;
  readonly sign: number;
}

function fan(polygon: Polygon): Triangle[] {
  const triangles: Triangle[] = [];
  for (let i = 2; i + 3 < polygon.length; i += 2) {
    const sign = Math.sign(cross(polygon, i));
    const [first, second, third] = [0, i, i + 2].map((at) => polygon.slice(at, at + 2));
    if (sign)
      triangles.push({ sign, corners: [first, ...(sign > 0 ? [second, third] : [third, second])].flat() });
  }
  return triangles;
}

/** The part of a convex polygon that lies in a triangle: cut off along each of its sides. */
function clip(polygon: Polygon, triangle: Polygon): Polygon {
  let left = polygon;
  for (let side = 0; side < 6; side += 2) {
    const [x, y] = [triangle[side], triangle[side + 1]];
    const [dx, dy] = [triangle[(side + 2) % 6] - x, triangle[(side + 3) % 6] - y];
    const depth = (px: number, py: number) => dx * (py - y) - dy * (px - x);
    const next: number[] = [];
    for (let i = 0; i < left.length; i += 2) {
      const to = (i + 2) % left.length;
      const [from, end] = [depth(left[i], left[i + 1]), depth(left[to], left[to + 1])];
      if (from >= 0) next.push(left[i], left[i + 1]);
      if (from >= 0 === end >= 0) continue;
      const t = from / (from - end);
      next.push(left[i] + t * (left[to] - left[i]), left[i + 1] + t * (left[to + 1] - left[i + 1]));
    }
    left = next;
  }
  return left;
}
