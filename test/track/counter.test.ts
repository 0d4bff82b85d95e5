import { expect, test } from "vitest";
import {
  type Counting,
  createCounter,
  createTracker,
  FormatError,
  type FrameTracks,
  type Track,
  UsageError,
} from "../../src/index.ts";
import { parseCounting } from "../../src/steps.ts";
import { depthIn, meet, rightOf } from "../../src/track/_edges.ts";

const size = { width: 200, height: 100, labels: ["cat", "dog"] };

/** A thing whose bottom middle is at a place. */
function track(id: number, [x, y]: readonly number[], label = "cat"): Track {
  const box = { x: x - 10, y: y - 20, width: 20, height: 20 };
  const classId = label === "cat" ? 0 : 1;
  return {
    ...{
      id,
      state: "tracked",
      classId,
      label,
      box,
      velocity: { x: 0, y: 0 },
      firstSeen: 1,
      lastSeen: 1,
      hits: 1,
    },
    detection: { task: "detect", label, classId, score: 0.9, box },
  };
}

const frame = (tracked: Track[], removed: Track[] = []): FrameTracks => ({
  ...{ frame: 1, tracked, removed, fresh: [], lost: [] },
});

/** The events of one thing that goes along places, one a second. */
function along(counting: Counting, places: readonly (readonly number[])[], label = "cat"): string[] {
  const counter = createCounter(counting, size);
  const events = places.flatMap((place, i) =>
    counter.update(frame([track(1, place, label)]), { frame: i + 1, time: i }),
  );
  return events.map(({ frame: at, kind, by, dwell }) =>
    [`${at} ${kind}`, ...(by ? [by] : []), ...(dwell === undefined ? [] : [dwell])].join(" "),
  );
}

const door: Counting = { lines: [{ name: "door", from: [50, 50], to: [150, 50] }] };
const belt: Counting = {
  regions: [
    {
      name: "belt",
      polygon: [
        [50, 20],
        [150, 20],
        [150, 80],
        [50, 80],
      ],
    },
  ],
};

test("a line is crossed in both directions", () => {
  // From left to right is to the east, and its right hand is south.
  expect(
    along(door, [
      [100, 30],
      [100, 45],
      [100, 60],
      [100, 40],
    ]),
  ).toEqual(["3 in", "4 out"]);
  const left: Counting = { lines: [{ name: "door", from: [50, 50], to: [150, 50], in: "left" }] };
  expect(
    along(left, [
      [100, 30],
      [100, 60],
    ]),
  ).toEqual(["2 out"]);
  const turned: Counting = { lines: [{ name: "door", from: [150, 50], to: [50, 50] }] };
  expect(
    along(turned, [
      [100, 30],
      [100, 60],
    ]),
  ).toEqual(["2 out"]);
});

test("jitter at a line counts nothing, a crossing counts once", () => {
  const jitter = Array.from({ length: 20 }, (_, i) => [100, 50 + (i % 2 ? 1.5 : -1.5)]);
  expect(along(door, [[100, 30], ...jitter])).toEqual([]);
  expect(along(door, [[100, 30], ...jitter, [100, 60]])).toEqual(["22 in"]);
  expect(along({ ...door, margin: 1 }, [[100, 30], ...jitter.slice(0, 4)])).toEqual([
    "3 in",
    "4 out",
    "5 in",
  ]);
});

test("around the end of a line is not across it", () => {
  const around = [
    [100, 30],
    [170, 40],
    [180, 60],
    [100, 70],
  ];
  expect(along(door, around)).toEqual([]);
  expect(along(door, [...around, [100, 30]])).toEqual(["5 out"]);
});

test("who was out of sight while crossing counts when it is seen again", () => {
  expect(
    along(door, [
      [60, 20],
      [140, 80],
    ]),
  ).toEqual(["2 in"]);
});

test("a region is entered and left, with the time inside", () => {
  expect(
    along(belt, [
      [20, 50],
      [60, 50],
      [100, 50],
      [149, 50],
      [151, 50],
      [149, 50],
      [160, 50],
    ]),
  ).toEqual(["2 in", "7 out 5"]);
});

test("first seen inside, lost sight of, and the end", () => {
  const counter = createCounter(belt, size);
  const [one, two] = [track(1, [100, 50]), track(2, [100, 60], "dog")];
  expect(counter.update(frame([one, two]), { frame: 1, time: 0 })).toMatchObject([
    { id: 1, kind: "in", by: "appearing" },
    { id: 2, kind: "in", by: "appearing" },
  ]);
  counter.update(frame([one]), { frame: 2, time: 2 });
  expect(counter.update(frame([one], [two]), { frame: 9, time: 9 })).toEqual([
    {
      frame: 9,
      time: 9,
      kind: "out",
      name: "belt",
      shape: "region",
      id: 2,
      label: "dog",
      classId: 1,
      by: "vanishing",
      dwell: 0,
    },
  ]);
  expect(counter.totals()).toEqual([
    {
      ...{ name: "belt", shape: "region", in: 0, out: 0, classes: {}, inside: 1, appeared: 2, vanished: 1 },
      dwell: { count: 1, mean: 0, max: 0 },
    },
  ]);
  expect(counter.finish({ frame: 20, time: 20 })).toMatchObject([{ id: 1, by: "end", dwell: 20 }]);
});

test("totals by class, classes that count, fractions, points of the box", () => {
  const counter = createCounter({ ...door, ...belt }, size);
  counter.update(frame([track(1, [100, 10]), track(2, [100, 10], "dog")]), { frame: 1, time: 0 });
  counter.update(frame([track(1, [100, 90]), track(2, [100, 60], "dog")]), { frame: 2, time: 1 });
  expect(counter.totals()).toMatchObject([
    { name: "door", in: 2, out: 0, classes: { cat: { in: 1, out: 0 }, dog: { in: 1, out: 0 } } },
    { name: "belt", in: 1, out: 0, inside: 1, classes: { dog: { in: 1, out: 0 } } },
  ]);
  expect(
    along({ ...door, classes: ["dog"] }, [
      [100, 30],
      [100, 60],
    ]),
  ).toEqual([]);
  expect(
    along({ ...door, classes: [0] }, [
      [100, 30],
      [100, 60],
    ]),
  ).toEqual(["2 in"]);
  const fractions: Counting = {
    units: "fractions",
    lines: [{ name: "door", from: [0.25, 0.5], to: [0.75, 0.5], margin: 0.2 }],
  };
  expect(
    along(fractions, [
      [100, 20],
      [100, 60],
      [100, 71],
    ]),
  ).toEqual(["3 in"]);
  expect(
    along({ ...door, point: "top" }, [
      [100, 30],
      [100, 60],
      [100, 80],
    ]),
  ).toEqual(["3 in"]);
  expect(
    along({ ...door, point: [0, 0] }, [
      [155, 30],
      [155, 80],
    ]),
  ).toEqual(["2 in"]);
});

test("with a tracker", () => {
  const [tracker, counter] = [createTracker(), createCounter(door, size)];
  for (let i = 0; i < 12; i++) {
    const { detection } = track(0, [100, 10 + 6 * i]);
    counter.update(tracker.update([detection]), { frame: i, time: i });
  }
  expect(counter.totals()[0]).toMatchObject({ in: 1, out: 0 });
});

test("sides, distances and crossings", () => {
  expect(rightOf([3, 5], [0, 0], [10, 0])).toBe(5);
  expect(meet([0, 0], [2, 2], [0, 2], [2, 0])).toBe(true);
  expect(meet([0, 0], [1, 0], [2, 0], [3, 0])).toBe(false);
  expect(meet([0, 0], [2, 0], [1, 0], [3, 0])).toBe(true);
  const dented: [number, number][] = [
    [0, 0],
    [10, 0],
    [10, 10],
    [5, 5],
    [0, 10],
  ];
  expect(depthIn([5, 2], dented)).toBe(2);
  expect(depthIn([5, 9], dented)).toBeLessThan(0);
  expect(
    depthIn(
      [13, 14],
      [
        [0, 0],
        [10, 0],
        [10, 10],
        [0, 10],
      ],
    ),
  ).toBe(-5);
});

test.each([
  ["{", "door.json: not JSON"],
  ["{}", "door.json: the file: found {}, expected lines or regions to count at"],
  ['{"lines":[{"name":"a","from":[1,2]}]}', "door.json: lines[0].to: found nothing, expected"],
  [
    '{"lines":[{"name":"a","from":[1,2],"to":[1,2]}]}',
    "lines[0].to: found [1,2], expected another place than from",
  ],
  ['{"line":[]}', 'the file: unknown field "line"; remove it, or correct its name'],
  [
    '{"point":"foot","lines":[{"name":"a","from":[1,2],"to":[3,2]}]}',
    'point: found "foot", expected "bottom", "center", "top", "left", "right", or two parts from 0 to 1',
  ],
  [
    '{"regions":[{"name":"a","polygon":[[1,2],[3,4]]}]}',
    "regions[0].polygon: found [[1,2],[3,4]], expected at least 3 entries",
  ],
  ['{"regions":[{"name":"a","polygon":[[1,2],[3,4],[1,2]]}]}', "expected at least 3 different corners"],
  [
    '{"lines":[{"name":"a","from":[1,2],"to":[3,2]},{"name":"a","from":[1,2],"to":[3,2]}]}',
    'lines[1].name: found "a", expected a name of its own',
  ],
])("a wrong file is told: %s", (text, message) => {
  expect(() => parseCounting(text, "door.json")).toThrow(FormatError);
  expect(() => parseCounting(text, "door.json")).toThrow(message);
});

test("a class that there is not is told", () => {
  const counting: Counting = { lines: [{ name: "door", from: [0, 0], to: [1, 0], classes: ["cow"] }] };
  expect(() => createCounter(counting, size)).toThrow(UsageError);
  expect(() => createCounter(counting, size)).toThrow(
    'door: class "cow": the model has classes 0 to 1: cat, dog',
  );
});
