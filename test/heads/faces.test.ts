/** Faces with points: small exports of their authors' form against decoding that is not ours (scripts/face-goldens.py). */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { type Detection, load, type Picture } from "../../src/node.ts";

const folder = path.resolve(import.meta.dirname, "faces");
/** By model and input size: `[score, x0, y0, x1, y1, points x y …]` in pixels, of faces with scores above 0.3. */
const goldens = JSON.parse(readFileSync(path.join(folder, "goldens.json"), "utf8")) as Record<
  string,
  Record<string, number[][]>
>;
const families: Record<string, string> = {
  scrfd: "RGB from -1 to 1 (less 127.5, by 128)",
  "scrfd-boxes": "RGB from -1 to 1 (less 127.5, by 128)",
  retinaface: "BGR less 104, 117, 123",
  "retinaface-slim": "BGR less 104, 117, 123",
  "retinaface-mxnet": "RGB with levels 0 to 255",
  blazeface: "RGB from -1 to 1",
  "blazeface-back": "RGB from -1 to 1",
};

/** As the script makes it. */
function pictureOf(width: number, height: number): Picture {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return (x * x * 3 + y * 7 + x * y + c * 50) % 256;
  });
  return { width, height, data, channels: 3 };
}

function overlap(a: readonly number[], b: readonly number[]): number {
  const area = ([x0, y0, x1, y1]: readonly number[]): number => Math.max(x1 - x0, 0) * Math.max(y1 - y0, 0);
  const shared = area([
    ...[Math.max(a[0], b[0]), Math.max(a[1], b[1])],
    ...[Math.min(a[2], b[2]), Math.min(a[3], b[3])],
  ]);
  return shared / (area(a) + area(b) - shared);
}

const cornersOf = ({ box }: Detection): number[] => [box.x, box.y, box.x + box.width, box.y + box.height];

describe("boxes and points are those of decoding in numpy what onnxruntime gives", () => {
  test.each(Object.entries(goldens))("%s", async (name, sizes) => {
    const model = await load(path.join(folder, `${name}.onnx`), { backend: "wasm" });
    try {
      expect(model.manifest.labels).toEqual(["face"]);
      expect(model.assumptions.join("\n")).toContain(families[name]);
      for (const [text, expected] of Object.entries(sizes)) {
        const [width, height] = text.split("x").map(Number);
        const found = await model.detect(pictureOf(width, height), {
          confidence: 0.299,
          maxDetections: 1000,
          size: { width, height },
        });
        for (const [score, x0, y0, x1, y1, ...points] of expected) {
          const alike = found.filter((face) => Math.abs(face.score - score) <= 1e-3);
          const best = alike.reduce<Detection | undefined>(
            (most, face) =>
              overlap(cornersOf(face), [x0, y0, x1, y1]) >
              (most ? overlap(cornersOf(most), [x0, y0, x1, y1]) : 0.99)
                ? face
                : most,
            undefined,
          );
          expect(best, `${text}: ${score} at ${[x0, y0, x1, y1]}`).toBeDefined();
          const places = (best?.points ?? []).flatMap(({ x, y }) => [x, y]);
          expect(places.length).toBe(points.length);
          expect(Math.max(0, ...points.map((value, i) => Math.abs(value - places[i])))).toBeLessThan(0.5);
          expect(best?.points?.every((point) => !("score" in point)) ?? true).toBe(true);
        }
      }
    } finally {
      model.close();
    }
  });
});
