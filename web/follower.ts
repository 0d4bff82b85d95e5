/** In the worker: things keep a number from frame to frame, and what crosses lines or enters regions is counted. */
import {
  type Counter,
  type Counting,
  createCounter,
  createTracker,
  isObject,
  type ObjectDetection,
  type PictureLook,
} from "../src/index.ts";
import { coloured } from "./detector.ts";
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
    if (!this.tracker || this.sure !== confidence) {
      this.tracker = createTracker({ highScore: confidence, lowScore: Math.min(weak, confidence / 2) });
      this.sure = confidence;
    } else if (!isNew) return { ...this.last, totals: this.counter?.totals() };
    // A video that was wound back begins anew; its counts stay.
    if (at.time < this.lastTime) this.tracker.reset();
    this.lastTime = at.time;
    const lowest = Math.min(weak, confidence / 2);
    const found = look.detections({ confidence: lowest, iou }).filter(isObject);
    const tracks = this.tracker.update(found);
    this.counter?.update(tracks, { frame: ++this.frames, time: at.time });
    const boxes = coloured(tracks.tracked.map(({ detection, label }) => ({ ...detection, label })));
    const ids = tracks.tracked.map(({ id }) => id);
    this.last = { boxes: boxes.map((box, i) => ({ ...box, id: ids[i] })), totals: this.counter?.totals() };
    return this.last;
  }

  /** Other lines begin at 0. */
  private count({ counting, width, height }: { counting?: Counting; width: number; height: number }): void {
    const key = JSON.stringify([counting, width, height]);
    if (key === this.counted) return;
    this.counted = key;
    this.counter = counting && createCounter(counting, { width, height, labels: this.labels });
  }
}
