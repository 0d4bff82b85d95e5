/** One thing followed over pictures: where it is, what it is, since when. */
import type { Box, ObjectDetection } from "../detect/detection.ts";
import { probiou, type RotatedBox, type Spread, spreadOf } from "../detect/rotated.ts";
import { BoxFilter, type Measurement } from "./kalman.ts";

/**
 * `new`: seen, not often enough to be sure; `tracked`: seen in this picture; `lost`: not seen now, may be found again; `removed`: given up,
 * or a new one that was not seen again.
 */
export type TrackState = "new" | "tracked" | "lost" | "removed";

/** A thing that is followed, as it was in one picture. */
export interface Track<D extends ObjectDetection = ObjectDetection> {
  /** From 1, in the order in which things were first seen; numbers of new ones that were not seen again are missing. */
  readonly id: number;
  readonly state: TrackState;
  /** What was found of it last: mask, points and turned box are there. */
  readonly detection: D;
  /** The class with the greatest sum of scores so far. */
  readonly classId: number;
  readonly label: string;
  /** Where the filter takes it to be, in pixels, not clipped; for turned boxes the extents before they are turned. */
  readonly box: Box;
  /** Of its middle, in pixels a picture. */
  readonly velocity: { readonly x: number; readonly y: number };
  /** Pictures, from 1, in which it was first and last seen. */
  readonly firstSeen: number;
  readonly lastSeen: number;
  /** In how many pictures it was seen. */
  readonly hits: number;
}

/** What of a detection or a followed thing is compared. */
export interface Place {
  readonly box: Box;
  readonly spread?: Spread;
}

/** Overlap from 0 to 1: ProbIoU of turned boxes, intersection over union of others. */
export function overlap(a: Place, b: Place): number {
  if (a.spread && b.spread) return probiou(a.spread, b.spread);
  const [p, q] = [a.box, b.box];
  const width = Math.min(p.x + p.width, q.x + q.width) - Math.max(p.x, q.x);
  const height = Math.min(p.y + p.height, q.y + q.height) - Math.max(p.y, q.y);
  if (!(width > 0 && height > 0)) return 0;
  const shared = width * height;
  return shared / (p.width * p.height + q.width * q.height - shared);
}

/** A turned box with its longer side as the width: the same box may come either way from one picture to the next. */
function longer(box: RotatedBox): RotatedBox {
  if (box.width >= box.height) return box;
  return { ...box, width: box.height, height: box.width, angle: box.angle + Math.PI / 2 };
}

/** A detection as association sees it. */
export class Seen<D extends ObjectDetection> implements Place {
  readonly detection: D;
  readonly box: Box;
  readonly spread: Spread | undefined;
  readonly measured: Measurement;
  readonly angle: number | undefined;

  constructor(detection: D) {
    this.detection = detection;
    this.box = detection.box;
    if (detection.task === "obb") {
      const turned = longer(detection.rotated);
      this.spread = spreadOf(turned);
      this.angle = turned.angle;
      this.measured = [turned.x, turned.y, turned.width / turned.height, turned.height];
    } else {
      const { x, y, width, height } = detection.box;
      this.measured = [x + width / 2, y + height / 2, width / height, height];
    }
  }
}

export class Followed<D extends ObjectDetection> implements Place {
  readonly id: number;
  readonly firstSeen: number;
  state: TrackState;
  lastSeen: number;
  hits = 1;
  private detection: D;
  private angle: number | undefined;
  private readonly filter: BoxFilter;
  private readonly votes = new Map<number, { label: string; sum: number }>();

  constructor(id: number, seen: Seen<D>, picture: number, state: TrackState) {
    this.id = id;
    this.state = state;
    this.firstSeen = picture;
    this.lastSeen = picture;
    this.detection = seen.detection;
    this.angle = seen.angle;
    this.filter = new BoxFilter(seen.measured);
    this.vote(seen.detection);
  }

  predict(): void {
    this.filter.predict(this.state === "lost");
  }

  see(seen: Seen<D>, picture: number): void {
    this.filter.update(seen.measured);
    this.detection = seen.detection;
    // Half a turn more or less is the same box; the nearest keeps it from spinning.
    if (this.angle !== undefined && seen.angle !== undefined) {
      this.angle = seen.angle - Math.PI * Math.round((seen.angle - this.angle) / Math.PI);
    }
    this.lastSeen = picture;
    this.hits++;
    this.vote(seen.detection);
  }

  private vote({ classId, label, score }: D): void {
    const { sum } = this.votes.get(classId) ?? { sum: 0 };
    this.votes.set(classId, { label, sum: sum + score });
  }

  get box(): Box {
    const { x, y, width, height } = this.filter.place;
    return { x: x - width / 2, y: y - height / 2, width, height };
  }

  get spread(): Spread | undefined {
    return this.angle === undefined ? undefined : spreadOf({ ...this.filter.place, angle: this.angle });
  }

  /** As it is now, for good. */
  snapshot(): Track<D> {
    const { id, state, detection, box, firstSeen, lastSeen, hits } = this;
    let [classId, label, most] = [detection.classId, detection.label, Number.NEGATIVE_INFINITY];
    for (const [each, { label: name, sum }] of this.votes) {
      if (sum > most) [classId, label, most] = [each, name, sum];
    }
    const velocity = this.filter.speed;
    return { id, state, detection, classId, label, box, velocity, firstSeen, lastSeen, hits };
  }
}
