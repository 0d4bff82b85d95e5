/**
 * Passes over pictures on many machines: the coordinator's side. Pictures are cut into shards and shards into batches; a batch is a flow of
 * BullMQ whose children are shards and whose parent merges them. A few batches are in the queue at a time, so that neither Redis nor this
 * process holds more however many pictures there are. What is done lies in the shared folder under ids that follow from model, tallies and
 * pictures: whoever asks again, after whatever ended, goes on from there.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { FlowProducer, Queue } from "bullmq";
import {
  FormatError,
  features,
  GraphError,
  InputError,
  UnsupportedError,
  UsageError,
  version,
} from "../index.ts";
import type { PlainEntry } from "../node/entries.ts";
import { isTally, plainWork } from "../tally/job.ts";
import { relay } from "../tally/pictures.ts";
import { inProcess, type Runner, type Work } from "../tally/run.ts";
import { bullmq, connectionTo, telemetryOf } from "./_bullmq.ts";
import { forOthers } from "./places.ts";
import {
  type BatchJob,
  cancelled,
  type Done,
  idOf,
  type Listed,
  protocol,
  queueName,
  type Seen,
  type ShardJob,
  shownAddress,
} from "./protocol.ts";
import { SharedFolder } from "./shared.ts";

/** Options of `QueueRunner.open`. */
export interface QueueOptions {
  /** Folder that all machines see, for what is large. */
  readonly shared: string;
  /** Pictures a shard; default 64, fewer where there are few. */
  readonly shardSize?: number;
  /** Shards that are in the queue at a time, at most; default 1024. */
  readonly most?: number;
  /** Traces through OpenTelemetry (bullmq-otel). */
  readonly telemetry?: boolean;
  /** Told what a user should know: that there is no worker, that the server is away. */
  readonly say?: (message: string) => void;
}

/** Pictures a shard: the usual number, and the least with few pictures, which are cut into several for several workers. */
const [usualShard, leastShard] = [64, 8];
const fewShards = 8;
const shardsOfBatch = 32;
const pollMilliseconds = 100;
/** After so long without a worker or a server it is said. */
const patience = 10_000;

interface Batch {
  readonly id: string;
  readonly shards: readonly { readonly id: string; readonly job: ShardJob }[];
  added: boolean;
  /** Shards that are done. */
  done: number;
  /** Times that it was done and nothing was there. */
  missed: number;
}

/** Runs passes by way of a queue. `close` it at the end. */
export class QueueRunner {
  private readonly shared: SharedFolder;
  private readonly options: QueueOptions;
  private readonly address: string;
  private readonly queue: Queue;
  private readonly flows: FlowProducer;
  /** What may be forgotten when all has gone well. */
  private readonly kept = new Set<string>();
  private quiet = Date.now();
  private said = new Set<string>();

  private constructor(address: string, options: QueueOptions, queue: Queue, flows: FlowProducer) {
    this.address = address;
    this.options = options;
    this.shared = new SharedFolder(options.shared);
    this.queue = queue;
    this.flows = flows;
  }

  /** Throws UnsupportedError without the package `bullmq`, UsageError for what is no address of Redis. */
  static async open(address: string, options: QueueOptions): Promise<QueueRunner> {
    const connection = connectionTo(address);
    const { Queue, FlowProducer } = await bullmq();
    const shared = { connection, ...(await telemetryOf(options.telemetry)) };
    const queue = new Queue(queueName, shared);
    const flows = new FlowProducer(shared);
    const runner = new QueueRunner(address, options, queue, flows);
    // Without a listener an error of the connection, which comes again, would end the process.
    queue.on("error", () => {});
    flows.on("error", () => {});
    return runner;
  }

  /** Passes that only this process can make stay in it. */
  readonly runner: Runner = async (work) => {
    const plain = plainWork(work);
    if (!plain) return inProcess(work);
    const name = await this.shared.put(plain, "passes");
    this.kept.add(name);
    const pass = new Pass(this, work, name);
    return pass.run();
  };

  /** Adds batches, follows them, and takes what they gave. */
  async follow(pass: Pass<unknown>, batches: AsyncIterator<Batch>): Promise<void> {
    const most = Math.max(1, Math.floor((this.options.most ?? 1024) / shardsOfBatch));
    const open = new Set<Batch>();
    let isMore = true;
    try {
      while (isMore || open.size) {
        pass.work.signal?.throwIfAborted();
        while (isMore && open.size < most) {
          const { value, done } = await batches.next();
          if (done) isMore = false;
          else open.add(value);
        }
        for (const batch of open) {
          const done = await this.look(batch, pass.title);
          if (!done) continue;
          await pass.take(await this.shared.get<Seen>(done.seen));
          this.kept.add(batch.id);
          await this.forget(batch);
          open.delete(batch);
        }
        pass.tell([...open].reduce((sum, batch) => sum + doneIn(batch), 0));
        if (open.size) await sleep(pollMilliseconds, undefined, { signal: pass.work.signal });
      }
    } catch (error) {
      await this.cancel(open).catch(() => {});
      pass.work.signal?.throwIfAborted(); // its reason, not that waiting was cut off
      throw error;
    }
  }

  /** Who goes on later needs the result of the batch only. Workers forget shards too, if they live long enough. */
  private async forget({ id: batch, shards }: Batch): Promise<void> {
    await this.queue.remove(batch).catch(() => {}); // what came of it is in the folder
    await this.shared.forget(...shards.map(({ id }) => id));
  }

  /** What came of a batch, if it is done; else it is in the queue afterwards. */
  private async look(batch: Batch, title: string): Promise<Done | undefined> {
    const known = await this.shared.finished<Done>(batch.id);
    if (known && (await this.shared.has(known.seen))) return known;
    try {
      const state = await this.queue.getJobState(batch.id);
      if (state === "failed") {
        const reason = await this.failure(batch);
        await this.remove(batch);
        if (batch.added) throw revived(reason);
        await this.add(batch, title); // of an earlier run, whose reason may be gone
      } else if (state === "completed") {
        // Of an earlier run whose files are forgotten; or the folder shows what was written a moment later, or was emptied.
        if (!batch.added || ++batch.missed > patience / pollMilliseconds) await this.remove(batch);
      } else if (state === "unknown") await this.add(batch, title);
      else if (state === "waiting-children") await this.count(batch);
      await this.watch();
    } catch (error) {
      if (!isAway(error)) throw error;
      this.complain("away", `${shownAddress(this.address)} does not answer; waiting for it`);
    }
    return undefined;
  }

  private async add(batch: Batch, title: string): Promise<void> {
    const parent: BatchJob = {
      ...{ protocol, kit: version, id: batch.id, work: batch.shards[0].job.work },
      ...{ kind: "batch", batch: Math.floor(batch.shards[0].job.shard / shardsOfBatch), title },
      shards: batch.shards.length,
    };
    const opts = {
      attempts: 8,
      backoff: { type: "exponential", delay: 500, jitter: 0.5 },
      removeOnComplete: { age: 3600, count: 1000 },
      removeOnFail: { age: 24 * 3600 },
    } as const;
    await this.shared.forget(cancelled(batch.id));
    await this.flows.add({
      ...{ name: "batch", queueName, data: parent, opts: { ...opts, jobId: batch.id } },
      children: batch.shards.map(({ id, job }) => ({
        ...{ name: "shard", queueName, data: job },
        opts: { ...opts, jobId: id, failParentOnFailure: true, removeOnComplete: true },
      })),
    });
    batch.added = true;
  }

  private async count(batch: Batch): Promise<void> {
    const job = await this.queue.getJob(batch.id);
    const { processed = 0 } = (await job?.getDependenciesCount()) ?? {};
    if (processed > batch.done) this.quiet = Date.now();
    batch.done = processed;
    batch.added = true;
  }

  private async failure(batch: Batch): Promise<string> {
    for (const { id } of batch.shards) {
      const job = await this.queue.getJob(id);
      if ((await job?.getState()) === "failed") return job?.failedReason ?? "";
    }
    return (await this.queue.getJob(batch.id))?.failedReason ?? "";
  }

  private async remove(batch: Batch): Promise<void> {
    const parent = await this.queue.getJob(batch.id);
    await parent?.remove({ removeChildren: true }).catch(() => {});
    for (const { id } of batch.shards) {
      const job = await this.queue.getJob(id);
      await job?.remove().catch(() => {}); // one that is at work finds that nobody waits
    }
  }

  /** Takes back what nobody waits for any more. */
  private async cancel(batches: Iterable<Batch>): Promise<void> {
    for (const batch of batches) {
      await this.shared.finish(cancelled(batch.id), {});
      await this.remove(batch);
    }
  }

  /** Says when nothing can come of waiting. */
  private async watch(): Promise<void> {
    if (Date.now() - this.quiet < patience) return;
    this.quiet = Date.now();
    const workers = await this.queue.getWorkers();
    if (!workers.length) {
      this.complain(
        "workers",
        `no worker is there yet: start some with ncnnkit worker ${shownAddress(this.address)} --shared ${this.options.shared}`,
      );
    }
  }

  private complain(what: string, message: string): void {
    if (this.said.has(what)) return;
    this.said.add(what);
    this.options.say?.(message);
  }

  /** Keeps the list of a shard, and gives its job. */
  async shard(work: string, shard: number, listed: Listed): Promise<Batch["shards"][number]> {
    const moved = listed.map(({ plain, ...rest }) => ({
      ...rest,
      plain: forOthers(plain, this.shared.root),
    }));
    const id = idOf("shard", work, JSON.stringify(moved), String(shard));
    const list = await this.shared.put(moved, id);
    const job: ShardJob = {
      ...{ protocol, kit: version, kind: "shard", id, work, shard, list },
      pictures: listed.length,
    };
    return { id, job };
  }

  shardSizeFor(pictures: number): number {
    const few = Math.min(usualShard, Math.max(leastShard, Math.ceil(pictures / fewShards)));
    return this.options.shardSize ?? few;
  }

  warnOf(machines: ReadonlySet<string>): void {
    const here = JSON.stringify(features());
    if ([...machines].every((each) => each === here)) return;
    this.complain(
      "machines",
      "workers compute with other instructions than this machine (or each other): the last digits may differ from a run here",
    );
  }

  /** Ends the connections. What was kept for those who go on is forgotten where all has gone well. */
  async close({ isDone = false } = {}): Promise<void> {
    if (isDone) await this.shared.forget(...this.kept);
    await Promise.allSettled([this.queue.close(), this.flows.close()]);
  }
}

/** One pass: what is cut up, and what came back. */
class Pass<P> {
  readonly work: Work<P>;
  readonly title: string;
  private readonly owner: QueueRunner;
  /** Name of the pass in the shared folder. */
  private readonly name: string;
  private readonly machines = new Set<string>();
  private images = 0;
  private told = 0;

  constructor(owner: QueueRunner, work: Work<P>, name: string) {
    this.owner = owner;
    this.work = work;
    this.title = work.title ?? "pass";
    this.name = name;
  }

  async run(): Promise<number> {
    await this.owner.follow(this as Pass<unknown>, this.batches());
    this.owner.warnOf(this.machines);
    return this.images;
  }

  private async *batches(): AsyncGenerator<Batch> {
    const { entries, broken } = this.work.pictures.listed!;
    const wanted = entries.map((_, index) => index).filter((i) => this.work.isWanted(i) && !broken.has(i));
    const size = this.owner.shardSizeFor(wanted.length);
    const step = size * shardsOfBatch;
    for (let from = 0; from < wanted.length; from += step) {
      const shards: Batch["shards"][number][] = [];
      for (let at = from; at < Math.min(from + step, wanted.length); at += size) {
        const listed = wanted
          .slice(at, at + size)
          .map((index) => ({ index, name: entries[index].name, plain: entries[index].plain as PlainEntry }));
        shards.push(await this.owner.shard(this.name, at / size, listed));
      }
      const id = idOf("batch", ...shards.map((shard) => shard.id));
      yield { id, shards, added: false, done: 0, missed: 0 };
    }
  }

  /** Takes what a batch has seen. */
  async take({ tallies, images, machines, ...remarks }: Seen): Promise<void> {
    relay(this.work.pictures.listed!, remarks);
    for (const [i, tally] of this.work.tallies.entries()) {
      if (isTally(tally)) tally.merge(tally.read(tallies[i]));
    }
    for (const each of machines) this.machines.add(each);
    this.images += images;
  }

  /** `more`: pictures of batches that are not taken yet. */
  tell(more: number): void {
    const done = this.images + more;
    if (done > this.told) this.work.onProgress?.(done);
    this.told = Math.max(this.told, done);
  }
}

const doneIn = ({ shards, done }: Batch): number =>
  shards.slice(0, done).reduce((sum, { job }) => sum + job.pictures, 0);

const classes = { FormatError, GraphError, InputError, UnsupportedError, UsageError };

/** The error that a worker had, by the text that the queue keeps of it. */
function revived(reason: string): Error {
  const [, name = "", message = ""] = /^(\w+): (.*)$/s.exec(reason) ?? [];
  const known = Object.entries(classes).find(([key]) => key === name)?.[1];
  return known
    ? new known(message)
    : new InputError(`a worker failed again and again: ${reason || "no reason given"}`);
}

/** Whether an error says that the server cannot be reached, or is not ready yet. */
function isAway(error: unknown): boolean {
  const { code = "", message = "" } = error as NodeJS.ErrnoException;
  return (
    /^E(CONN|PIPE|TIMEDOUT|HOSTUNREACH|AI_AGAIN)/.test(code) ||
    /Connection is closed|LOADING|READONLY|max retries|Command timed out|Stream isn't writeable|ECONN/i.test(
      message,
    )
  );
}
