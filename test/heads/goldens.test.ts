/** Boxes of real models against decoding that is not ours (scripts/head-goldens.py). */
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect } from "vitest";
import { load, readPicture } from "../../src/node.ts";
import { dataPath, describeData, testData } from "../data.ts";

/** By model and picture: `[class, score, x0, y0, x1, y1, points x y …]` in pixels of the picture, scores above 0.3. */
const goldens = JSON.parse(readFileSync(path.resolve(import.meta.dirname, "goldens.json"), "utf8")) as Record<
  string,
  Record<string, number[][]>
>;

/** Scores closer than this to the least may be on its other side. */
const scoreError = 1e-3;

function overlap(a: readonly number[], b: readonly number[]): number {
  const area = ([x0, y0, x1, y1]: readonly number[]): number => Math.max(x1 - x0, 0) * Math.max(y1 - y0, 0);
  const shared = area([
    Math.max(a[0], b[0]),
    Math.max(a[1], b[1]),
    Math.min(a[2], b[2]),
    Math.min(a[3], b[3]),
  ]);
  return shared / (area(a) + area(b) - shared);
}

describeData("boxes of real models", () => {
  testData.each(Object.keys(goldens))("%s", async (name) => {
    const model = await load(dataPath(name));
    try {
      for (const [number, expected] of Object.entries(goldens[name])) {
        const picture = await readPicture(dataPath(`coco/images/val2017/${number}.jpg`));
        const found = (await model.detect(picture, { confidence: 0.3 - scoreError })).map((box) => ({
          ...box,
          corners: [box.box.x, box.box.y, box.box.x + box.box.width, box.box.y + box.box.height],
        }));
        for (const [classId, score, ...numbers] of expected) {
          const [corners, points] = [numbers.slice(0, 4), numbers.slice(4)];
          const best = found
            .filter((each) => each.classId === classId && Math.abs(each.score - score) <= scoreError)
            .toSorted((a, b) => overlap(b.corners, corners) - overlap(a.corners, corners))[0];
          const iou = best ? overlap(best.corners, corners) : 0;
          expect(iou, `${number}: class ${classId}, score ${score}, ${corners}`).toBeGreaterThan(0.99);
          const places = (best?.points ?? []).flatMap(({ x, y }) => [x, y]);
          expect(places.length, `${number}: numbers of points`).toBe(points.length);
          for (const [i, value] of points.entries()) expect(Math.abs(places[i] - value)).toBeLessThan(0.5);
        }
        const sure = found.filter((box) => box.score > 0.3 + scoreError);
        expect(sure.length, `${number}: boxes`).toBeLessThanOrEqual(expected.length);
      }
    } finally {
      model.close();
    }
  });
});
