/** One pass over pictures for any number of tallies, by a runner. */
import { createSession, type Session } from "../engine/session.ts";
import type { Blobs } from "../ir/tensor.ts";
import type { Pictures } from "./pictures.ts";
import type { Numbered, Observer, Output, Subject, TallySession } from "./tally.ts";

/** Every `of`-th picture from the `part`-th, counted from 1. */
export interface Shard {
  readonly part: number;
  readonly of: number;
}

/** Options of a pass. */
export interface RunOptions {
  /** What carries it out; default: this thread, one picture after another. */
  runner?: Runner;
  /** Only a part of the pictures. */
  shard?: Shard;
  /** Only the first so many numbers; those that cannot be read count too. */
  limit?: number;
  /** Threads that a session computes with, in this process. */
  threads?: number;
  /** The first picture goes through all networks once more before it counts, so that compiling is not part of its time. */
  warmUp?: boolean;
  /** Of the pass, for those who watch it. */
  title?: string;
  signal?: AbortSignal;
  /** Told after every picture, or every few: how many are done. */
  onProgress?: (done: number) => void;
}

/** A pass, as runners take it. */
export interface Work<P> extends Omit<RunOptions, "runner"> {
  readonly tallies: readonly Observer<P>[];
  readonly pictures: Pictures<P>;
  /** The networks that the tallies name, each once, with all blobs that are looked at. */
  readonly subjects: readonly { readonly subject: Subject<P>; readonly blobs: readonly string[] }[];
  isWanted(index: number): boolean;
}

/** Carries out a pass: every wanted picture is added to every tally once. The result is how many could be read. */
export type Runner = <P>(work: Work<P>) => Promise<number>;

/**
 * Adds the pictures to the tallies. The result is how many there were: those that cannot be read do not count.
 *
 * ```ts
 * const histograms = new Histograms(subject, blobs);
 * await run([histograms], pictures, { signal });
 * ```
 * Throws what a tally or a network throws, and the reason of `signal`; the tallies are of no use then.
 */
export async function run<P>(
  tallies: readonly Observer<P>[],
  pictures: Pictures<P>,
  options: RunOptions = {},
): Promise<number> {
  const { runner = inProcess, ...rest } = options;
  const { shard, limit = Number.POSITIVE_INFINITY, signal } = options;
  const blobs = new Map<Subject<P>, Set<string>>();
  for (const tally of tallies) {
    for (const [i, subject] of tally.graphs.entries()) {
      const known = blobs.get(subject) ?? new Set();
      blobs.set(subject, known);
      for (const blob of tally.blobs[i]) known.add(blob);
    }
  }
  signal?.throwIfAborted();
  return runner({
    ...rest,
    ...{ tallies, pictures },
    subjects: [...blobs].map(([subject, wanted]) => ({ subject, blobs: [...wanted] })),
    isWanted: (index) => index < limit && (!shard || index % shard.of === shard.part - 1),
  });
}

/** One picture after another, in their order. */
export const inProcess: Runner = async (work) => {
  const stage = await Stage.open(work);
  let images = 0;
  try {
    for await (const item of work.pictures.numbered(work.isWanted, work.limit)) {
      work.signal?.throwIfAborted();
      if (images === 0 && work.warmUp) await stage.outputs(item);
      await stage.add(item);
      images++;
      work.onProgress?.(images);
      if (work.tallies.length && work.tallies.every((tally) => tally.isFull?.())) break;
    }
  } finally {
    stage.close();
  }
  return images;
};

const idle: TallySession = { run: async () => ({}) };
const nothing: Output = { inputs: {}, values: {}, preparing: 0, inference: 0 };

type StageWork<P> = Pick<Work<P>, "tallies" | "subjects" | "threads">;

/** The networks of a pass, ready, and the tallies that they play to. */
export class Stage<P> {
  private readonly work: StageWork<P>;
  private readonly sessions: readonly TallySession[];
  private readonly own: readonly Session[];
  /** Copies of all blobs are more than a hundred megabytes a second. */
  private readonly lends: boolean;

  private constructor(work: StageWork<P>, sessions: readonly TallySession[], own: readonly Session[]) {
    this.work = work;
    this.sessions = sessions;
    this.own = own;
    this.lends = work.tallies.every(({ borrows }) => borrows);
  }

  static async open<P>(work: StageWork<P>): Promise<Stage<P>> {
    const own: Session[] = [];
    const sessions: TallySession[] = [];
    const { threads } = work;
    for (const { subject, blobs } of work.subjects) {
      const { graph, backend, session } = subject;
      if (session || !blobs.length) sessions.push(session ?? idle);
      else {
        const made = await createSession(graph, { ...(backend && { backend }), ...(threads && { threads }) });
        own.push(made);
        sessions.push(made);
      }
    }
    return new Stage(work, sessions, own);
  }

  /** What the networks make of a picture. */
  async outputs({ picture }: Numbered<P>): Promise<Map<Subject<P>, Output>> {
    const outputs = new Map<Subject<P>, Output>();
    for (const [i, { subject, blobs }] of this.work.subjects.entries()) {
      if (!blobs.length) continue; // its tallies only want to know the network
      const started = performance.now();
      const prepared = subject.prepare(picture);
      const ready = performance.now();
      const seen = await this.seen(this.sessions[i], subject, prepared.inputs, blobs);
      const done = performance.now();
      outputs.set(subject, { ...prepared, ...seen, preparing: ready - started, inference: done - ready });
    }
    return outputs;
  }

  private async seen(
    session: TallySession,
    subject: Subject<P>,
    inputs: Blobs,
    blobs: readonly string[],
  ): Promise<Pick<Output, "values" | "extremes">> {
    const all = this.work.tallies.filter(({ graphs }) => graphs.includes(subject));
    if (session.extremes && all.every(({ wantsExtremes }) => wantsExtremes)) {
      return { values: {}, extremes: await session.extremes(inputs, blobs) };
    }
    return { values: await session.run(inputs, blobs, this.lends) };
  }

  async add(item: Numbered<P>): Promise<void> {
    const outputs = await this.outputs(item);
    for (const tally of this.work.tallies) {
      await tally.add(
        tally.graphs.map((subject) => outputs.get(subject) ?? nothing),
        item,
      );
    }
  }

  close(): void {
    for (const session of this.own) session.close();
    for (const tally of this.work.tallies) tally.close?.();
  }
}
