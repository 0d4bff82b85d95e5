/**
 * Follows things from picture to picture: ByteTrack (Zhang et al., arXiv 2110.06864), and the core that it builds on, SORT (Bewley et al.,
 * arXiv 1602.00763). Deterministic: the same detections give the same identities.
 */
import { described, expectKind } from "../base/arguments.ts";
import { assign } from "../base/assignment.ts";
import { UsageError } from "../base/errors.ts";
import { isObject, type ObjectDetection } from "../detect/detection.ts";
import { Followed, overlap, type Place, Seen, type Track } from "./track.ts";

/** `bytetrack` or `sort`. */
export type TrackMethod = "bytetrack" | "sort";

/** Names of the ways to follow things, the default first. */
export const trackMethods: readonly TrackMethod[] = ["bytetrack", "sort"];

/** How things are followed. Names of ultralytics' settings in brackets, whose values the defaults are. */
export interface TrackerOptions {
  /** Default `bytetrack`. */
  method?: TrackMethod;
  /** From this score on a detection is looked for first, 0..1; default 0.25 (`track_high_thresh`). */
  highScore?: number;
  /** Above this score what is still followed may be found again, 0..1; default 0.1 (`track_low_thresh`). Not of `sort`. */
  lowScore?: number;
  /** From this score on something new begins, 0..1; default `highScore` (`new_track_thresh`). */
  newScore?: number;
  /** For how many pictures something that is not seen is kept; default 30, of `sort` 1 (`track_buffer`). */
  buffer?: number;
  /**
   * Most that 1 − overlap may be, 0..1; default 0.8, of `sort` 0.7 (`match_thresh`). With `fuseScore` overlap is overlap · score.
   */
  matchThreshold?: number;
  /** Whether sure detections are preferred; default true, of `sort` false (`fuse_score`). */
  fuseScore?: boolean;
  /** In how many pictures in a row something new must be seen until it counts; default 2, of `sort` 3. At the beginning at once. */
  minHits?: number;
  /** Whether things are only found again in detections of their class; default false: a class may change from picture to picture. */
  perClass?: boolean;
}

/** What is followed, after a picture. */
export interface FrameTracks<D extends ObjectDetection = ObjectDetection> {
  /** Number of the picture, from 1. */
  readonly frame: number;
  /** Seen in this picture, in the order in which they were first seen. */
  readonly tracked: readonly Track<D>[];
  /** Not yet sure. */
  readonly fresh: readonly Track<D>[];
  /** Not seen in this picture; `box` is where they are expected. */
  readonly lost: readonly Track<D>[];
  /** Given up with this picture. */
  readonly removed: readonly Track<D>[];
}

/** Follows the things of one sequence of pictures. */
export interface Tracker<D extends ObjectDetection = ObjectDetection> {
  /**
   * Tells what was found in the next picture, with scores down to `lowScore`; gives what is followed. Detections without extent are
   * left out. Throws UsageError for what is no list of objects, and where turned boxes meet upright ones.
   */
  update(detections: readonly D[]): FrameTracks<D>;
  /** Forgets everything; numbers begin at 1 again. */
  reset(): void;
}

type Settings = Required<TrackerOptions>;

/** Costs up to which the second round and new ones are matched, and above which overlap two are one: as in ByteTrack. */
const [secondCost, newCost, sameOverlap] = [0.5, 0.7, 0.85];

/**
 * Makes a tracker.
 *
 * ```ts
 * const tracker = createTracker();
 * for (const frame of frames) {
 *   const { tracked } = tracker.update(await model.detect(frame, { confidence: 0.1 }));
 *   for (const { id, label, detection } of tracked) console.log(id, label, detection.box);
 * }
 * ```
 * Throws UsageError for wrong options.
 */
export function createTracker<D extends ObjectDetection = ObjectDetection>(
  options: TrackerOptions = {},
): Tracker<D> {
  expectKind("createTracker: options", options, "an object of options");
  return new ByteTracker<D>(settingsOf(options));
}

function settingsOf(options: TrackerOptions): Settings {
  const { method = "bytetrack" } = options;
  if (!trackMethods.includes(method)) {
    throw new UsageError(`method is ${described(method)}, expected ${trackMethods.join(" or ")}`);
  }
  const isSort = method === "sort";
  const highScore = options.highScore ?? 0.25;
  const settings: Settings = {
    method,
    highScore,
    lowScore: options.lowScore ?? Math.min(0.1, highScore),
    newScore: options.newScore ?? highScore,
    buffer: options.buffer ?? (isSort ? 1 : 30),
    matchThreshold: options.matchThreshold ?? (isSort ? 0.7 : 0.8),
    fuseScore: options.fuseScore ?? !isSort,
    minHits: options.minHits ?? (isSort ? 3 : 2),
    perClass: options.perClass ?? false,
  };
  for (const name of ["highScore", "lowScore", "newScore", "matchThreshold"] as const) {
    expectKind(name, settings[name], "a number from 0 to 1");
  }
  for (const [name, least] of [
    ["buffer", 0],
    ["minHits", 1],
  ] as const) {
    const value = settings[name];
    if (!(Number.isInteger(value) && value >= least)) {
      throw new UsageError(`${name} is ${described(value)}, expected a whole number of at least ${least}`);
    }
  }
  if (settings.lowScore > highScore) {
    throw new UsageError(`lowScore is ${settings.lowScore}, expected at most highScore, ${highScore}`);
  }
  expectKind("fuseScore", settings.fuseScore, "true or false");
  expectKind("perClass", settings.perClass, "true or false");
  return settings;
}

class ByteTracker<D extends ObjectDetection> implements Tracker<D> {
  private readonly settings: Settings;
  private frame = 0;
  private nextId = 1;
  /** New, tracked and lost ones, in the order of their numbers. */
  private alive: Followed<D>[] = [];

  constructor(settings: Settings) {
    this.settings = settings;
  }

  reset(): void {
    [this.frame, this.nextId, this.alive] = [0, 1, []];
  }

  update(detections: readonly D[]): FrameTracks<D> {
    checkDetections(detections, this.alive);
    this.frame++;
    const { highScore, lowScore, matchThreshold } = this.settings;
    const seen = detections.filter(hasExtent).map((each) => new Seen(each));
    const high = seen.filter(({ detection }) => detection.score >= highScore);
    const low = seen.filter(({ detection: { score } }) => score > lowScore && score < highScore);
    for (const each of this.alive) each.predict();
    // Who is tracked before who is lost: of equally near ones the tracked is taken.
    const pool = [...this.inState("tracked"), ...this.inState("lost")];
    const first = this.match(pool, high, matchThreshold, this.settings.fuseScore);
    const missed = first.missed.filter(({ state }) => state === "tracked");
    // The second round is of overlap alone: low scores would make every pair look bad.
    const second =
      this.settings.method === "sort" ? { missed, left: low } : this.match(missed, low, secondCost, false);
    for (const each of second.missed) each.state = "lost";
    const fresh = this.match(this.inState("new"), first.left, newCost, this.settings.fuseScore);
    for (const each of fresh.missed) each.state = "removed";
    for (const each of fresh.left) this.begin(each);
    this.removeStale();
    this.removeDuplicates();
    return this.result();
  }

  private inState(state: Followed<D>["state"]): Followed<D>[] {
    return this.alive.filter((each) => each.state === state);
  }

  /** Brings things and detections together, and tells which are left over. */
  private match(
    pool: readonly Followed<D>[],
    seen: readonly Seen<D>[],
    most: number,
    fuse: boolean,
  ): { missed: Followed<D>[]; left: Seen<D>[] } {
    const costs = new Float64Array(pool.length * seen.length);
    const places = pool.map(placeOf);
    const classes = this.settings.perClass ? pool.map((each) => each.snapshot().classId) : undefined;
    places.forEach((place, i) => {
      seen.forEach((each, k) => {
        if (classes && classes[i] !== each.detection.classId) return;
        const likeness = overlap(place, each) * (fuse ? each.detection.score : 1);
        // What a pair saves against leaving both alone; never worse than that, so that the rest is not bent to avoid it.
        costs[i * seen.length + k] = Math.min(1 - likeness - most, 0);
      });
    });
    const columnOf = assign(costs, pool.length, seen.length);
    const taken = new Set<number>();
    const missed = pool.filter((each, i) => {
      const k = columnOf[i];
      if (k < 0 || !(costs[i * seen.length + k] < 0)) return true;
      taken.add(k);
      each.see(seen[k], this.frame);
      if (each.state !== "new" || each.hits >= this.settings.minHits) each.state = "tracked";
      return false;
    });
    return { missed, left: seen.filter((_, k) => !taken.has(k)) };
  }

  private begin(seen: Seen<D>): void {
    if (seen.detection.score < this.settings.newScore) return;
    const isSure = this.frame === 1 || this.settings.minHits === 1;
    this.alive.push(new Followed(this.nextId++, seen, this.frame, isSure ? "tracked" : "new"));
  }

  private removeStale(): void {
    for (const each of this.inState("lost")) {
      if (this.frame - each.lastSeen > this.settings.buffer) each.state = "removed";
    }
  }

  /** Of a tracked and a lost one that lie over each other the one that was followed for a shorter time goes. */
  private removeDuplicates(): void {
    if (this.settings.method === "sort") return;
    const [tracked, lost] = [this.inState("tracked"), this.inState("lost")];
    if (!lost.length) return;
    const places = lost.map(placeOf);
    for (const each of tracked) {
      const place = placeOf(each);
      lost.forEach((other, k) => {
        if (!(overlap(place, places[k]) > sameOverlap)) return;
        const isOlder = each.lastSeen - each.firstSeen > other.lastSeen - other.firstSeen;
        (isOlder ? other : each).state = "removed";
      });
    }
  }

  private result(): FrameTracks<D> {
    const of = (state: Followed<D>["state"]): Track<D>[] =>
      this.inState(state).map((each) => each.snapshot());
    const result = {
      ...{ frame: this.frame, tracked: of("tracked"), fresh: of("new"), lost: of("lost") },
      removed: of("removed"),
    };
    this.alive = this.alive.filter(({ state }) => state !== "removed");
    return result;
  }
}

/** Computed once for all comparisons of a round. */
const placeOf = ({ box, spread }: Place): Place => ({ box, spread });

const hasExtent = (detection: ObjectDetection): boolean => {
  const { width, height } = detection.task === "obb" ? detection.rotated : detection.box;
  return width > 0 && height > 0;
};

function checkDetections(detections: readonly ObjectDetection[], alive: readonly Place[]): void {
  expectKind("update: detections", detections, "a list of detections");
  const kinds = new Set(detections.map(({ task }) => task === "obb"));
  if (alive.length) kinds.add(alive[0].spread !== undefined);
  if (kinds.size > 1) {
    throw new UsageError("update: turned and upright boxes among the detections; a tracker follows either");
  }
  for (const each of detections) {
    if (!isObject(each)) {
      throw new UsageError("update: classes of whole pictures cannot be followed, only objects in boxes");
    }
  }
}
