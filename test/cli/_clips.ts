/** Small clips for tests, made by ffmpeg, which may be missing. */
import { execFileSync, spawnSync } from "node:child_process";
import { test } from "vitest";

const hasFfmpeg =
  spawnSync("ffmpeg", ["-version"]).status === 0 && spawnSync("ffprobe", ["-version"]).status === 0;
if (!hasFfmpeg) console.warn("ffmpeg is not installed: tests on videos are skipped");

/** A test that needs ffmpeg. */
export const testVideo = test.skipIf(!hasFfmpeg);

/** Runs ffmpeg; words are split at blanks. */
export function ffmpeg(line: string): void {
  execFileSync("ffmpeg", ["-nostdin", "-v", "error", "-y", ...line.split(" ")]);
}

interface ProbedStream {
  codec_type: string;
  width: number;
  height: number;
  nb_read_frames: string;
  duration: string;
  r_frame_rate: string;
}

/** The streams of a video, frames counted by decoding them all. */
export function streamsOf(file: string): ProbedStream[] {
  const out = execFileSync("ffprobe", ["-v", "error", "-count_frames", "-show_streams", "-of", "json", file]);
  return JSON.parse(out.toString()).streams;
}
