/** What `detect` writes of a video: the annotated video, lines a frame, tracks, events. */
import path from "node:path";
import { realPath } from "../node/files.ts";
import { addSound } from "../node/video/audio.ts";
import { GrowingFile } from "../node/video/outputs.ts";
import type { VideoSource } from "../node/video/source.ts";
import type { Drawing, Ended, Video, VideoFormat } from "../node/video/video.ts";
import { makeFolder, removeIfEmpty } from "../node/write.ts";
import {
  type CountEvent,
  type Counter,
  type Counting,
  type Detection,
  isObject,
  UsageError,
  writeFiles,
} from "../node.ts";
import { detectionJson, type placesOf, tracksText, yoloText } from "../steps.ts";

/** What is reported of a frame. */
export interface FrameResult {
  /** Number and seconds in the source. */
  readonly frame: number;
  readonly time: number;
  /** Whether nothing moved, so that it is what was found before. */
  readonly held: boolean;
  readonly detections: readonly Detection[];
  /** Of each of them, where things are followed. */
  readonly ids?: readonly number[];
  readonly events: readonly CountEvent[];
}

/** A line of NDJSON. */
export function frameJson({ frame, time, held, detections, ids, events }: FrameResult): object {
  return {
    frame,
    time: Number(time.toFixed(4)),
    ...(held && { held }),
    detections: detections.map((each, i) => {
      const json = detectionJson(each);
      return ids ? { track: ids[i], ...json } : json;
    }),
    ...(events.length > 0 && { events }),
  };
}

/** What is drawn into a frame; `places` in the order of the counter's totals. */
export function drawingOf(
  { detections, ids }: FrameResult,
  places: ReturnType<typeof placesOf>,
  counter: Counter | undefined,
): Drawing {
  const totals = counter?.totals() ?? [];
  return {
    // Colours tell identities apart, where there are some, else classes.
    detections: ids ? detections.map((each, i) => ({ ...each, classId: ids[i] })) : detections,
    texts: detections.map(({ label, score }, i) => `${ids ? `#${ids[i]} ` : ""}${label} ${score.toFixed(2)}`),
    shapes: places.map(({ name, closed, places: corners }, i) => {
      const { in: came = 0, out: went = 0, inside } = totals[i] ?? {};
      const text = `${name}: ${came} in, ${went} out${inside === undefined ? "" : `, ${inside} inside`}`;
      return { closed, places: corners, text };
    }),
  };
}

const formats: Readonly<Record<string, VideoFormat>> = {
  ".mp4": "mp4",
  ".m4v": "mp4",
  ".mov": "mov",
  ".mkv": "matroska",
};

interface Wanted {
  readonly track?: string;
  readonly save?: string;
  readonly video?: boolean;
  readonly counting?: Counting;
  readonly start?: number;
}

export class VideoFiles {
  /** Where the frames are written to; nothing with --no-video. */
  readonly encode: { readonly file: string; readonly format: VideoFormat } | undefined;
  /** What the annotated video will be called. */
  readonly videoFile: string | undefined;
  private readonly folder: string;
  private readonly name: string;
  private readonly source: VideoSource;
  private readonly wanted: Wanted;
  private readonly video: GrowingFile | undefined;
  private readonly frames: GrowingFile;
  private readonly rows: GrowingFile | undefined;
  private readonly mot: GrowingFile | undefined;
  private readonly events: GrowingFile | undefined;
  private counter: Counter | undefined;
  private size = { width: 0, height: 0 };
  private texts = 0;
  private readonly created: readonly string[];

  /** Throws UsageError where the source would be overwritten, InputError where the folder cannot be made. */
  constructor(folder: string, name: string, source: VideoSource, wanted: Wanted) {
    const { track, counting, video } = wanted;
    [this.folder, this.name, this.source, this.wanted] = [folder, name, source, wanted];
    this.created = makeFolder(folder);
    const growing = (ending: string): GrowingFile => new GrowingFile(path.join(folder, `${name}${ending}`));
    const extension = path.extname(source.name).toLowerCase();
    const ending = source.file && Object.hasOwn(formats, extension) ? extension : ".mp4";
    this.video = video === false ? undefined : growing(ending);
    this.videoFile = this.video?.file;
    this.encode = this.video && { file: this.video.temporary, format: formats[ending] };
    this.frames = growing(".ndjson");
    this.rows = track === undefined ? undefined : growing(".csv");
    this.mot = track === undefined ? undefined : growing(".mot.txt");
    this.events = counting && growing(".events.ndjson");
    for (const { file } of this.growing()) {
      const there = realPath(file);
      if (there !== undefined && there === realPath(source.name)) {
        throw new UsageError(`--out ${folder} would overwrite ${source.name}; choose another folder`);
      }
    }
  }

  private growing(): GrowingFile[] {
    return [this.video, this.frames, this.rows, this.mot, this.events].filter((each) => each !== undefined);
  }

  begin({ width, height }: Video, counter: Counter | undefined): void {
    this.size = { width, height };
    this.counter = counter;
    this.rows?.write("frame,time,track,label,score,x,y,width,height\n");
  }

  write(result: FrameResult): void {
    const { frame, time, detections, ids, events } = result;
    this.frames.write(`${JSON.stringify(frameJson(result))}\n`);
    for (const event of events) this.events?.write(`${JSON.stringify(event)}\n`);
    if (ids) this.writeTracks(frame, time, detections, ids);
    if (this.wanted.save === "txt") this.writeText(frame, detections);
  }

  private writeTracks(
    frame: number,
    time: number,
    detections: readonly Detection[],
    ids: readonly number[],
  ): void {
    const digits = (value: number, count: number): string => String(Number(value.toFixed(count)));
    for (const [i, each] of detections.entries()) {
      if (!isObject(each)) continue;
      const { box, score } = each;
      const { x, y, width, height } = box;
      const label = /[",\r\n]/.test(each.label) ? `"${each.label.replaceAll('"', '""')}"` : each.label;
      const place = [x, y, width, height].map((value) => digits(value, 2));
      this.rows?.write(`${[frame, digits(time, 4), ids[i], label, digits(score, 5), ...place].join(",")}\n`);
      this.mot?.write(tracksText([{ frame, id: ids[i], box, score }]));
    }
  }

  /** YOLO's text files have no other form than one a picture. */
  private writeText(frame: number, detections: readonly Detection[]): void {
    const folder = path.join(this.folder, this.name);
    if (!this.texts++) makeFolder(folder);
    const file = new GrowingFile(path.join(folder, `${String(frame).padStart(6, "0")}.txt`));
    file.write(yoloText(detections, this.size.width, this.size.height));
    file.finish();
  }

  /** Gives everything its name; gives the names. */
  async finish(
    events: readonly CountEvent[],
    video: Video,
    { encoded, encodeError }: Ended,
    warned: (message: string) => void,
  ): Promise<string[]> {
    for (const event of events) this.events?.write(`${JSON.stringify(event)}\n`);
    if (this.video && encodeError === undefined && encoded)
      await this.finishVideo(this.video, video, encoded, warned);
    else this.video?.discard();
    for (const each of this.growing()) if (each !== this.video) each.finish();
    const names = this.growing().filter(
      (each) => each !== this.video || (encodeError === undefined && encoded),
    );
    const written = names.map(({ file }) => path.basename(file));
    if (this.counter) {
      const file = `${this.name}.counts.json`;
      await writeFiles(this.folder, { [file]: `${JSON.stringify(this.counter.totals(), null, 2)}\n` });
      written.push(file);
    }
    if (this.texts) written.push(`${this.name}/ (${this.texts} texts)`);
    return written;
  }

  private async finishVideo(
    growing: GrowingFile,
    video: Video,
    encoded: number,
    warned: (message: string) => void,
  ): Promise<void> {
    const { audio } = video.facts ?? {};
    if (audio !== undefined && this.encode) {
      const whole = new GrowingFile(growing.file);
      const { start = 0 } = this.wanted;
      const seconds = encoded / video.rate;
      const why = await addSound(growing.temporary, whole.temporary, this.encode.format, this.source, {
        audio,
        start,
        seconds,
      });
      if (why === undefined) {
        growing.discard();
        return whole.rename();
      }
      whole.discard();
      warned(`${growing.file}: without sound: ${why}`);
    }
    growing.rename();
  }

  /** Nothing of it stays. */
  discard(): void {
    for (const each of this.growing()) each.discard();
    for (const folder of this.created) removeIfEmpty(folder);
  }
}
