/** Counts what crosses lines, and who is in regions for how long. */
import { expectKind } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";
import { brief } from "../base/text.ts";
import { depthIn, meet, type Point, rightOf } from "./_edges.ts";
import {
  boxPoints,
  type Counting,
  type CountingLine,
  type CountingRegion,
  type CountingRules,
  checkCounting,
  placesOf,
} from "./counting.ts";
import type { Track } from "./track.ts";
import type { FrameTracks } from "./tracker.ts";

/** Something was counted. */
export interface CountEvent {
  /** Number of the picture, as told, and its time in seconds. */
  frame: number;
  time: number;
  /** `in`: over a line to its `in` side, or into a region; `out`: the other way. */
  kind: "in" | "out";
  /** Name of the line or region. */
  name: string;
  shape: "line" | "region";
  /** Whose identity, and what it is. */
  id: number;
  label: string;
  classId: number;
  /**
   * Why, where no edge was crossed: it was first seen inside, is no longer followed, or the pictures ended. Such events are no part of
   * the totals `in` and `out`.
   */
  by?: "appearing" | "vanishing" | "end";
  /** Of `out` of a region: seconds since `in`; of what vanished until it was last seen. */
  dwell?: number;
}

/** How often a line was crossed, or the edge of a region. */
export interface CountTotals {
  name: string;
  shape: "line" | "region";
  in: number;
  out: number;
  /** The same by label. */
  classes: Record<string, { in: number; out: number }>;
  /** Of a region: how many are inside at present, were first seen inside, and were lost sight of inside. */
  inside?: number;
  appeared?: number;
  vanished?: number;
  /** Of a region, in seconds, over those that left or vanished. */
  dwell?: { count: number; mean: number; max: number };
}

export interface Counter {
  /** Tells where things are in a picture; gives what is counted with it. `frame` and `time` (seconds) are put into the events. */
  update(tracks: FrameTracks, at: { frame: number; time: number }): CountEvent[];
  /** Closes the stay of those who are inside of regions. */
  finish(at: { frame: number; time: number }): CountEvent[];
  /** So far. */
  totals(): CountTotals[];
}

/**
 * Makes a counter. `size` is that of the pictures in pixels, `labels` are the classes that there are, where they are known.
 *
 * ```ts
 * const counter = createCounter({ lines: [{ name: "door", from: [100, 300], to: [500, 300] }] }, { width: 640, height: 480 });
 * for (const [i, frame] of frames.entries()) {
 *   const tracks = tracker.update(await model.detect(frame, { confidence: 0.1 }));
 *   for (const event of counter.update(tracks, { frame: i + 1, time: i / 25 })) console.log(event);
 * }
 * counter.totals(); // [{ name: "door", shape: "line", in: 3, out: 1, classes: { person: { in: 3, out: 1 } } }]
 * ```
 * Throws FormatError for lines or regions that are wrong, UsageError for a class that there is not.
 */
export function createCounter(
  counting: Counting,
  size: { width: number; height: number; labels?: readonly string[] },
): Counter {
  expectKind("createCounter: counting", counting, "an object");
  expectKind("createCounter: size", size, "a size ({ width, height })");
  const checked = checkCounting(counting, "counting");
  const { lines = [], regions = [] } = checked;
  const places = placesOf(checked, size).map((each) => each.places);
  return new Places([
    ...lines.map((line, i) => new LineCount(line, ruleOf(line, checked, size), places[i])),
    ...regions.map(
      (region, i) => new RegionCount(region, ruleOf(region, checked, size), places[lines.length + i]),
    ),
  ]);
}

/** Where of a box, how far beyond, and which. */
interface Rule {
  at(track: Track): Point;
  margin(track: Track): number;
  counts(track: Track): boolean;
}

type Size = Parameters<typeof createCounter>[1];

function ruleOf(given: CountingRules & { name: string }, all: Counting, { height, labels }: Size): Rule {
  const point = given.point ?? all.point ?? "bottom";
  const [across, down] = typeof point === "string" ? boxPoints[point] : point;
  const margin = given.margin ?? all.margin;
  const unit = all.units === "fractions" ? height : 1;
  const classes = given.classes ?? all.classes;
  for (const wanted of labels ? (classes ?? []) : []) {
    if (typeof wanted === "string" ? labels?.includes(wanted) : labels?.[wanted] !== undefined) continue;
    throw new UsageError(
      `counting: ${given.name}: class ${JSON.stringify(wanted)}: the model has classes 0 to ${Number(labels?.length) - 1}: ${brief((labels ?? []).slice(0, 100).join(", "))}`,
    );
  }
  return {
    at: ({ detection: { box } }) => [box.x + across * box.width, box.y + down * box.height],
    margin: ({ detection: { box } }) =>
      margin === undefined ? 0.1 * Math.min(box.width, box.height) : margin * unit,
    counts: ({ label, classId }) => !classes || classes.includes(label) || classes.includes(classId),
  };
}

type At = { frame: number; time: number };
type Crossing = Pick<CountEvent, "kind" | "by" | "dwell"> & { track: Track };

/** A line or a region. */
interface Counted {
  readonly name: string;
  readonly shape: CountEvent["shape"];
  see(track: Track, time: number): Crossing | undefined;
  /** The thing is no longer followed, or the pictures ended. */
  forget(id: number, by: "vanishing" | "end", time: number): Crossing | undefined;
  known(): Iterable<number>;
  totals(): Partial<CountTotals>;
}

class Places implements Counter {
  private readonly places: readonly Counted[];
  private readonly sums: Record<string, { in: number; out: number }>[];

  constructor(places: readonly Counted[]) {
    this.places = places;
    this.sums = places.map(() => Object.create(null));
  }

  update({ tracked, removed }: FrameTracks, at: At): CountEvent[] {
    return [
      ...tracked.flatMap((track) => this.each((place) => place.see(track, at.time), at)),
      ...removed.flatMap(({ id }) => this.each((place) => place.forget(id, "vanishing", at.time), at)),
    ];
  }

  finish(at: At): CountEvent[] {
    const ids = new Set(this.places.flatMap((place) => [...place.known()]));
    return [...ids].flatMap((id) => this.each((place) => place.forget(id, "end", at.time), at));
  }

  private each(crossingOf: (place: Counted) => Crossing | undefined, { frame, time }: At): CountEvent[] {
    return this.places.flatMap((place, i) => {
      const crossing = crossingOf(place);
      if (!crossing) return [];
      const { track, kind, by, dwell } = crossing;
      const { id, label, classId } = track;
      if (by === undefined) {
        this.sums[i][label] ??= { in: 0, out: 0 };
        this.sums[i][label][kind]++;
      }
      return {
        ...{ frame, time, kind, name: place.name, shape: place.shape, id, label, classId },
        ...(by !== undefined && { by }),
        ...(dwell !== undefined && { dwell }),
      };
    });
  }

  totals(): CountTotals[] {
    return this.places.map((place, i) => {
      const classes = Object.fromEntries(
        Object.entries(this.sums[i]).map(([label, sum]) => [label, { ...sum }]),
      );
      const sum = (kind: "in" | "out"): number =>
        Object.values(classes).reduce((all, each) => all + each[kind], 0);
      const { name, shape } = place;
      return { name, shape, in: sum("in"), out: sum("out"), classes, ...place.totals() };
    });
  }
}

class LineCount implements Counted {
  readonly name: string;
  readonly shape = "line";
  private readonly rule: Rule;
  private readonly ends: readonly [Point, Point];
  private readonly isInLeft: boolean;
  /** On which side a thing is, and where it was last seen there. */
  private readonly sides = new Map<number, { side: number; last: Point }>();

  constructor(line: CountingLine, rule: Rule, [from, to]: readonly Point[]) {
    this.name = line.name;
    this.rule = rule;
    this.ends = [from, to];
    this.isInLeft = line.in === "left";
  }

  see(track: Track): Crossing | undefined {
    const point = this.rule.at(track);
    const distance = rightOf(point, ...this.ends);
    const before = this.sides.get(track.id);
    const isSure = Math.abs(distance) > this.rule.margin(track);
    if (before && Math.sign(distance) === before.side) before.last = point;
    if (!isSure || before?.side === Math.sign(distance)) return undefined;
    this.sides.set(track.id, { side: Math.sign(distance), last: point });
    // Around an end of the line is not across it.
    if (!before || !meet(before.last, point, ...this.ends) || !this.rule.counts(track)) return undefined;
    return { track, kind: distance > 0 === this.isInLeft ? "out" : "in" };
  }

  forget(id: number): undefined {
    this.sides.delete(id);
  }

  *known(): Iterable<number> {}

  totals(): Partial<CountTotals> {
    return {};
  }
}

class RegionCount implements Counted {
  readonly name: string;
  readonly shape = "region";
  private readonly rule: Rule;
  private readonly polygon: readonly Point[];
  /** Who was seen; of those inside since when, as what, and until when they were seen. */
  private readonly seen = new Set<number>();
  private readonly inside = new Map<number, { track: Track; since: number; until: number }>();
  private readonly counts = { appeared: 0, vanished: 0 };
  private readonly dwell = { count: 0, sum: 0, max: 0 };

  constructor(region: CountingRegion, rule: Rule, polygon: readonly Point[]) {
    this.name = region.name;
    this.rule = rule;
    this.polygon = polygon;
  }

  see(track: Track, time: number): Crossing | undefined {
    const depth = depthIn(this.rule.at(track), this.polygon);
    const isFirst = !this.seen.has(track.id);
    this.seen.add(track.id);
    const stay = this.inside.get(track.id);
    if (stay) {
      stay.until = time;
      // In at the edge, out beyond the margin: so a small region can be entered too.
      if (depth >= -this.rule.margin(track)) return undefined;
      return this.leave(track.id, time, undefined);
    }
    if (depth <= 0 || !this.rule.counts(track)) return undefined;
    this.inside.set(track.id, { track, since: time, until: time });
    if (isFirst) this.counts.appeared++;
    return { track, kind: "in", ...(isFirst && { by: "appearing" as const }) };
  }

  private leave(id: number, time: number, by: CountEvent["by"]): Crossing | undefined {
    const stay = this.inside.get(id);
    if (!stay) return undefined;
    this.inside.delete(id);
    const dwell = (by === "vanishing" ? stay.until : time) - stay.since;
    this.dwell.count++;
    this.dwell.sum += dwell;
    this.dwell.max = Math.max(this.dwell.max, dwell);
    return { track: stay.track, kind: "out", by, dwell };
  }

  forget(id: number, by: "vanishing" | "end", time: number): Crossing | undefined {
    this.seen.delete(id);
    if (by === "vanishing" && this.inside.has(id)) this.counts.vanished++;
    return this.leave(id, time, by);
  }

  known(): Iterable<number> {
    return this.inside.keys();
  }

  totals(): Partial<CountTotals> {
    const { count, sum, max } = this.dwell;
    return {
      inside: this.inside.size,
      ...this.counts,
      dwell: { count, mean: count ? sum / count : 0, max },
    };
  }
}
