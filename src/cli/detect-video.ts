/** `ncnnkit detect` on videos and cameras: frames in, what was found out, until the end or Ctrl-C. */
import path from "node:path";
import { counted, fileSafe, visible } from "../base/text.ts";
import { type LiveView, openLiveView } from "../node/video/live.ts";
import { watchStop } from "../node/video/signals.ts";
import { frameRate, lastWords, type VideoSource } from "../node/video/source.ts";
import {
  type Drawing,
  drawOptions,
  type Ended,
  openVideo,
  type Video,
  type VideoFrame,
} from "../node/video/video.ts";
import {
  type Counting,
  createCounter,
  createTracker,
  type Detection,
  drawDetections,
  fontLetterer,
  InputError,
  isObject,
  type ObjectDetection,
  UsageError,
} from "../node.ts";
import { lettered, type Model, type ModelDetectOptions, placesOf, sameName, taskOf } from "../steps.ts";
import { detectionLine } from "./detections.ts";
import { TerminalPreview } from "./preview.ts";
import { startProgress } from "./progress.ts";
import { type Terminal, warn } from "./terminal.ts";
import { drawingOf, type FrameResult, frameJson, VideoFiles } from "./video-files.ts";
import { countingOf, type VideoOptions } from "./video-options.ts";

/** Of `detect`, besides those of videos and of the search. */
interface OutputOptions {
  readonly out?: string;
  readonly save?: "txt" | "coco" | "dota";
  readonly json?: boolean;
}
type Options = VideoOptions & ModelDetectOptions & OutputOptions;

/** From this score on something is searched for while things are followed: weak ones help to keep hold of them. */
const weakest = 0.1;

/** Throws UsageError for what cannot be done with videos, before a model is loaded. */
export function checkVideoOptions({ save, out, video }: Options): void {
  if (save === "coco" || save === "dota") {
    throw new UsageError(
      `--save ${save} is for pictures; of videos there are txt, and NAME.ndjson in any case`,
    );
  }
  if (video === false && out === undefined)
    throw new UsageError("--no-video says what not to write to --out, which is not given");
}

export async function detectVideos(
  model: Model,
  sources: readonly VideoSource[],
  options: Options,
  terminal: Terminal,
): Promise<void> {
  const counting = await countingOf(options);
  if (options.track && taskOf(model.manifest.heads) === "classify") {
    throw new UsageError(`--track follows objects; ${model.manifest.name} sorts whole pictures`);
  }
  const names = outputNames(sources);
  const live = options.serve === undefined ? undefined : await openLiveView(options.serve);
  if (live) terminal.err(`${live.url} shows the frames\n`);
  try {
    for (const [i, source] of sources.entries()) {
      const isSeveral = sources.length > 1;
      await new Watch(model, source, { options, counting, terminal, live, name: names[i], isSeveral }).run();
    }
  } finally {
    await live?.stop();
  }
}

/** Names in --out without extension, each once. */
function outputNames(sources: readonly VideoSource[]): string[] {
  const used = new Set<string>();
  return sources.map(({ name, file }) => {
    const plain = file
      ? path.basename(name, path.extname(name))
      : name.replace(/^[a-z]+:\/\/(?:[^/@]*@)?/i, "");
    const stem =
      fileSafe(plain)
        .replaceAll(/[^\p{L}\p{N}._ -]+/gu, "-")
        .replace(/^[-.]+|[-.]+$/g, "") || "video";
    let i = 1;
    const numbered = (): string => (i === 1 ? stem : `${stem}-${i}`);
    while (used.has(sameName(numbered()))) i++;
    used.add(sameName(numbered()));
    return numbered();
  });
}

interface Setting {
  readonly options: Options;
  readonly counting: Counting | undefined;
  readonly terminal: Terminal;
  readonly live: LiveView | undefined;
  readonly name: string;
  readonly isSeveral: boolean;
}

/** One source from its first frame to its last. */
class Watch {
  private readonly model: Model;
  private readonly source: VideoSource;
  private readonly setting: Setting;
  private readonly preview: TerminalPreview | undefined;
  private readonly progress: ReturnType<typeof startProgress>;
  private readonly tracker: ReturnType<typeof createTracker> | undefined;
  private counter: ReturnType<typeof createCounter> | undefined;
  private frames = 0;
  private searched = 0;
  private boxes = 0;
  /** Of the searches. */
  private milliseconds = 0;
  private last: FrameResult | undefined;
  private found: Detection[] | undefined;
  private lastSaid = performance.now();

  constructor(model: Model, source: VideoSource, setting: Setting) {
    this.model = model;
    this.source = source;
    this.setting = setting;
    const { terminal, options } = setting;
    this.preview =
      options.preview && terminal.live
        ? new TerminalPreview((text) => process.stderr.write(text))
        : undefined;
    // A bar and pictures in one terminal would tear each other.
    this.progress = startProgress(this.preview ? { ...terminal, live: false } : terminal);
    const { track, confidence = 0.25 } = setting.options;
    this.tracker = track && createTracker({ method: track, highScore: confidence });
  }

  async run(): Promise<void> {
    const { options, counting, name, terminal } = this.setting;
    const files =
      options.out === undefined
        ? undefined
        : new VideoFiles(options.out, name, this.source, { ...options, counting });
    let video: Video | undefined;
    const stop = new AbortController();
    const stopping = watchStop(
      () => {
        terminal.err("stopping; once more gives up what is being written\n");
        stop.abort();
      },
      () => {
        video?.abort();
        files?.discard();
      },
    );
    try {
      video = await this.open(files, stop.signal);
      const failure = await this.readAll(video, files, stop);
      const ended = await video.ended;
      await this.close(video, ended, files, stopping.signal);
      if (failure !== undefined) throw failure;
    } catch (error) {
      video?.abort();
      files?.discard();
      if (stopping.signal && !this.source.live) stopping.pass();
      throw error;
    } finally {
      this.progress.stop();
      stopping.release();
    }
    // A camera has no other end; of anything else who called has to know that it is not whole.
    if (stopping.signal && !this.source.live) stopping.pass();
  }

  private async open(files: VideoFiles | undefined, signal: AbortSignal): Promise<Video> {
    const { every, start, duration, whenMoving } = this.setting.options;
    const encode = files?.encode;
    const video = await openVideo(this.source, {
      ...{ every, start, duration, encode, signal },
      motion: whenMoving ? {} : undefined,
    });
    if (video.facts?.uneven) {
      this.progress.warn(
        `${this.source.name}: its frames come at uneven times; ${rateText(frameRate(video.facts.rate))} a second are taken of it`,
      );
    }
    return video;
  }

  /** Gives what went wrong with a frame; what was done before is kept. */
  private async readAll(
    video: Video,
    files: VideoFiles | undefined,
    stop: AbortController,
  ): Promise<unknown> {
    const { counting, terminal, options } = this.setting;
    try {
      const { width, height } = video;
      const places = counting ? placesOf(counting, { width, height }) : [];
      if (counting)
        this.counter = createCounter(counting, { width, height, labels: this.model.manifest.labels });
      files?.begin(video, this.counter);
      for (let frame = await video.next(); frame; frame = await video.next()) {
        const result = await this.search(frame);
        const drawing = drawingOf(result, places, this.counter);
        await this.show(frame, drawing);
        video.release(frame, files?.encode && drawing);
        files?.write(result);
        this.frames++;
        this.boxes += result.detections.length;
        if (options.json) terminal.out(`${JSON.stringify(this.named(frameJson(result)))}\n`);
        else if (options.out === undefined) terminal.out(this.lines(result));
        this.tell(video);
      }
      return undefined;
    } catch (error) {
      stop.abort();
      while (await video.next());
      return error ?? new Error("unknown");
    }
  }

  private async search({ picture, frame, time, same, moved }: VideoFrame): Promise<FrameResult> {
    if (!moved && this.last) {
      this.last = { ...this.last, frame, time, held: true, events: [] };
      return this.last;
    }
    // In the same pixels the same is found.
    if (!same || !this.found) this.found = await this.find(picture);
    this.last = { frame, time, held: false, ...this.follow(this.found, frame, time) };
    return this.last;
  }

  private async find(picture: VideoFrame["picture"]): Promise<Detection[]> {
    const { options } = this.setting;
    const { confidence, iou, maxDetections, classes, size, rectangle, agnostic } = options;
    const started = performance.now();
    const found = await this.model.detect(picture, {
      ...{ iou, maxDetections, classes, size, rectangle, agnostic },
      confidence: this.tracker ? Math.min(weakest, confidence ?? 1) : confidence,
    });
    this.milliseconds += performance.now() - started;
    this.searched++;
    return found;
  }

  private follow(
    found: readonly Detection[],
    frame: number,
    time: number,
  ): Pick<FrameResult, "detections" | "ids" | "events"> {
    if (!this.tracker) return { detections: found, events: [] };
    const tracks = this.tracker.update(found.filter(isObject) as ObjectDetection[]);
    return {
      // As what it is called over all frames, not in this one.
      detections: tracks.tracked.map(({ detection, label, classId }) => ({ ...detection, label, classId })),
      ids: tracks.tracked.map(({ id }) => id),
      events: this.counter?.update(tracks, { frame, time }) ?? [],
    };
  }

  /** To who looks on. */
  private async show({ picture, time }: VideoFrame, drawing: Drawing): Promise<void> {
    const { live, options, isSeveral } = this.setting;
    const inTerminal = this.preview?.wanted ?? false;
    if (!inTerminal && !live?.wanted) return;
    const { detections } = drawing;
    const how = await lettered(picture, detections, fontLetterer, drawOptions(drawing));
    const drawn = drawDetections(picture, detections, how);
    const { columns = 80, rows = 24 } = process.stderr;
    if (inTerminal) this.preview?.show(drawn, columns, Math.max(4, rows - 2));
    const lines = [
      `${time.toFixed(1)} s, ${counted(this.frames + 1, "frame")}, ${this.rateSoFar().toFixed(1)} a second${options.track ? `, ${counted(detections.length, "thing")} in sight` : ""}`,
      ...totalLines(this.counter?.totals() ?? [])
        .trimEnd()
        .split("\n"),
    ];
    if (live?.wanted)
      await live.show(drawn, { title: `${this.source.name}${isSeveral ? " (one of several)" : ""}`, lines });
  }

  private rateSoFar(): number {
    return (this.frames * 1000) / (performance.now() - this.begun);
  }

  private named(json: object): object {
    return this.setting.isSeveral ? { video: this.source.name, ...json } : json;
  }

  private lines({ detections, ids, time }: FrameResult): string {
    const name = this.setting.isSeveral ? `${visible(this.source.name)} ` : "";
    return detections
      .map((each, i) => `${name}${time.toFixed(3)}: ${ids ? `#${ids[i]} ` : ""}${detectionLine(each)}\n`)
      .join("");
  }

  private tell(video: Video): void {
    const { name } = this.source;
    const now = performance.now();
    if (video.frames !== undefined)
      this.progress.step(name, this.frames, Math.max(this.frames, video.frames));
    else if (now - this.lastSaid >= 10_000) {
      this.lastSaid = now;
      this.progress.say(`${name}: ${counted(this.frames, "frame")}`);
    }
  }

  /** Finishes the files and says how it went. */
  private async close(
    video: Video,
    ended: Ended,
    files: VideoFiles | undefined,
    signal: NodeJS.Signals | undefined,
  ): Promise<void> {
    const { options, terminal } = this.setting;
    const { name, live } = this.source;
    const reason = ended.complaint === undefined ? undefined : lastWords(ended.complaint, this.source);
    if (!this.frames) {
      throw new InputError(
        `${name}: no frame could be read: ${signal ? "it was stopped" : (reason ?? "it has none")}`,
      );
    }
    const at = { frame: this.last?.frame ?? 0, time: this.last?.time ?? 0 };
    const events = this.counter?.finish(at) ?? [];
    const written = await files?.finish(events, video, ended, (message) => this.progress.warn(message));
    this.progress.stop();
    if (options.json && this.counter)
      terminal.out(`${JSON.stringify(this.named({ counts: this.counter.totals(), events }))}\n`);
    else if (this.counter) terminal.out(totalLines(this.counter.totals()));
    terminal.err(`${this.closing(video, ended, written ?? [])}\n`);
    if (signal)
      terminal.err(`stopped by ${signal === "SIGINT" ? "Ctrl-C" : signal}; what was done is kept\n`);
    else if (live && !this.isOver(video)) {
      const why = ended.stalled ? "nothing came for 10 s" : (reason ?? "it sends no more");
      throw new InputError(
        `${name}: the source went away after ${at.time.toFixed(1)} s: ${why}; what was done is kept`,
      );
    } else if (reason !== undefined) {
      const { duration } = video.facts ?? {};
      const whole = duration === undefined ? "" : ` of ${duration.toFixed(2)} s`;
      const isWhole = video.frames !== undefined && this.frames >= video.frames - 1;
      const how = isWhole ? "in places" : `and read as far as it goes (${at.time.toFixed(2)} s${whole})`;
      warn(terminal, `${name}: damaged ${how}: ${reason}`);
    } else if (video.frames !== undefined && this.frames < 0.9 * video.frames) {
      warn(terminal, `${name}: it ended after ${this.frames} of about ${video.frames} frames`);
    }
    if (ended.encodeError !== undefined) {
      throw new InputError(
        `${files?.videoFile}: the annotated video could not be written: ${ended.encodeError}; the rest is there`,
      );
    }
  }

  /** Whether as much as was asked for came. */
  private isOver({ rate }: Video): boolean {
    const { duration } = this.setting.options;
    return duration !== undefined && (this.last?.time ?? 0) >= duration - 2 - 2 / rate;
  }

  private closing({ rate }: Video, { dropped }: Ended, written: readonly string[]): string {
    const { out } = this.setting.options;
    return [
      `${this.source.name}: ${counted(this.boxes, taskOf(this.model.manifest.heads) === "classify" ? "class" : "box")} on ${counted(this.frames, "frame")}`,
      `${this.rateSoFar().toFixed(1)} frames a second (the video has ${rateText(rate)})`,
      `${(this.milliseconds / Math.max(1, this.searched)).toFixed(1)} ms a search`,
      ...(this.searched < this.frames ? [`${this.frames - this.searched} as before`] : []),
      ...(dropped ? [`${dropped} dropped`] : []),
      ...(written.length ? [`written to ${out}: ${written.join(", ")}`] : []),
    ].join(", ");
  }

  private readonly begun = performance.now();
}

const rateText = (rate: number): string => rate.toFixed(2).replace(/\.?0+$/, "");

type Totals = ReturnType<ReturnType<typeof createCounter>["totals"]>;

function totalLines(totals: Totals): string {
  return totals
    .map(({ name, shape, classes, dwell, inside, appeared, vanished, ...sum }) => {
      const each = Object.entries(classes).map(
        ([label, { in: came, out: went }]) => `${label} ${came}/${went}`,
      );
      const stay =
        shape === "line" || !dwell
          ? []
          : [
              `${inside} inside, ${appeared} appeared and ${vanished} vanished inside`,
              ...(dwell.count ? [`stay ${dwell.mean.toFixed(1)} s, at most ${dwell.max.toFixed(1)} s`] : []),
            ];
      return `${visible(name)}: ${[`${sum.in} in, ${sum.out} out`, ...each, ...stay].join("; ")}\n`;
    })
    .join("");
}
