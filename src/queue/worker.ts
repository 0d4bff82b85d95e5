/** A worker: takes shards and batches from the queue until it is told to stop. */
import { MessageChannel } from "node:worker_threads";
import type { Job } from "bullmq";
import { NcnnkitError } from "../index.ts";
import { Pool } from "../node/pool.ts";
import type { Said } from "../tally/pictures.ts";
import { bullmq, connectionTo, telemetryOf } from "./_bullmq.ts";
import type { Message } from "./_thread.ts";
import { cancelled, type Done, type JobData, mismatch, queueName, type ShardJob } from "./protocol.ts";
import { SharedFolder } from "./shared.ts";

/** Options of `QueueWorker.start`. */
export interface WorkerOptions {
  /** Folder that all machines see, where the coordinator has it too. */
  readonly shared: string;
  /** Shards at a time, each in a thread. */
  readonly jobs: number;
  /** Seconds without a sign of life after which a worker is taken for dead and others take its shards; default 30. */
  readonly patience?: number;
  readonly telemetry?: boolean;
  readonly say?: (message: string) => void;
}

/** A shard may be cut off as often as that, by machines that go away; then it is given up. */
const mostStalls = 200;
/** A picture at which the process ended as often as that is left out. */
const mostCrashes = 3;
const cancelMilliseconds = 1000;

/** What is remembered with a shard that was cut off before: at which pictures, and how often. */
interface Trail {
  readonly at?: { readonly index: number; readonly name: string };
  readonly crashes?: Readonly<Record<number, number>>;
}

export class QueueWorker {
  private readonly shared: SharedFolder;
  private readonly pool: Pool<Message, Done>;
  private worker: { close(force?: boolean): Promise<void> } | undefined;
  /** Whether the server does not answer: then `close` waits until it does. */
  isCut = false;

  private constructor(options: WorkerOptions) {
    this.shared = new SharedFolder(options.shared);
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    this.pool = new Pool(new URL(`./_thread.${extension}`, import.meta.url), { size: options.jobs });
  }

  /** Throws UnsupportedError without the package `bullmq`, UsageError for what is no address of Redis. */
  static async start(address: string, options: WorkerOptions): Promise<QueueWorker> {
    const connection = connectionTo(address);
    const { Worker, UnrecoverableError } = await bullmq();
    const self = new QueueWorker(options);
    await self.pool.ready();
    const lockDuration = (options.patience ?? 30) * 1000;
    const worker = new Worker<JobData, Done>(
      queueName,
      async (job) => {
        try {
          return await self.process(job);
        } catch (error) {
          // What is wrong with model or pictures is wrong every time.
          if (error instanceof NcnnkitError && error.name !== "WorkerError") {
            throw new UnrecoverableError(`${error.name}: ${error.message}`);
          }
          throw error;
        }
      },
      {
        ...{ connection, lockDuration, stalledInterval: lockDuration, maxStalledCount: mostStalls },
        ...{ concurrency: options.jobs, drainDelay: 2, ...(await telemetryOf(options.telemetry)) },
      },
    );
    // Errors of the connection come again and again until it is there: said once. Jobs tell of their own.
    worker.on("error", (error: Error & { code?: string }) => {
      if (!self.isCut && error.code) options.say?.(`no answer from the queue (${error.code}); trying on`);
      self.isCut = true;
    });
    worker.on("ready", () => {
      if (self.isCut) options.say?.("the queue answers");
      self.isCut = false;
    });
    worker.on("failed", (job, error) => options.say?.(`${job?.name ?? "job"} ${job?.id}: ${error.message}`));
    self.worker = worker;
    return self;
  }

  private async process(job: Job<JobData, Done>): Promise<Done> {
    const { data } = job;
    const problem = mismatch(data);
    if (problem !== undefined) throw new NcnnkitError(problem);
    const known = await this.shared.finished<Done>(data.id);
    if (known && (await this.shared.has(known.seen))) return known;
    const stop = new AbortController();
    const batch = data.kind === "batch" ? data.id : job.parent?.id;
    const timer = setInterval(async () => {
      if (batch !== undefined && (await this.shared.finished(cancelled(batch))))
        stop.abort(new NcnnkitError("cancelled by who asked for it"));
    }, cancelMilliseconds);
    try {
      const done =
        data.kind === "shard"
          ? await this.addShard(job as Job<ShardJob, Done>, stop.signal)
          : await this.mergeBatch(job, stop.signal);
      await this.shared.finish(data.id, done);
      if (data.kind === "batch") await this.forgetShards(job);
      return done;
    } finally {
      clearInterval(timer);
    }
  }

  private async addShard(job: Job<ShardJob, Done>, signal: AbortSignal): Promise<Done> {
    const { id, work, list, shard } = job.data;
    const message = { root: this.shared.root, kind: "shard", id, work, list, shard } as const;
    if (job.attemptsStarted <= 1) return this.pool.call({ ...message, without: [] }, { signal });
    // It was cut off before: whoever takes it after another end should know where.
    const trail = (typeof job.progress === "object" ? job.progress : {}) as Trail;
    const crashes = { ...trail.crashes };
    if (trail.at) crashes[trail.at.index] = (crashes[trail.at.index] ?? 0) + 1;
    const without: Said[] = Object.entries(crashes)
      .filter(([, times]) => times >= mostCrashes)
      .map(([index, times]) => [
        Number(index),
        `${trail.at?.index === Number(index) ? trail.at.name : `picture ${index}`}: left out, since the worker ended ${times} times at it`,
      ]);
    const { port1, port2 } = new MessageChannel();
    port1.on("message", async (at: Trail["at"]) => {
      await job.updateProgress({ at, crashes }).catch(() => {});
      port1.postMessage(undefined);
    });
    try {
      return await this.pool.call({ ...message, without, port: port2 }, { signal, transfer: [port2] });
    } finally {
      port1.close();
    }
  }

  private async mergeBatch(job: Job<JobData, Done>, signal: AbortSignal): Promise<Done> {
    const parts = Object.values(await job.getChildrenValues<Done>()).map(({ seen }) => seen);
    const { id, work } = job.data;
    return this.pool.call({ root: this.shared.root, kind: "batch", id, work, parts }, { signal });
  }

  /** What is in the batch is not needed twice. */
  private async forgetShards(job: Job<JobData, Done>): Promise<void> {
    const shards = await job.getChildrenValues<Done>();
    await this.shared.forget(...Object.keys(shards).map((key) => key.slice(key.lastIndexOf(":") + 1)));
  }

  /** Ends after the shards that it is at. */
  async close(): Promise<void> {
    await this.worker?.close();
    await this.pool.close();
  }
}
