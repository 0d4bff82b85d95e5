/** Detections as lines for people. */
import { visible } from "../base/text.ts";
import type { Detection } from "../node.ts";

/** `label score` and where it is: x, y, width, height; of turned boxes their middle, extents and angle in degrees. */
export function detectionLine(found: Detection): string {
  const numbers = placeOf(found).map((value) => ` ${value.toFixed(1)}`);
  return `${visible(found.label)} ${found.score.toFixed(3)}${numbers.join("")}`;
}

function placeOf(found: Detection): number[] {
  if (found.task === "classify") return [];
  const { x, y, width, height } = found.task === "obb" ? found.rotated : found.box;
  return [x, y, width, height, ...(found.task === "obb" ? [(found.rotated.angle * 180) / Math.PI] : [])];
}
