/** The models that are served, in a pool of threads; a new pool takes over when their files change. */
import { UsageError } from "../../base/errors.ts";
import { Pool } from "../pool.ts";
import type { Answer, Asked, ModelFacts, Reply, ThreadData } from "./messages.ts";
import { Refusal } from "./refusal.ts";
import { type ReadModel, readModel, type ServedModel, stateOf } from "./source.ts";

/** What the models were read from, and the threads that run them. */
interface Generation {
  readonly pool: Pool<Asked, Answer>;
  readonly facts: ReadonlyMap<string, ModelFacts>;
  readonly files: readonly string[];
  /** State of the files when they were read. */
  readonly state: string;
  readonly running: Set<Promise<unknown>>;
}

export interface ModelsOptions {
  readonly threads: number;
  /** Milliseconds between looks at the files; 0 looks never. */
  readonly watch: number;
  /** Told what happens on its own. */
  readonly onNotice: (message: string) => void;
  /** The module of the threads; the kit's own if not said. */
  readonly worker?: URL;
}

/** Milliseconds that a thread may go on with a request whose time is over, before it is taken for stuck and replaced. */
const grace = 10_000;

const entry = new URL(`./worker${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);

/** Starts the models. Throws what keeps one from running, and UsageError for two of one name. */
export async function startModels(
  models: readonly ServedModel[],
  options: ModelsOptions,
): Promise<ServedModels> {
  return new ServedModels(models, options, await generation(models, options));
}

export class ServedModels {
  private readonly models: readonly ServedModel[];
  private readonly options: ModelsOptions;
  private current: Generation;
  private reloading: Promise<void> | undefined;
  /** The one after it, where that was asked for meanwhile. */
  private next: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  /** State of changed files at the last look: they are read when two looks find the same. */
  private seen: string;
  private closed = false;

  constructor(models: readonly ServedModel[], options: ModelsOptions, first: Generation) {
    this.models = models;
    this.options = options;
    this.current = first;
    this.seen = first.state;
    this.timer = options.watch > 0 ? setInterval(() => this.look(), options.watch).unref() : undefined;
  }

  /** By name, in the order in which they were given. */
  get facts(): ReadonlyMap<string, ModelFacts> {
    return this.current.facts;
  }

  /** Threads that are ready or at work. */
  get alive(): number {
    return this.current.pool.alive;
  }

  get waiting(): number {
    return this.current.pool.waiting;
  }

  get running(): number {
    return this.current.pool.running;
  }

  /** What a thread answers. Rejects as `Pool.call`. */
  async ask(
    asked: Exclude<Asked, { kind: "describe" }>,
    options: Parameters<Pool<Asked, Answer>["call"]>[1],
  ): Promise<Reply> {
    const { pool, running } = this.current;
    const call = pool.call(asked, options);
    running.add(call);
    try {
      return (await call) as Reply;
    } finally {
      running.delete(call);
    }
  }

  /** The facts of a model. Throws Refusal where there is none of the name. */
  require(name: string): ModelFacts {
    const found = this.facts.get(name);
    if (found) return found;
    const known = [...this.facts.keys()].join(", ");
    throw new Refusal(404, `no model ${JSON.stringify(name)}; there is ${known}`);
  }

  /**
   * Reads all models anew; requests go to the new ones as soon as all of them run, those at work are finished by the old. Where one does
   * not run, all stay as they are. Tells how it went.
   */
  reload(): Promise<void> {
    if (this.reloading) {
      // What is read at present may have been read before the change that this is about.
      this.next ??= this.reloading.then(() => {
        this.next = undefined;
        return this.reload();
      });
      return this.next;
    }
    this.reloading = this.replace().finally(() => {
      this.reloading = undefined;
    });
    return this.reloading;
  }

  private async replace(): Promise<void> {
    const { onNotice } = this.options;
    try {
      if (this.closed) return;
      const next = await generation(this.models, this.options);
      if (this.closed) return await next.pool.close();
      const old = this.current;
      this.current = next;
      this.seen = next.state;
      onNotice(`models were read anew: ${[...next.facts.keys()].join(", ")}`);
      await Promise.allSettled([...old.running]);
      await old.pool.close();
    } catch (error) {
      onNotice(`the models stay as they were: ${error instanceof Error ? error.message : error}`);
    }
  }

  /** Files are written one after the other: they are read once they have rested for a look. */
  private look(): void {
    const now = stateOf(this.current.files);
    const rests = now === this.seen;
    this.seen = now;
    if (this.reloading || !rests || now === this.current.state || now === this.tried) return;
    this.tried = now;
    void this.reload();
  }
  /** State of the files that were tried last, so that what does not run is tried once. */
  private tried: string | undefined;

  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.timer);
    await (this.next ?? this.reloading);
    await this.current.pool.close();
  }
}

async function generation(
  models: readonly ServedModel[],
  { threads, worker = entry }: ModelsOptions,
): Promise<Generation> {
  const read: ReadModel[] = [];
  for (const model of models) read.push(await readModel(model));
  const files = read.flatMap((each) => each.files);
  const names = read.map(({ shared }) => shared.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new UsageError(`two models are called ${twice}; call one of them otherwise, as in other=FILE`);
  }
  const state = read.map((each) => each.state).join();
  const data: ThreadData = { models: read.map(({ shared }) => shared) };
  const pool = new Pool<Asked, Answer>(worker, { size: threads, data, grace });
  try {
    await pool.ready();
    const answer = await pool.call({ kind: "describe" });
    const facts = "facts" in answer ? answer.facts : [];
    return { pool, files, state, running: new Set(), facts: new Map(facts.map((each) => [each.name, each])) };
  } catch (error) {
    await pool.close();
    throw error;
  }
}
