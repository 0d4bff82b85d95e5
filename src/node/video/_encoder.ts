/** Frames into ffmpeg through a pipe, one after the other, drawn into on the way. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { readLines } from "./_decoder.ts";
import type { Encode } from "./_protocol.ts";
import { toolMessage } from "./tools.ts";

export class Encoder {
  encoded = 0;
  error: string | undefined;
  private readonly child: ChildProcessByStdio<Writable, null, Readable>;
  private last: Promise<void> = Promise.resolve();
  private readonly closed: Promise<void>;

  constructor(
    ffmpeg: string,
    { options, rate, every }: Encode,
    size: { width: number; height: number; rate: number; live: boolean },
    child: (pid: number) => void,
  ) {
    const frames = ["-f", "rawvideo", "-pix_fmt", "rgba", "-s", `${size.width}x${size.height}`];
    const [over, under = 1] = rate?.split("/").map(Number) ?? [Math.min(size.rate || 25, 60)];
    const each = ["-r", `${over}/${under * every}`];
    const input = size.live
      ? // At the times at which they come, which may be fewer than there should be.
        ["-use_wallclock_as_timestamps", "1", ...frames, "-i", "pipe:0", ...each]
      : [...frames, ...each, "-i", "pipe:0"];
    this.child = spawn(
      ffmpeg,
      ["-hide_banner", "-nostats", "-loglevel", "level+warning", ...input, ...options],
      {
        stdio: ["pipe", "ignore", "pipe"],
        detached: process.platform !== "win32",
        windowsHide: true,
      },
    );
    if (this.child.pid !== undefined) child(this.child.pid);
    let complaint = "";
    readLines(this.child.stderr, (line) => {
      const { level, text } = toolMessage(line);
      if (level === "error") complaint ||= text;
    });
    // Written into a pipe that nobody reads any more: the end of the program says why.
    this.child.stdin.on("error", () => {});
    this.closed = new Promise((resolve) => {
      this.child.on("error", (error) => {
        this.error = error.message;
        resolve();
      });
      this.child.on("close", (code, signal) => {
        if (code !== 0) this.error ??= complaint || `the encoder ended with ${signal ?? `code ${code}`}`;
        resolve();
      });
    });
  }

  /** Takes a frame; `done` is called when its memory is free again. */
  write(pixels: SharedArrayBuffer, draw: () => Promise<void>, done: () => void): void {
    this.last = this.last.then(async () => {
      if (this.error === undefined) {
        await draw();
        await Promise.race([this.closed, this.send(pixels)]);
      }
      done();
    });
  }

  private send(pixels: SharedArrayBuffer): Promise<void> {
    return new Promise((resolve) => {
      this.child.stdin.write(new Uint8Array(pixels), (error) => {
        if (!error) this.encoded++;
        resolve();
      });
    });
  }

  /** Once all is written. */
  async finish(): Promise<void> {
    await this.last;
    this.child.stdin.end();
    await this.closed;
  }
}
