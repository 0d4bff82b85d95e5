/** Who is let in: as much work as can be done in time, and no more. What is let in is answered. */
import { Refusal } from "./refusal.ts";

export interface GateOptions {
  /** Requests that may wait for a thread. */
  readonly queue: number;
  /** Bytes of bodies that may be in memory at a time. */
  readonly bodyBytes: number;
  readonly threads: number;
}

/** Milliseconds that a request of a kind is expected to take before any was seen. */
const firstGuess = 50;
/** How much the last request counts in what the next is expected to take. */
const weight = 0.1;
/** What is left of a request's time has to be so many times what is expected: a machine has other work too, and what is let in is kept. */
const margin = 3;

/** Counts what waits and what it will take, and refuses what would be late. */
export class Gate {
  /** Requests that were let in and are not answered yet. */
  inside = 0;
  /** Bytes of bodies in memory. */
  bytes = 0;
  private readonly options: GateOptions;
  /** Milliseconds of a thread that requests of a kind took lately. */
  private readonly usual = new Map<string, number>();
  /** Milliseconds that all inside are expected to take of one thread, those at work in full. */
  private expected = 0;

  constructor(options: GateOptions) {
    this.options = options;
  }

  /** Milliseconds until a request that comes now would be taken by a thread. */
  get wait(): number {
    return this.inside < this.options.threads ? 0 : this.expected / this.options.threads;
  }

  /**
   * Throws Refusal (503, with Retry-After) when the queue is full, or when it is not sure that a request of this kind would be done in
   * `left` milliseconds.
   */
  check(kind: string, left: number): void {
    const { queue, threads } = this.options;
    if (this.inside >= queue + threads) throw this.busy(`${queue} requests are waiting already`);
    const ready = this.wait + (this.usual.get(kind) ?? 0);
    if (margin * this.wait > left || ready > left) {
      throw this.busy(`an answer is expected in ${Math.ceil(ready)} ms, and ${Math.floor(left)} are left`);
    }
  }

  /** Milliseconds that have to be left when a thread takes a request of this kind; with fewer it is not begun. */
  reserve(kind: string): number {
    return margin * (this.usual.get(kind) ?? 0);
  }

  /** Runs what was let in; `work` gives the milliseconds that a thread spent on it, if it did all of it. */
  async run<T>(
    kind: string,
    work: () => Promise<{ value: T; milliseconds: number | undefined }>,
  ): Promise<T> {
    const guess = this.usual.get(kind) ?? firstGuess;
    this.inside++;
    this.expected += guess;
    try {
      const { value, milliseconds } = await work();
      if (milliseconds !== undefined) {
        const before = this.usual.get(kind) ?? milliseconds;
        this.usual.set(kind, before + weight * (milliseconds - before));
      }
      return value;
    } finally {
      this.inside--;
      this.expected = this.inside === 0 ? 0 : Math.max(0, this.expected - guess);
    }
  }

  /** Takes room for bytes of a body; what it gives frees it. Throws Refusal when there is none. */
  hold(bytes: number): () => void {
    if (this.bytes + bytes > this.options.bodyBytes) throw this.busy("too many bodies are on their way");
    this.bytes += bytes;
    return () => {
      this.bytes -= bytes;
    };
  }

  private busy(why: string): Refusal {
    const seconds = Math.max(1, Math.ceil(this.wait / 1000));
    return new Refusal(503, `the server is busy: ${why}; try again in ${seconds} s`, {
      "retry-after": String(seconds),
    });
  }
}
