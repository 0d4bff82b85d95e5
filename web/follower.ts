/** In the worker: things keep a number from frame to frame, and what crosses lines or enters regions is counted. */
import {
  type Counter,
  type Counting,
  createCounter,
  createTracker,
  type FrameTracks,
  isObject,
  type ObjectDetection,
  type PictureLook,
} from "../src/index.ts";
import { coloured } from "./coloured.ts";
import type { DetectReply, FollowRequest } from "./protocol.ts";

/** From this score on what was seen before is found again. */
const weak = 0.1;

export class Follower {
  readonly session: number;
  private readonly labels: readonly string[];
  private tracker: ReturnType<typeof createTracker<ObjectDetection>> | undefined;
  private counter: Counter | undefined;
  /** What the counter was made for. */
  private counted = "";
  /** Score from which on something new is followed. */
  private sure = 0;
  private frames = 0;
  /** Numbers of trackers before this one: its own begin at 1 again. */
  private base = 0;
  private most = 0;
  private last: Pick<DetectReply, "boxes" | "totals"> = { boxes: [] };
  private lastTime = Number.NaN;

  constructor(session: number, labels: readonly string[]) {
    [this.session, this.labels] = [session, labels];
  }

  update(
    look: PictureLook,
    { confidence, iou }: { confidence: number; iou: number },
    at: FollowRequest & { width: number; height: number },
  ): Pick<DetectReply, "boxes" | "totals"> {
    this.count(at);
    // The same frame again, because a slider moved, is no step in time.
    const isNew = at.time !== this.lastTime;
    const isSame = this.tracker !== undefined && this.sure === confidence;
    if (isSame && !isNew) return { ...this.last, totals: this.counter?.totals() };
    // A video that was wound back is followed anew; its counts stay.
    if (!isSame || at.time < this.lastTime) this.begin(confidence);
    this.lastTime = at.time;
    const lowest = Math.min(weak, confidence / 2);
    const found = look.detections({ confidence: lowest, iou }).filter(isObject);
    const tracks = this.numbered(this.tracker?.update(found));
    this.counter?.update(tracks, { frame: ++this.frames, time: at.time });
    const boxes = coloured(tracks.tracked.map(({ detection, label }) => ({ ...detection, label })));
    const ids = tracks.tracked.map(({ id }) => id);
    this.last = { boxes: boxes.map((box, i) => ({ ...box, id: ids[i] })), totals: this.counter?.totals() };
    return this.last;
  }

  /** Nothing that was followed is found again: who was inside of a region is not any more. */
  private begin(confidence: number): void {
    if (this.frames) this.counter?.finish({ frame: this.frames, time: this.lastTime });
    this.tracker = createTracker({ highScore: confidence, lowScore: Math.min(weak, confidence / 2) });
    this.sure = confidence;
    this.base = this.most;
  }

  /** A number is given once only, whoever followed what before. */
  private numbered(frame: FrameTracks<ObjectDetection> | undefined): FrameTracks<ObjectDetection> {
    const { frame: number = 0, tracked = [], fresh = [], lost = [], removed = [] } = frame ?? {};
    const own = (list: typeof tracked): typeof tracked =>
      list.map((track) => {
        const id = track.id + this.base;
        this.most = Math.max(this.most, id);
        return { ...track, id };
      });
    return {
      frame: number,
      tracked: own(tracked),
      fresh: own(fresh),
      lost: own(lost),
      removed: own(removed),
    };
  }

  /** Other lines begin at 0. */
  private count({ counting, width, height }: { counting?: Counting; width: number; height: number }): void {
    const key = JSON.stringify([counting, width, height]);
    if (key === this.counted) return;
    this.counted = key;
    this.counter = counting && createCounter(counting, { width, height, labels: this.labels });
  }
}
