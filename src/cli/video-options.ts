/** Options of `detect` for videos and cameras, and which of its words are videos. */
import { InvalidArgumentError } from "commander";
import { readText } from "../node/files.ts";
import { expandPaths } from "../node/paths.ts";
import { camera, isVideoName, type VideoSource, videoExtensions, videoSource } from "../node/video/source.ts";
import { type Counting, type TrackMethod, UsageError } from "../node.ts";
import { parseCounting, trackMethods } from "../steps.ts";
import { flag, type OptionsOf, option, optional } from "./command.ts";
import { numberIn } from "./options.ts";

export const videoNotes = `
Of videos (files, rtsp:// and other addresses, /dev/video0, --camera) the frames are decoded by ffmpeg, which has to be installed.
With --out: the annotated video with its sound, NAME.ndjson with a line a frame, with --track NAME.csv and NAME.mot.txt, with
--count NAME.events.ndjson and NAME.counts.json; --json prints a line a frame. Ctrl-C ends it, what was done is kept:
docs/video.md.`;

export const videoExamples = `
  ncnnkit detect yolov5ss.pt clip.mp4 --out out/ --track --count door.json
  ncnnkit detect yolov5ss.pt rtsp://camera/stream --when-moving --json
  ncnnkit detect yolov5ss.pt --camera --every 3 --duration 60 --out out/`;

export const videoOptions = {
  camera: optional(
    "--camera [device]",
    "frames of a camera: /dev/video0 or the first one there is",
    "",
    String,
  ),
  every: option("--every <n>", "of videos only every n-th frame", numberIn(1, 1e6, true)),
  start: option("--start <time>", "of videos from here on: seconds, 1:30 or 0:01:30.5", parseTime),
  duration: option("--duration <time>", "of videos only so much", parseTime),
  track: optional(
    "--track [method]",
    "follow things from frame to frame: bytetrack (default) or sort",
    "bytetrack",
    parseMethod,
  ),
  count: option("--count <file>", "count at lines and in regions of a JSON file (with --track)"),
  whenMoving: flag("--when-moving", "search only frames in which something moves"),
  serve: optional(
    "--serve [port]",
    "show the frames of videos in a browser while they are searched, on a port of this machine",
    "8080",
    (text) => numberIn(0, 65535, true)(text),
  ),
  preview: flag("--preview", "show the frames of videos in the terminal"),
  video: flag("--no-video", "with --out: no annotated video, only what was found"),
};
export type VideoOptions = OptionsOf<typeof videoOptions>;

/** `90`, `1:30`, `0:01:30.5` in seconds. */
function parseTime(text: string): number {
  const parts = text.trim().split(":");
  const isTime =
    parts.length <= 3 &&
    parts.every((part, i) => /^\d+$/.test(part) || (i === parts.length - 1 && /^\d*\.?\d+$/.test(part)));
  if (!isTime)
    throw new InvalidArgumentError(
      "Expected seconds (90, 2.5) or hours, minutes and seconds (1:30, 0:01:30.5).",
    );
  return parts.reduce((seconds, part) => seconds * 60 + Number(part), 0);
}

function parseMethod(text: string): TrackMethod {
  const method = trackMethods.find((each) => each === text);
  if (method) return method;
  throw new InvalidArgumentError(
    `Allowed: ${trackMethods.join(", ")}. (Name the model and the video before --track.)`,
  );
}

/** The videos that are meant; nothing where it is about pictures. Throws UsageError for a mixture, and for options that do not go with it. */
export function videosOf(words: readonly string[], options: VideoOptions): VideoSource[] | undefined {
  const { camera: device } = options;
  const videos = words.filter(isVideoName);
  if (device === undefined && !videos.length) {
    if (!words.length) throw new UsageError("name pictures or videos to look at, or --camera");
    refuseForPictures(options);
    return undefined;
  }
  if (videos.length < words.length) {
    const picture = words.find((word) => !videos.includes(word));
    throw new UsageError(
      `${picture} is no video, and others are (${videos[0] ?? "--camera"}); give pictures and videos to runs of their own`,
    );
  }
  const sources = videos.flatMap((word) =>
    word.includes("://") ? [word] : expandPaths([word], videoExtensions).map(({ path }) => path),
  );
  return [
    ...(device === undefined ? [] : [camera(device === "" ? undefined : device)]),
    ...sources.map(videoSource),
  ];
}

function refuseForPictures({
  serve,
  preview,
  every,
  start,
  duration,
  track,
  count,
  whenMoving,
  video,
}: VideoOptions): void {
  const given = Object.entries({ every, start, duration, track, count, whenMoving, serve, preview }).find(
    ([, value]) => value !== undefined,
  );
  const name = given?.[0].replace("whenMoving", "when-moving") ?? (video === false ? "no-video" : undefined);
  if (name !== undefined)
    throw new UsageError(`--${name} is for videos and cameras, and there are only pictures`);
}

/** What is counted. Throws UsageError without --track. */
export async function countingOf({ count, track }: VideoOptions): Promise<Counting | undefined> {
  if (count === undefined) return undefined;
  if (track === undefined)
    throw new UsageError("--count needs --track: what is counted has to be followed from frame to frame");
  return parseCounting(await readText(count), count);
}
