/** Videos frame by frame, and out again with what was found drawn into them: ffmpeg decodes and encodes, a thread of ours moves the pixels. */
import path from "node:path";
import { Worker } from "node:worker_threads";
import { InputError, type MotionOptions, type Picture } from "../../index.ts";
import type { Drawing, Ended, Job, Said, Told } from "./_protocol.ts";
import { frameRate, lastWords, probe, type VideoFacts, type VideoSource } from "./source.ts";
import { ask, encoderOptions, toolPath } from "./tools.ts";

export { type Drawing, drawOptions, type Ended } from "./_protocol.ts";

export interface VideoOptions {
  /** Only every n-th frame; default 1. */
  readonly every?: number;
  /** Seconds from the beginning, and how many of them. */
  readonly start?: number;
  readonly duration?: number;
  /** Whether frames are told apart that look as those before. */
  readonly motion?: MotionOptions;
  /** Where the frames go again with what is drawn into them: a file that is made, and its kind. */
  readonly encode?: { readonly file: string; readonly format: VideoFormat };
  /** Seconds without a byte after which a live source is taken to be gone; default 10. */
  readonly patience?: number;
  /** Once it is raised nothing more is read; what was released is still encoded. */
  readonly signal?: AbortSignal;
}

/** Where nothing says how many frames a second there are. */
const usualRate = 25;
/** Seconds. */
const usualPatience = 10;

export type VideoFormat = "mp4" | "mov" | "matroska";

/** A frame: its pixels are there until it is released. */
export interface VideoFrame {
  readonly picture: Picture & { readonly data: Uint8Array };
  /** Number in the source, from 1, and seconds from its beginning; of live sources both since it was opened. */
  readonly frame: number;
  readonly time: number;
  /** Whether it is the frame before, pixel by pixel: stills, and what fills the gaps of uneven videos. */
  readonly same: boolean;
  /** Whether it has to be searched: false where nothing moved, with `motion`. */
  readonly moved: boolean;
}

/** A video that is being read. */
export interface Video {
  readonly source: VideoSource;
  /** What was known before it was read, of files. */
  readonly facts?: VideoFacts;
  readonly width: number;
  readonly height: number;
  /** Frames a second that are given, and how many there will be, where that is known. */
  readonly rate: number;
  readonly frames?: number;
  /** The next frame; nothing at the end. */
  next(): Promise<VideoFrame | undefined>;
  /** Gives a frame back, once; with a drawing it becomes a frame of the encoded video. */
  release(frame: VideoFrame, drawing?: Drawing): void;
  /** How it ended, once `next` gave nothing. */
  readonly ended: Promise<Ended>;
  /** Ends everything at once. */
  abort(): void;
}

/**
 * Opens a video. Throws InputError where ffmpeg is missing or the source is none that it can read, with its words.
 *
 * The pixels go from ffmpeg to a thread and lie in a few shared buffers; when none is free nothing is read, so memory stays the same
 * however long the video is. Of live sources, frames for which there is no room are dropped instead.
 */
export async function openVideo(source: VideoSource, options: VideoOptions = {}): Promise<Video> {
  const { every = 1, start = 0, duration, motion, encode, patience = usualPatience } = options;
  const facts = source.file ? await probe(source) : undefined;
  if (facts?.duration !== undefined && start >= facts.duration) {
    throw new InputError(
      `${source.name}: the video has ${facts.duration.toFixed(2)} s, so there is nothing from ${start} s on`,
    );
  }
  const window = [
    ...(start > 0 ? ["-ss", String(start)] : []),
    ...(duration === undefined ? [] : ["-t", String(duration)]),
  ];
  const filters = [
    ...(facts ? [`fps=${facts.rate}:start_time=0`] : []),
    ...(every > 1 ? [`select=not(mod(n\\,${every}))`] : []),
  ];
  const job: Job = {
    ffmpeg: toolPath("ffmpeg"),
    decode: [
      ...window,
      ...source.input,
      ...(filters.length ? ["-vf", filters.join(",")] : []),
      // Frames as they come out of the filters, none twice.
      ...["-vsync", "passthrough"],
    ],
    ...{ live: source.live, patience, motion, uneven: facts?.uneven ?? false },
    encode: encode && {
      options: await outputOptions(encode, facts),
      rate: facts?.rate,
      every,
    },
  };
  if (!facts) await ask("ffmpeg", ["-version"]); // else ffprobe was there
  return new ReadVideo(source, facts, job, options).opened();
}

async function outputOptions(
  { file, format }: NonNullable<VideoOptions["encode"]>,
  facts: VideoFacts | undefined,
): Promise<string[]> {
  // Colours at half the size need even sides.
  const even = "pad=ceil(iw/2)*2:ceil(ih/2)*2";
  const filters = facts?.pixelAspect ? `${even},setsar=${facts.pixelAspect.replace(":", "/")}` : even;
  const encoder = await encoderOptions();
  const faststart = format === "matroska" ? [] : ["-movflags", "+faststart"];
  return [
    ...["-an", "-vf", filters, ...encoder, "-pix_fmt", "yuv420p"],
    ...faststart,
    "-f",
    format,
    "-y",
    `file:${file}`,
  ];
}

class ReadVideo implements Video {
  readonly source: VideoSource;
  readonly facts: VideoFacts | undefined;
  readonly ended: Promise<Ended>;
  width = 0;
  height = 0;
  private sourceRate = usualRate;
  private readonly options: VideoOptions;
  private readonly worker: Worker;
  private readonly children: number[] = [];
  private slots: readonly SharedArrayBuffer[] = [];
  private readonly given = new Map<VideoFrame, number>();
  private readonly queue: VideoFrame[] = [];
  private waiting: (() => void) | undefined;
  private isEnded = false;
  /** Whether the next frame of a live source is asked for; the first one is from the beginning. */
  private isAsked = true;
  private end: (ended: Ended) => void = () => {};
  private fail: (error: unknown) => void = () => {};
  private begun: () => void = () => {};

  constructor(source: VideoSource, facts: VideoFacts | undefined, job: Job, options: VideoOptions) {
    this.source = source;
    this.facts = facts;
    this.options = options;
    this.ended = new Promise((resolve, reject) => {
      [this.end, this.fail] = [resolve, reject];
    });
    this.ended.catch(() => {}); // who wants to know awaits it
    // The same name beside this file, in TypeScript or as it was built.
    const thread = new URL(`./thread${path.extname(import.meta.url)}`, import.meta.url);
    this.worker = new Worker(thread, { workerData: job });
    this.worker.on("message", (said: Said) => this.hear(said));
    this.worker.on("error", (error) => this.fail(error));
    this.worker.on("exit", () => {
      this.fail(new InputError(`${source.name}: the thread that reads it ended`));
      this.isEnded = true;
      this.wake();
    });
    this.tell({ do: "next" });
    if (options.signal?.aborted) this.stop();
    else options.signal?.addEventListener("abort", () => this.stop(), { once: true });
  }

  get rate(): number {
    return this.sourceRate / (this.options.every ?? 1);
  }

  get frames(): number | undefined {
    const { facts, options } = this;
    if (facts?.duration === undefined) return undefined;
    const left = facts.duration - (options.start ?? 0);
    const seconds = Math.min(left, options.duration ?? left);
    return Math.max(1, Math.ceil((seconds * frameRate(facts.rate)) / (options.every ?? 1) - 1e-6));
  }

  /** Once the size is known. */
  async opened(): Promise<this> {
    const first = new Promise<void>((resolve) => {
      this.begun = resolve;
    });
    const ended = await Promise.race([first, this.ended]);
    if (!ended) return this;
    const { complaint, stalled } = ended;
    const { patience = usualPatience, signal } = this.options;
    if (signal?.aborted) throw new InputError(`${this.source.name}: it was stopped before its first frame`);
    const why = stalled ? `nothing came for ${2 * patience} s` : complaint;
    throw new InputError(
      `${this.source.name}: no frame could be read: ${why === undefined ? "it has none" : lastWords(why, this.source)}`,
    );
  }

  private tell(told: Told): void {
    this.worker.postMessage(told);
  }

  private hear(said: Said): void {
    switch (said.is) {
      case "child":
        this.children.push(said.pid);
        return;
      case "opened": {
        [this.width, this.height, this.slots] = [said.width, said.height, said.slots];
        this.sourceRate = this.facts ? frameRate(this.facts.rate) : said.rate || usualRate;
        this.begun();
        return;
      }
      case "frame":
        this.queue.push(this.frameOf(said));
        break;
      case "ended":
        this.isEnded = true;
        this.end(said);
        break;
    }
    this.wake();
  }

  private frameOf({ slot, index, time, same, moved }: Extract<Said, { is: "frame" }>): VideoFrame {
    const { width, height, sourceRate, source } = this;
    const { every = 1, start = 0 } = this.options;
    const first = source.live ? 0 : Math.floor(start * sourceRate + 1e-6);
    const frame: VideoFrame = {
      picture: { width, height, channels: 4, data: new Uint8Array(this.slots[slot]) },
      frame: first + index * every + 1,
      time: source.live ? time : start + (index * every) / sourceRate,
      ...{ same, moved },
    };
    this.given.set(frame, slot);
    return frame;
  }

  private wake(): void {
    this.waiting?.();
    this.waiting = undefined;
  }

  async next(): Promise<VideoFrame | undefined> {
    if (!this.isAsked) this.tell({ do: "next" });
    this.isAsked = true;
    while (!this.queue.length && !this.isEnded) {
      await new Promise<void>((resolve) => {
        this.waiting = resolve;
      });
    }
    // One is fetched while this one is searched, but of a live source the newest when it is asked for.
    if (this.source.live) this.isAsked = false;
    else this.tell({ do: "next" });
    return this.queue.shift();
  }

  release(frame: VideoFrame, drawing?: Drawing): void {
    const slot = this.given.get(frame);
    if (slot === undefined) return;
    this.given.delete(frame);
    this.tell({ do: "release", slot, drawing });
  }

  private stop(): void {
    this.tell({ do: "stop" });
    for (const frame of this.queue.splice(0)) this.release(frame);
    this.tell({ do: "next" });
  }

  abort(): void {
    for (const pid of this.children) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It is gone already.
      }
    }
    void this.worker.terminate();
  }
}
