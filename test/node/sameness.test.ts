import { expect, test } from "vitest";
import { sameness } from "../../src/node/video/_sameness.ts";

const frame = (level: number, at = -1): Uint8Array => {
  const pixels = new Uint8Array(5000).fill(level);
  if (at >= 0) pixels[at]++;
  return pixels;
};

test("a frame is told from the one before, a single pixel counts", () => {
  const expected = sameness(true);
  expect([frame(1), frame(1), frame(1, 7), frame(1, 7), frame(2)].map(expected)).toEqual([
    false,
    true,
    false,
    true,
    false,
  ]);
  const lazy = sameness(false);
  const still = [frame(1), frame(1), frame(1), frame(1, 7), frame(1, 7), frame(1), frame(1)];
  expect(still.map(lazy)).toEqual([false, false, true, false, true, false, true]);
});
