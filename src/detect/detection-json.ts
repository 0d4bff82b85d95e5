/** A detection as JSON, the same from the command line, the server and the page. */
import { expectKind } from "../base/arguments.ts";
import type { Detection } from "./detection.ts";
import { cornersOf } from "./rotated.ts";
import { maskText } from "./save.ts";

const round = (value: number, digits: number): number => Number(value.toFixed(digits));
const rounded = (record: object, digits: number): Record<string, number> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, round(Number(value), digits)]));

/** Numbers are rounded; a mask is COCO's text, a turned box has its corners too. */
export function detectionJson(found: Detection): object {
  expectKind("detectionJson: detection", found, "a detection ({ task, … })");
  const { task, label, classId, score } = found;
  const json = { task, label, classId, score: round(score, 5) };
  if (found.task === "classify") return json;
  const withBox = { ...json, box: rounded(found.box, 2) };
  switch (found.task) {
    case "segment":
      return { ...withBox, mask: maskText(found.mask) };
    case "pose":
      return {
        ...withBox,
        points: found.points.map(({ score: seen, ...place }) => ({
          ...rounded(place, 2),
          ...(seen !== undefined && { score: round(seen, 5) }),
        })),
      };
    case "obb": {
      const { angle, ...place } = found.rotated;
      return {
        ...withBox,
        rotated: { ...rounded(place, 2), angle: round(angle, 5) },
        corners: cornersOf(found.rotated).map((value) => round(value, 2)),
      };
    }
    default:
      return withBox;
  }
}
