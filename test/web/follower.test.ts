/** What is followed on the page keeps its number and is counted once, whatever is moved meanwhile. */
import { expect, test } from "vitest";
import type { DetectedObject, PictureLook } from "../../src/index.ts";
import { Follower } from "../../web/follower.ts";

const size = { width: 200, height: 100 };
const counting = {
  lines: [
    {
      name: "middle",
      from: [100, 0] as [number, number],
      to: [100, 100] as [number, number],
      point: "center" as const,
    },
  ],
};

/** A thing whose middle is at x, as a look gives it. */
function lookAt(x: number, score = 0.9): PictureLook {
  const found: DetectedObject = {
    ...{ task: "detect", label: "thing", classId: 0, score },
    box: { x: x - 10, y: 40, width: 20, height: 20 },
  };
  const detections = ({ confidence = 0 }) => (score >= confidence ? [found] : []);
  return { detections } as unknown as PictureLook;
}

/** Moves from x to x, a picture each 4 pixels. */
function move(follower: Follower, from: number, to: number, time: number, confidence = 0.25) {
  const step = Math.sign(to - from) * 4;
  let last = follower.update(
    lookAt(from),
    { confidence, iou: 0.45 },
    { session: 1, time, counting, ...size },
  );
  for (let x = from + step, i = 1; Math.sign(to - x) === Math.sign(step); x += step, i++) {
    last = follower.update(
      lookAt(x),
      { confidence, iou: 0.45 },
      { session: 1, time: time + i / 25, counting, ...size },
    );
  }
  return { id: last.boxes[0]?.id, in: last.totals?.[0].in, out: last.totals?.[0].out };
}

test("crossing is counted; the same frame again is no step", () => {
  const follower = new Follower(1, ["thing"]);
  expect(move(follower, 40, 160, 0)).toEqual({ id: 1, in: 0, out: 1 });
  const again = () =>
    follower.update(
      lookAt(40),
      { confidence: 0.25, iou: 0.45 },
      { session: 1, time: 29 / 25, counting, ...size },
    );
  expect(again().boxes.map(({ id }) => id)).toEqual([1]);
  expect(move(follower, 156, 40, 2)).toEqual({ id: 1, in: 1, out: 1 });
});

test("a video that is wound back, and another confidence: new numbers, no crossing that was not", () => {
  const follower = new Follower(1, ["thing"]);
  expect(move(follower, 40, 90, 10)).toEqual({ id: 1, in: 0, out: 0 });
  // On the other side at once: not the same thing.
  expect(move(follower, 110, 160, 0)).toEqual({ id: 2, in: 0, out: 0 });
  expect(move(follower, 90, 40, 20, 0.5)).toEqual({ id: 3, in: 0, out: 0 });
  expect(move(follower, 40, 160, 30, 0.5)).toEqual({ id: 3, in: 0, out: 1 });
});
