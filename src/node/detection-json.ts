/** A detection as JSON, the same from the command line and from the server. */
import type { Detection } from "../index.ts";
import { cornersOf, maskText } from "../steps.ts";

const round = (value: number, digits: number): number => Number(value.toFixed(digits));
const rounded = (record: object, digits: number): Record<string, number> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, round(Number(value), digits)]));

/** Numbers are rounded; a mask is COCO's text, a turned box has its corners too. */
export function detectionJson(found: Detection): object {
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
