import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createTracker, type ObjectDetection, type TrackerOptions, UsageError } from "../../src/index.ts";

interface Golden {
  name: string;
  turned: boolean;
  settings: {
    track_high_thresh: number;
    track_low_thresh: number;
    new_track_thresh: number;
    track_buffer: number;
    match_thresh: number;
    fuse_score: boolean;
  };
  pictures: number[][][];
  tracked: [number, number][][];
}

/** Made by scripts/track-goldens.py with ultralytics' BYTETracker. */
const goldens = JSON.parse(readFileSync(new URL("data/bytetrack.json", import.meta.url), "utf8")) as Golden[];

const optionsOf = ({ settings: s }: Golden): TrackerOptions => ({
  highScore: s.track_high_thresh,
  lowScore: s.track_low_thresh,
  newScore: s.new_track_thresh,
  buffer: s.track_buffer,
  matchThreshold: s.match_thresh,
  fuseScore: s.fuse_score,
});

function detectionOf(row: number[], turned: boolean): ObjectDetection {
  if (!turned) {
    const [x, y, width, height, score, classId] = row;
    return { task: "detect", label: `c${classId}`, classId, score, box: { x, y, width, height } };
  }
  const [x, y, width, height, angle, score, classId] = row;
  const box = { x: x - width / 2, y: y - height / 2, width, height };
  return { task: "obb", label: `c${classId}`, classId, score, box, rotated: { x, y, width, height, angle } };
}

test.each(goldens)("$name: the identities of ultralytics' BYTETracker, up to their numbers", (golden) => {
  const tracker = createTracker(optionsOf(golden));
  const [ours, theirs] = [new Map<number, number>(), new Map<number, number>()];
  let count = 0;
  golden.pictures.forEach((rows, frame) => {
    const detections = rows.map((row) => detectionOf(row, golden.turned));
    const { tracked } = tracker.update(detections);
    const expected = golden.tracked[frame];
    const found = tracked.map(({ id, detection }) => [detections.indexOf(detection), id] as const);
    expect(
      [...found.map(([index]) => index)].sort((a, b) => a - b),
      `picture ${frame}`,
    ).toEqual(expected.map(([, index]) => index).sort((a, b) => a - b));
    for (const [index, id] of found) {
      const other = expected.find(([, each]) => each === index)?.[0] ?? 0;
      expect(ours.get(id) ?? other, `picture ${frame}: our ${id}`).toBe(other);
      expect(theirs.get(other) ?? id, `picture ${frame}: their ${other}`).toBe(id);
      ours.set(id, other);
      theirs.set(other, id);
      count++;
    }
  });
  expect(count).toBeGreaterThan(60);
});

const at = (x: number, y: number, more: { score?: number; classId?: number } = {}): ObjectDetection => ({
  task: "detect",
  label: `c${more.classId ?? 0}`,
  classId: more.classId ?? 0,
  score: more.score ?? 0.9,
  box: { x, y, width: 40, height: 60 },
});

test("something new counts from its second picture on, at the beginning at once", () => {
  const tracker = createTracker();
  expect(tracker.update([at(0, 0)]).tracked.map(({ id }) => id)).toEqual([1]);
  const second = tracker.update([at(1, 0), at(200, 0)]);
  expect(second.tracked.map(({ id }) => id)).toEqual([1]);
  expect(second.fresh.map(({ id, state }) => [id, state])).toEqual([[2, "new"]]);
  const third = tracker.update([at(2, 0), at(201, 0), at(400, 0)]);
  expect(third.tracked.map(({ id }) => id)).toEqual([1, 2]);
  // Not seen again: gone, and its number with it.
  const fourth = tracker.update([at(3, 0), at(202, 0)]);
  expect(fourth.removed.map(({ id, state }) => [id, state])).toEqual([[3, "removed"]]);
});

test("what is hidden is lost, goes on in its direction, and is found again or given up", () => {
  const tracker = createTracker({ buffer: 5 });
  for (let i = 0; i < 10; i++) tracker.update([at(10 * i, 0)]);
  for (let i = 10; i < 14; i++) {
    const { tracked, lost } = tracker.update([]);
    expect(tracked).toEqual([]);
    expect(lost[0].box.x).toBeGreaterThan(10 * i - 12);
    expect(lost[0].velocity.x).toBeGreaterThan(9);
  }
  expect(tracker.update([at(140, 0)]).tracked[0]).toMatchObject({
    id: 1,
    firstSeen: 1,
    lastSeen: 15,
    hits: 11,
  });
  let removed: number[] = [];
  for (let i = 0; i < 6; i++) removed = tracker.update([]).removed.map(({ id }) => id);
  expect(removed).toEqual([1]);
});

test("weak detections keep what is tracked, and begin nothing", () => {
  const tracker = createTracker();
  tracker.update([at(0, 0)]);
  const { tracked, fresh } = tracker.update([at(1, 0, { score: 0.15 }), at(300, 0, { score: 0.15 })]);
  expect(tracked.map(({ id, detection }) => [id, detection.score])).toEqual([[1, 0.15]]);
  expect(fresh).toEqual([]);
});

test("sort takes sure detections only and forgets soon", () => {
  const tracker = createTracker({ method: "sort" });
  tracker.update([at(0, 0)]);
  expect(tracker.update([at(1, 0, { score: 0.15 })]).lost.map(({ id }) => id)).toEqual([1]);
  expect(tracker.update([]).removed.map(({ id }) => id)).toEqual([1]);
  const counts = Array.from({ length: 4 }, (_, i) => tracker.update([at(i, 0)]).tracked.length);
  expect(counts).toEqual([0, 0, 1, 1]);
});

test("the class is the one with the most score, or with perClass what is followed", () => {
  const [any, each] = [createTracker(), createTracker({ perClass: true })];
  for (const classId of [2, 7, 2, 2]) {
    any.update([at(0, 0, { classId })]);
    each.update([at(0, 0, { classId })]);
  }
  expect(any.update([at(0, 0, { classId: 7 })]).tracked[0]).toMatchObject({ id: 1, classId: 2, label: "c2" });
  expect(each.update([at(0, 0, { classId: 2 })]).tracked.map(({ id }) => id)).toEqual([1]);
});

test("points and masks travel with the box", () => {
  const tracker = createTracker();
  const pose: ObjectDetection = { ...at(0, 0), task: "pose", points: [{ x: 5, y: 6 }] };
  expect(tracker.update([pose]).tracked[0].detection).toBe(pose);
});

test("no pictures, boxes without extent, reset", () => {
  const tracker = createTracker();
  const flat: ObjectDetection = { ...at(0, 0), box: { x: 1, y: 1, width: 10, height: 0 } };
  expect(tracker.update([flat])).toEqual({ frame: 1, tracked: [], fresh: [], lost: [], removed: [] });
  tracker.update([at(0, 0)]);
  tracker.reset();
  expect(tracker.update([at(0, 0)]).tracked.map(({ id }) => id)).toEqual([1]);
});

test("the same detections give the same tracks", () => {
  const golden = goldens[1];
  const run = (): unknown => {
    const tracker = createTracker();
    return golden.pictures.map((rows) => tracker.update(rows.map((row) => detectionOf(row, false))));
  };
  expect(run()).toEqual(run());
});

test("wrong use is told", () => {
  const fails = (run: () => unknown, text: string): void => {
    expect(run).toThrow(UsageError);
    expect(run).toThrow(text);
  };
  fails(
    () => createTracker({ method: "deepsort" as "sort" }),
    'method is the string "deepsort", expected bytetrack or sort',
  );
  fails(() => createTracker({ highScore: 2 }), "highScore is 2, expected a number from 0 to 1");
  fails(() => createTracker({ buffer: 1.5 }), "buffer is 1.5, expected a whole number of at least 0");
  fails(() => createTracker({ lowScore: 0.5 }), "lowScore is 0.5, expected at most highScore, 0.25");
  fails(() => createTracker().update(undefined as never), "update: detections is undefined");
  fails(
    () => createTracker().update([{ task: "classify", label: "a", classId: 0, score: 1 } as never]),
    "classes of whole pictures",
  );
  const turned: ObjectDetection = {
    ...at(0, 0),
    task: "obb",
    rotated: { x: 1, y: 1, width: 9, height: 9, angle: 0 },
  };
  const tracker = createTracker();
  tracker.update([at(0, 0)]);
  fails(() => tracker.update([turned]), "turned and upright boxes");
});
