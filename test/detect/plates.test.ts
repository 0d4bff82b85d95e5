import fc from "fast-check";
import { expect, test } from "vitest";
import { placePlates, type WantedPlate } from "../../src/detect/plates.ts";

const picture = { width: 200, height: 100 };
const wish = (x: number, y: number, width: number, height: number): WantedPlate => ({
  box: { x, y, width, height },
  ...{ width: 40, height: 10 },
});

const corners = (
  ...[wishes, room = picture, rules]: [WantedPlate[], typeof picture?, { all?: boolean }?]
): string[] => placePlates(wishes, room, rules).map((place) => (place ? `${place.x} ${place.y}` : ""));

test("above the box, below where there is no room, inside where there is none either", () => {
  expect(corners([wish(20, 30, 60, 40)])).toEqual(["20 20"]);
  expect(corners([wish(20, 3, 60, 40)])).toEqual(["20 43"]);
  expect(corners([wish(20, 2, 60, 96)])).toEqual(["20 2"]);
  expect(corners([wish(180, 30, 20, 20)])).toEqual(["160 20"]); // moved into the picture
});

test("the later one gives way; the same box four times has four places", () => {
  const same = [1, 2, 3, 4].map(() => wish(20, 30, 90, 40));
  expect(corners(same)).toEqual(["20 20", "70 20", "20 70", "70 70"]);
});

test("a small box is not hidden where there is other room", () => {
  expect(corners([wish(20, 30, 20, 20), wish(30, 14, 20, 10)])).toEqual(["20 50", "30 4"]);
});

test("without a free place it is left out, or with `all` put where it covers the least", () => {
  const tight = { width: 40, height: 10 };
  const both = [wish(0, 0, 40, 10), wish(0, 0, 40, 10)];
  expect(corners(both, tight)).toEqual(["0 0", ""]);
  expect(corners(both, tight, { all: true })).toEqual(["0 0", "0 0"]);
});

test("no two overlap, and all lie in the picture", () => {
  const side = (max: number) => fc.integer({ min: 1, max });
  const box = fc.record({ x: side(180), y: side(90), width: side(120), height: side(60) });
  fc.assert(
    fc.property(fc.array(box, { maxLength: 40 }), (boxes) => {
      const wishes = boxes.map(({ x, y, width, height }) => wish(x, y, width, height));
      const placed = placePlates(wishes, picture).flatMap((place) => place ?? []);
      for (const [i, a] of placed.entries()) {
        expect(a.x >= 0 && a.y >= 0 && a.x + 40 <= 200 && a.y + 10 <= 100).toBe(true);
        for (const b of placed.slice(i + 1)) {
          expect(Math.abs(a.x - b.x) < 40 && Math.abs(a.y - b.y) < 10).toBe(false);
        }
      }
    }),
  );
});
