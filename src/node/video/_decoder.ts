/** Frames from ffmpeg through a pipe into slots of shared memory, and backpressure: without a free slot nothing is read. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { type ToolMessage, toolMessage } from "./tools.ts";

/** Bytes that all slots together may have, and the fewest and most slots. */
const [mostBytes, leastSlots, mostSlots] = [2 ** 28, 3, 6];

interface Listener {
  child(pid: number): void;
  opened(width: number, height: number, rate: number, slots: readonly SharedArrayBuffer[]): void;
  /** A slot is full. */
  frame(slot: number): void;
  ended(): void;
}

export class Decoder {
  slots: readonly SharedArrayBuffer[] = [];
  width = 0;
  height = 0;
  frames = 0;
  dropped = 0;
  complaint: string | undefined;
  failed = false;
  stalled = false;
  private readonly child: ChildProcessByStdio<null, Readable, Readable>;
  private readonly listener: Listener;
  private readonly live: boolean;
  private readonly patience: number;
  private free: number[] = [];
  /** The slot that is being filled, −1 while a frame is dropped, and how far. */
  private current: number | undefined;
  private filled = 0;
  /** What came before the size was known. */
  private early: Uint8Array[] = [];
  private stopped = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    ffmpeg: string,
    decode: readonly string[],
    { live, patience }: { live: boolean; patience: number },
    listener: Listener,
  ) {
    this.listener = listener;
    this.live = live;
    this.patience = patience;
    const output = ["-map", "0:V:0", "-f", "rawvideo", "-pix_fmt", "rgba", "pipe:1"];
    const quiet = ["-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"];
    // A group of its own: Ctrl-C is for us to answer, frames that are on their way are still wanted.
    this.child = spawn(ffmpeg, [...quiet, ...decode, ...output], {
      stdio: ["ignore", "pipe", "pipe"],
      detached: process.platform !== "win32",
      windowsHide: true,
    });
    if (this.child.pid !== undefined) listener.child(this.child.pid);
    this.child.stdout.on("data", (chunk: Uint8Array) => this.take(chunk));
    readLines(this.child.stderr, (line) => this.hear(toolMessage(line)));
    this.child.on("error", (error) => {
      this.complaint = error.message;
    });
    this.child.on("close", (code) => this.end(code));
    this.expectMore(2);
  }

  /** Reads no more. */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.child.stdout.resume();
    // It has nothing to bring to an end, and in a pipe that nobody writes to it would not hear less.
    this.child.kill("SIGKILL");
  }

  /** Gives a slot back. */
  release(slot: number): void {
    this.free.push(slot);
    if (this.child.stdout.isPaused()) this.child.stdout.resume();
  }

  private end(code: number | null): void {
    clearTimeout(this.timer);
    this.failed = !this.stopped && code !== 0;
    this.listener.ended();
  }

  /** A live source that falls silent is gone; it is given more time to begin. */
  private expectMore(times = 1): void {
    if (!this.live) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(
      () => {
        if (this.child.stdout.isPaused()) return this.expectMore();
        this.stalled = true;
        this.child.kill("SIGKILL");
      },
      this.patience * times * 1000,
    );
  }

  private hear({ level, text }: ToolMessage): void {
    // That clocks of two parts of a source run against each other is no fault of its pictures.
    if (level === "error" && !text.includes("dts to muxer")) this.complaint = text;
    // The one stream of ours is told after the filters: turned upright, and as it stays even where the source changes.
    const stream = /^Stream #0:0.*: Video: rawvideo.*?, (\d+)x(\d+)[ ,]/.exec(text);
    if (!stream || this.slots.length) return;
    [this.width, this.height] = [Number(stream[1]), Number(stream[2])];
    const bytes = this.width * this.height * 4;
    const count = Math.min(Math.max(Math.floor(mostBytes / bytes), leastSlots), mostSlots);
    this.slots = Array.from({ length: count }, () => new SharedArrayBuffer(bytes));
    this.free = this.slots.map((_, i) => i);
    const rate = Number(/, ([\d.]+) fps/.exec(text)?.[1] ?? 0);
    this.listener.opened(this.width, this.height, rate, this.slots);
    // As one: of several, those for which there is no room would come again in the wrong order.
    if (this.early.length) this.take(Buffer.concat(this.early.splice(0)));
  }

  private take(chunk: Uint8Array): void {
    if (this.stopped) return;
    this.expectMore();
    if (!this.slots.length) {
      this.early.push(chunk);
      return;
    }
    const bytes = this.width * this.height * 4;
    for (let at = 0; at < chunk.length; ) {
      this.current ??= this.free.pop();
      if (this.current === undefined) {
        if (!this.live) {
          // The rest of the chunk comes again when there is room.
          this.child.stdout.pause();
          this.child.stdout.unshift(chunk.subarray(at));
          return;
        }
        this.current = -1;
      }
      const count = Math.min(chunk.length - at, bytes - this.filled);
      if (this.current >= 0) {
        new Uint8Array(this.slots[this.current], this.filled, count).set(chunk.subarray(at, at + count));
      }
      this.filled += count;
      at += count;
      if (this.filled === bytes) this.complete();
    }
  }

  private complete(): void {
    const slot = this.current ?? -1;
    [this.current, this.filled] = [undefined, 0];
    this.frames++;
    if (slot < 0) this.dropped++;
    else this.listener.frame(slot);
  }
}

/** Calls for each line, however it is cut into pieces. */
export function readLines(stream: Readable, line: (text: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (text: string) => {
    const lines = (rest + text).split(/[\r\n]+/);
    rest = lines.pop() ?? "";
    for (const each of lines) if (each !== "") line(each);
  });
  stream.on("end", () => {
    if (rest !== "") line(rest);
  });
}
