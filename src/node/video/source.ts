/** Where frames come from: a file, a pipe, an address, a camera; what ffmpeg calls it, and what can be known before it is read. */
import { statSync } from "node:fs";
import path from "node:path";
import { InputError, UsageError } from "../../index.ts";
import { isPictureAddress } from "../addresses.ts";
import { kindOf, listFolder } from "../files.ts";
import { pictureExtensions } from "../picture.ts";
import { ask, toolMessage } from "./tools.ts";

export const videoExtensions: readonly string[] = [
  ...["mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "ts", "mts", "m2ts", "wmv", "flv", "3gp"],
  ...["ogv", "y4m", "h264", "hevc", "mjpeg", "mjpg"],
];

export interface VideoSource {
  /** As people call it. */
  readonly name: string;
  /** Options of ffmpeg, `-i` and what it is. */
  readonly input: readonly string[];
  /** Frames come when they come: old ones are dropped, not waited for. */
  readonly live: boolean;
  /** A file of its own, which can be read again and asked before. */
  readonly file: boolean;
}

const address = /^([a-z][a-z0-9+.-]+):\/\//i;
const liveSchemes = new Set(["rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "tcp", "srt", "rist"]);

const hasEnding = (name: string, extensions: readonly string[]): boolean =>
  extensions.includes(path.extname(name).slice(1).toLowerCase());

/** Whether a word of the command line is a video rather than a picture; a folder is one of videos if it has such and no pictures. */
export function isVideoName(word: string): boolean {
  if (address.test(word)) return !isPictureAddress(word);
  const kind = kindOf(word);
  if (kind === "folder") {
    const has = (extensions: readonly string[]): boolean =>
      listFolder(word).some((name) => hasEnding(name, extensions));
    return has(videoExtensions) && !has(pictureExtensions);
  }
  return hasEnding(word, videoExtensions) || (kind === "file" && !statSync(word).isFile());
}

/** A file, a pipe, an address or a device by its name. Throws InputError where there is none. */
export function videoSource(name: string): VideoSource {
  const scheme = address.exec(name)?.[1].toLowerCase();
  if (scheme === "file") return videoSource(new URL(name).pathname);
  if (scheme !== undefined) {
    const live = liveSchemes.has(scheme);
    const transport = scheme.startsWith("rtsp") ? ["-rtsp_transport", "tcp"] : [];
    return { name, input: [...transport, "-i", name], live, file: !live };
  }
  const kind = kindOf(name);
  if (kind === undefined) throw new InputError(`cannot read ${name}: there is no such file or camera`);
  if (kind === "folder") throw new InputError(`${name} is a folder, expected a video`);
  const stats = statSync(name);
  if (stats.isCharacterDevice()) return camera(name);
  if (stats.isFile() && stats.size === 0) throw new InputError(`${name}: the file is empty, not a video`);
  // `file:` so that no part of a name is taken for a protocol.
  return { name, input: ["-i", `file:${name}`], live: false, file: stats.isFile() };
}

/** A camera of this machine; without a name the first. Throws UsageError where the system needs a name. */
export function camera(device?: string, platform: NodeJS.Platform = process.platform): VideoSource {
  const live = { live: true, file: false } as const;
  if (platform === "darwin") {
    const name = device ?? "0";
    return {
      name: `camera ${name}`,
      input: ["-f", "avfoundation", "-framerate", "30", "-i", `${name}:none`],
      ...live,
    };
  }
  if (platform === "win32") {
    if (device === undefined) {
      throw new UsageError(
        '--camera needs a name on Windows, as in --camera "Integrated Camera"; ffmpeg -list_devices true -f dshow -i dummy lists them',
      );
    }
    return { name: `camera ${device}`, input: ["-f", "dshow", "-i", `video=${device}`], ...live };
  }
  const name = device === undefined ? "/dev/video0" : /^\d+$/.test(device) ? `/dev/video${device}` : device;
  if (kindOf(name) === undefined) {
    throw new InputError(`cannot read ${name}: there is no such camera; ls /dev/video* lists them`);
  }
  return { name, input: ["-f", "v4l2", "-i", name], ...live };
}

/** What a file says of itself. */
export interface VideoFacts {
  /** Frames a second, as ffmpeg writes it: `25`, `30000/1001`. */
  readonly rate: string;
  /** Whether the frames come at uneven times; they are taken at `rate`. */
  readonly uneven: boolean;
  /** Seconds, where it says so. */
  readonly duration?: number;
  /** Name of the audio's codec. */
  readonly audio?: string;
  /** Width of a pixel to its height, `4:3`, where pixels are not square. */
  readonly pixelAspect?: string;
}

interface ProbedStream {
  codec_type?: string;
  codec_name?: string;
  r_frame_rate?: string;
  avg_frame_rate?: string;
  duration?: string;
  sample_aspect_ratio?: string;
  disposition?: { attached_pic?: number };
}

/** Asks ffprobe. Throws InputError for what is no video. */
export async function probe(source: VideoSource): Promise<VideoFacts> {
  const wanted = ["-v", "error", "-of", "json", "-show_streams", "-show_format"];
  const { out, err, failed } = await ask("ffprobe", [...wanted, ...source.input]);
  if (failed) throw new InputError(`${source.name}: not a video that can be read: ${lastWords(err, source)}`);
  const { streams = [], format = {} } = JSON.parse(out) as {
    streams?: ProbedStream[];
    format?: { duration?: string };
  };
  // A song's cover is a picture, not a video.
  const video = streams.find((each) => each.codec_type === "video" && !each.disposition?.attached_pic);
  if (!video) {
    const kinds = streams.map(({ codec_type: kind }) => kind ?? "unknown").join(", ");
    throw new InputError(`${source.name}: there is no video in this file${kinds ? `, only ${kinds}` : ""}`);
  }
  const duration = Number(video.duration ?? format.duration);
  const aspect = video.sample_aspect_ratio;
  return {
    ...rateOf(video),
    duration: duration > 0 ? duration : undefined,
    audio: streams.find((each) => each.codec_type === "audio")?.codec_name,
    pixelAspect: aspect && !/^(0|1):1$|:0$/.test(aspect) ? aspect : undefined,
  };
}

/** The most frames a second that a file is believed to have. */
const maxRate = 1000;

function rateOf({
  r_frame_rate: finest = "",
  avg_frame_rate: mean = "",
}: ProbedStream): Pick<VideoFacts, "rate" | "uneven"> {
  const value = (rate: string): number => {
    const result = frameRate(rate);
    return result > 0 && result <= maxRate ? result : 0;
  };
  const [fine, even] = [value(finest), value(mean)];
  const uneven = fine > 0 && even > 0 && Math.abs(fine / even - 1) > 0.02;
  // Of uneven frames the finest rate misses none, unless it is a mere unit of time.
  if (fine > 0 && (!uneven || fine <= 60)) return { rate: finest, uneven };
  return even > 0 ? { rate: mean, uneven } : { rate: "25", uneven: true };
}

/** A rate such as `30000/1001` as a number. */
export const frameRate = (rate: string): number => {
  const [over, under = 1] = rate.split("/").map(Number);
  return over / under;
};

/** The end of what ffmpeg said, without the name of the file, which the message has already. */
export function lastWords(text: string, { input, name }: VideoSource): string {
  const lines = text
    .split(/[\r\n]+/)
    .map((line) => toolMessage(line).text)
    .filter((line) => line !== "");
  // The last line often only says that there was an error, and the one before which.
  const isVague = /^(Invalid data found when processing input|Conversion failed!)$/.test(
    (lines.at(-1) ?? "").replace(/^.*: /, ""),
  );
  const last = lines.at(isVague && lines.length > 1 ? -2 : -1) ?? "no reason was given";
  const asked = input.at(-1) ?? name;
  return last.replace(`${asked}: `, "").replaceAll(asked, name);
}
