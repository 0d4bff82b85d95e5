/** ffmpeg and ffprobe, which decode and encode videos: where they are, what they say, what they can. */
import { execFile } from "node:child_process";
import path from "node:path";
import { InputError } from "../../index.ts";
import { kindOf } from "../files.ts";

type Tool = "ffmpeg" | "ffprobe";

/** FFMPEG says where they are (a program or its folder), else they are on PATH. */
export function toolPath(tool: Tool): string {
  const given = process.env.FFMPEG;
  if (!given) return tool;
  const ending = process.platform === "win32" ? ".exe" : "";
  if (kindOf(given) === "folder") return path.join(given, `${tool}${ending}`);
  if (tool === "ffmpeg") return given;
  return path.join(path.dirname(given), path.basename(given).replace("ffmpeg", tool));
}

/** For a program that could not be started. */
export function missingTool(tool: Tool, error: unknown): InputError {
  const where = process.env.FFMPEG
    ? `FFMPEG=${process.env.FFMPEG} leads to ${toolPath(tool)}`
    : `it is not on PATH`;
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  return new InputError(
    `videos need ${tool}, which cannot be started (${code}; ${where}): install ffmpeg (Debian, Ubuntu: apt install ffmpeg; macOS: brew install ffmpeg; Windows: winget install ffmpeg; others: ffmpeg.org/download.html), or say where it is with FFMPEG=/path/to/ffmpeg`,
    { cause: error },
  );
}

/** What a tool prints. Throws InputError where it cannot be started; one that fails gives `failed`. */
export function ask(
  tool: Tool,
  arguments_: readonly string[],
  timeout = 30_000,
): Promise<{ out: string; err: string; failed: boolean }> {
  return new Promise((resolve, reject) => {
    const options = { timeout, maxBuffer: 16 * 2 ** 20, windowsHide: true };
    execFile(toolPath(tool), arguments_, options, (error, out, err) => {
      if (error && typeof error.code === "string" && /^E[A-Z]+$/.test(error.code)) {
        reject(missingTool(tool, error));
      } else
        resolve({
          out,
          err: error?.killed ? `no answer in ${timeout / 1000} s` : err,
          failed: Boolean(error),
        });
    });
  });
}

/** Encoders for the annotated video, the best first. All but the last are H.264, which everything plays. */
const encoders: readonly (readonly [name: string, ...options: string[]])[] = [
  ["libx264", "-preset", "veryfast", "-crf", "22"],
  ["h264_videotoolbox", "-q:v", "60"],
  ["libopenh264", "-b:v", "6M"],
  ["h264_mf", "-b:v", "6M"],
  ["mpeg4", "-q:v", "4"],
];

/** Options of the best encoder that this ffmpeg has. */
export async function encoderOptions(): Promise<string[]> {
  const { out } = await ask("ffmpeg", ["-hide_banner", "-encoders"]);
  const found = encoders.find(([name]) => new RegExp(`^ *V\\S* +${name} `, "m").test(out));
  if (!found) {
    throw new InputError(
      `this ffmpeg can encode none of ${encoders.map(([name]) => name).join(", ")}; install a complete one, or write no video (--no-video)`,
    );
  }
  return ["-c:v", ...found];
}

/** A line of ffmpeg's messages with `-loglevel level+info`. */
export interface ToolMessage {
  readonly level: "info" | "warning" | "error";
  readonly text: string;
}

export function toolMessage(line: string): ToolMessage {
  const [, level = "info"] = /\[(info|warning|error|fatal|panic)\]/.exec(line) ?? [];
  // Which part of ffmpeg says so, and where in its memory, helps nobody.
  const text = line.replaceAll(/\[[^\]]* @ [^\]]*\] ?|\[(?:info|warning|error|fatal|panic)\] ?/g, "").trim();
  return { level: level === "info" || level === "warning" ? level : "error", text };
}
