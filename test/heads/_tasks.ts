/** What ultralytics' predict finds (scripts/task-exports.py), beside what is found here. */

import { maskFromString, maskIou } from "../../src/detect/mask.ts";
import { polygonIou } from "../../src/detect/polygon.ts";
import type { Detection, Picture } from "../../src/index.ts";
import { cornersOf } from "../../src/steps.ts";
import { overlap } from "./_boxes.ts";

interface Row {
  class: number;
  score: number;
  /** `x0 y0 x1 y1`. */
  box?: number[];
  mask?: string;
  points?: number[];
  corners?: number[];
}
export interface Golden {
  task: string;
  way: string;
  size: number;
  options: { conf: number; iou: number; max_det: number };
  pictures: { width: number; height: number; found: Row[] }[];
}

/** `picture()` of the script. */
export function pictureOf(width: number, height: number): Picture {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return Math.floor((x * x * 3) / 16) + y * 7 + Math.floor((x * y) / 8) + c * 50;
  });
  return { width, height, data, channels: 3 };
}

/** The worst of what two lists of detections have in common, and what only one of them has. */
export interface Agreement {
  found: number;
  missing: Row[];
  extra: Detection[];
  box: number;
  score: number;
  mask: number;
  points: number;
}

const slack = 1e-3;

export function compare(
  { task, options }: Golden,
  { width, height, found: rows }: Golden["pictures"][number],
  found: readonly Detection[],
): Agreement {
  // Random distances may turn a box inside out, or put it outside of the picture; here these are none.
  const expected = rows.filter(({ box: b }) => task === "obb" || !b || (b[2] > b[0] && b[3] > b[1]));
  const left = [...found];
  const worst: Agreement = {
    found: expected.length,
    missing: [],
    extra: [],
    box: 1,
    score: 0,
    mask: 1,
    points: 0,
  };
  for (const row of expected) {
    const alike = left.filter(
      (each) => each.classId === row.class && Math.abs(each.score - row.score) <= slack,
    );
    const best = alike.sort((a, b) => sameness(row, b) - sameness(row, a)).at(0);
    if (!best || sameness(row, best) < 0.99) {
      const isOutside =
        row.corners && polygonIou(row.corners, [0, 0, width, 0, width, height, 0, height]) === 0;
      if (row.score > options.conf + slack && !isOutside) worst.missing.push(row);
      continue;
    }
    left.splice(left.indexOf(best), 1);
    worst.box = Math.min(worst.box, sameness(row, best));
    worst.score = Math.max(worst.score, Math.abs(best.score - row.score));
    if (best.task === "segment" && row.mask !== undefined) {
      const mask = maskFromString(row.mask, { width, height });
      worst.mask = Math.min(worst.mask, maskIou(best.mask, mask));
    }
    if (best.task === "pose" && row.points) {
      const points = best.points.flatMap(({ x, y, score = 1 }) => [x, y, score]);
      // 0.1 pixels, and scores as those of boxes.
      const far = points.map((value, i) => Math.abs(value - row.points![i]) * (i % 3 === 2 ? 100 : 1));
      worst.points = Math.max(worst.points, ...far, points.length === row.points.length ? 0 : 999);
    }
  }
  worst.extra = left.filter(({ score }) => score > options.conf + slack || task === "classify");
  return worst;
}

function sameness(row: Row, found: Detection): number {
  if (found.task === "classify") return 1;
  if (found.task === "obb") return polygonIou(cornersOf(found.rotated), row.corners ?? []);
  const { x, y, width, height } = found.box;
  return overlap([x, y, x + width, y + height], row.box ?? [0, 0, 0, 0]);
}
