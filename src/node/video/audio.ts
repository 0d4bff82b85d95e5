/** The sound of the source beside the annotated frames. */
import type { VideoSource } from "./source.ts";
import { lastWords } from "./source.ts";
import { ask } from "./tools.ts";
import type { VideoFormat } from "./video.ts";

/** What players expect in an MP4; other sound is encoded anew. */
const copied = new Set(["aac", "mp3", "ac3", "eac3", "alac"]);

/**
 * Writes `to`: the frames of `video` and the sound of the source for as long as they last. Gives why that cannot be, or nothing.
 */
export async function addSound(
  video: string,
  to: string,
  format: VideoFormat,
  source: VideoSource,
  { audio, start, seconds }: { audio: string; start: number; seconds: number },
): Promise<string | undefined> {
  const sound = copied.has(audio) ? ["-c:a", "copy"] : ["-c:a", "aac", "-b:a", "160k"];
  const { err, failed } = await ask(
    "ffmpeg",
    [
      ...["-nostdin", "-v", "error", "-i", `file:${video}`],
      ...(start > 0 ? ["-ss", String(start)] : []),
      ...["-t", seconds.toFixed(3), ...source.input],
      ...["-map", "0:v:0", "-map", "1:a:0", "-c:v", "copy", ...sound],
      ...(format === "matroska" ? [] : ["-movflags", "+faststart"]),
      ...["-f", format, "-y", `file:${to}`],
    ],
    600_000,
  );
  return failed ? lastWords(err, source) : undefined;
}
