/** Boxes of real models against decoding that is not ours (scripts/head-goldens.py). */
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect } from "vitest";
import { isObject, load, readPicture } from "../../src/node.ts";
import { dataPath, describeData, testData } from "../data.ts";
import { overlap } from "./_boxes.ts";

/** By model and picture: `[class, score, x0, y0, x1, y1, points x y …]` in pixels of the picture, scores above 0.3. */
const goldens = JSON.parse(readFileSync(path.resolve(import.meta.dirname, "goldens.json"), "utf8")) as Record<
  string,
  Record<string, number[][]>
>;

/** Scores closer than this to the least may be on its other side. */
const scoreError = 1e-3;

describeData("boxes of real models", () => {
  testData.each(Object.keys(goldens))("%s", async (name) => {
    const model = await load(dataPath(name));
    try {
      for (const [number, expected] of Object.entries(goldens[name])) {
        const picture = await readPicture(dataPath(`coco/images/val2017/${number}.jpg`));
        const all = await model.detect(picture, { confidence: 0.3 - scoreError });
        const found = all.filter(isObject).map((each) => ({
          ...each,
          corners: [each.box.x, each.box.y, each.box.x + each.box.width, each.box.y + each.box.height],
        }));
        for (const [classId, score, ...numbers] of expected) {
          const [corners, points] = [numbers.slice(0, 4), numbers.slice(4)];
          const best = found
            .filter((each) => each.classId === classId && Math.abs(each.score - score) <= scoreError)
            .toSorted((a, b) => overlap(b.corners, corners) - overlap(a.corners, corners))[0];
          const iou = best ? overlap(best.corners, corners) : 0;
          expect(iou, `${number}: class ${classId}, score ${score}, ${corners}`).toBeGreaterThan(0.99);
          const places = (best?.task === "pose" ? best.points : []).flatMap(({ x, y }) => [x, y]);
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
