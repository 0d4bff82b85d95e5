/** What is in the queue: counts, workers, and the batches that are not done. */
import type { Queue } from "bullmq";
import { version } from "../index.ts";
import { bullmq, connectionTo, optional } from "./_bullmq.ts";
import { type BatchJob, queueName } from "./protocol.ts";

const states = ["waiting", "active", "delayed", "waiting-children", "failed", "completed"] as const;
/** Batches that are listed at most. */
const mostListed = 200;

/** A batch or a shard. */
export interface JobRow {
  readonly id: string;
  readonly kind: string;
  readonly state: string;
  readonly title: string;
  /** Shards of a batch that are done, and all of them. */
  readonly done?: number;
  readonly shards?: number;
  /** Times that it was begun. */
  readonly begun: number;
  readonly failure?: string;
}

/** The queue at a moment. */
export interface QueueState {
  readonly version: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly workers: readonly { readonly name: string; readonly address: string; readonly seconds: number }[];
  readonly jobs: readonly JobRow[];
}

async function queueOf(address: string): Promise<Queue> {
  const connection = connectionTo(address);
  const { Queue } = await bullmq();
  const queue = new Queue(queueName, { connection });
  // Without a listener an error of the connection, which comes again, would end the process.
  queue.on("error", () => {});
  return queue;
}

/** Throws UnsupportedError without the package `bullmq`, UsageError for what is no address of Redis. */
export async function queueState(address: string): Promise<QueueState> {
  const queue = await queueOf(address);
  try {
    const counts = await queue.getJobCounts(...states);
    const listed = await queue.getJobs(
      ["active", "waiting-children", "delayed", "failed"],
      0,
      mostListed - 1,
    );
    const jobs: JobRow[] = [];
    for (const job of listed) {
      if (!job?.id) continue;
      const batch = job.data as BatchJob;
      const isBatch = batch.kind === "batch";
      const dependencies = isBatch ? await job.getDependenciesCount() : undefined;
      jobs.push({
        ...{ id: job.id, kind: batch.kind, state: await job.getState(), title: batch.title ?? "" },
        ...(isBatch && { done: dependencies?.processed ?? 0, shards: batch.shards }),
        begun: job.attemptsStarted,
        ...(job.failedReason && { failure: job.failedReason }),
      });
    }
    const workers = (await queue.getWorkers()).map(({ name = "", addr = "", age = "0" }) => ({
      ...{ name, address: addr, seconds: Number(age) },
    }));
    return { version, counts, workers, jobs };
  } finally {
    await queue.close();
  }
}

/** One job with everything that is known of it; undefined where there is none of that id. */
export async function jobOf(address: string, id: string): Promise<unknown> {
  const queue = await queueOf(address);
  try {
    const job = await queue.getJob(id);
    return job && { ...job.asJSON(), data: job.data, state: await job.getState() };
  } finally {
    await queue.close();
  }
}

/** bull-board as a handler of requests below `base`; `close` ends its connection. */
export async function dashboard(address: string, base: string) {
  const { createBullBoard } = await optional("@bull-board/api", () => import("@bull-board/api"));
  const { BullMQAdapter } = await optional("@bull-board/api", () => import("@bull-board/api/bullMQAdapter"));
  const { HonoAdapter } = await optional("@bull-board/hono", () => import("@bull-board/hono"));
  const { serveStatic } = await import("@hono/node-server/serve-static");
  const queue = await queueOf(address);
  const server = new HonoAdapter(serveStatic);
  server.setBasePath(base);
  createBullBoard({ queues: [new BullMQAdapter(queue, { readOnlyMode: true })], serverAdapter: server });
  return { routes: server.registerPlugin(), close: () => queue.close() };
}
