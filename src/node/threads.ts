/** Passes over pictures on all cores: worker threads with a session for each network, which read, prepare and run pictures by themselves. */
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { isTally, type PlainWork, plainWork } from "../tally/job.ts";
import { type Remarks, relay } from "../tally/pictures.ts";
import { inProcess, type Runner, type Work } from "../tally/run.ts";
import { Pool } from "./pool.ts";

/** What a thread is asked: to take pictures as long as there are some. */
export interface Task {
  readonly work: PlainWork;
  readonly port: MessagePort;
}
/** Its answer: what its tallies have seen and not told yet. */
export type Seen = readonly unknown[];

/** What a thread says through the port when it wants more. */
export interface Report extends Remarks {
  /** Pictures added since the last report. */
  readonly done: number;
  /** Of the tallies that are lists: what they have seen since; undefined for the others. */
  readonly seen: Seen;
}
/** The next pictures: their numbers and what they are read from. None: that was all. */
export type Portion = readonly { readonly index: number; readonly plain: unknown }[];

/** Pictures that a thread gets at a time, so that the others do not wait long for it at the end. */
const mostAtOnce = 4;

/** Threads for any number of passes, started when the first one calls for them. `close` them at the end. */
export class Threads {
  readonly count: number;
  private pool: Pool<Task, Seen> | undefined;

  constructor(count: number) {
    this.count = count;
  }

  /** Passes that only this process can make stay in it. */
  readonly runner: Runner = async (work) => {
    const wanted = work.pictures.listed ? wantedOf(work) : [];
    const plain = this.count > 1 && wanted.length > 1 ? plainWork(work) : undefined;
    return plain ? this.spread(work, plain, wanted) : inProcess(work);
  };

  private async spread<P>(work: Work<P>, plain: PlainWork, wanted: readonly number[]): Promise<number> {
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const entry = new URL(`./_tally-worker.${extension}`, import.meta.url);
    this.pool ??= new Pool<Task, Seen>(entry, { size: this.count });
    const { pool } = this;
    const giving = new Giving(work, wanted, this.count);
    const threads = Math.min(this.count, wanted.length);
    const ends = Array.from({ length: threads }, async () => {
      const { port1, port2 } = new MessageChannel();
      port1.on("message", (report: Report) => port1.postMessage(giving.answer(report)));
      try {
        const message = { work: plain, port: port2 };
        giving.take(await pool.call(message, { transfer: [port2], signal: work.signal }));
      } catch (error) {
        giving.fail(error);
      } finally {
        port1.close();
      }
    });
    await Promise.all(ends);
    return giving.finish();
  }

  async close(): Promise<void> {
    await this.pool?.close();
    this.pool = undefined;
  }
}

function wantedOf<P>({ pictures, isWanted }: Work<P>): number[] {
  const { entries = [], broken = new Set<number>() } = pictures.listed ?? {};
  return entries.map((_, index) => index).filter((index) => isWanted(index) && !broken.has(index));
}

/** One pass: hands out pictures, and gathers what threads saw. */
class Giving<P> {
  private readonly work: Work<P>;
  private readonly wanted: readonly number[];
  private readonly threads: number;
  private next = 0;
  private done = 0;
  private failure: { readonly error: unknown } | undefined;

  constructor(work: Work<P>, wanted: readonly number[], threads: number) {
    this.work = work;
    this.wanted = wanted;
    this.threads = threads;
  }

  answer(report: Report): Portion {
    try {
      this.listen(report);
    } catch (error) {
      this.fail(error);
    }
    if (this.failure || this.work.signal?.aborted) return [];
    const { entries } = this.work.pictures.listed!;
    const left = this.wanted.length - this.next;
    const count = Math.max(1, Math.min(mostAtOnce, Math.floor(left / (2 * this.threads))));
    const portion = this.wanted.slice(this.next, this.next + count);
    this.next += portion.length;
    return portion.map((index) => ({ index, plain: entries[index].plain }));
  }

  private listen({ done, seen, ...remarks }: Report): void {
    relay(this.work.pictures.listed!, remarks);
    this.take(seen);
    this.done += done;
    if (done) this.work.onProgress?.(this.done);
  }

  take(seen: Seen): void {
    if (this.failure) return;
    for (const [i, tally] of this.work.tallies.entries()) {
      if (seen[i] !== undefined && isTally(tally)) tally.merge(tally.read(seen[i]));
    }
  }

  fail(error: unknown): void {
    this.failure ??= { error };
  }

  finish(): number {
    if (this.failure) throw this.failure.error;
    this.work.signal?.throwIfAborted();
    return this.done;
  }
}
