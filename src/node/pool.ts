/**
 * A pool of Node's worker threads that answer calls: one call at a time in each, the oldest waiting call first. The thread's side is
 * `answerCalls`, in the file that the pool is given as its entry.
 */
import { parentPort, type Transferable, Worker, workerData } from "node:worker_threads";
import { errorNamed, NcnnkitError, UsageError } from "../base/errors.ts";
import { enableWideVectors, wideVectorsEnabled } from "../steps.ts";
import { provideNodeGpu } from "./gpu.ts";

/** A thread that ended, or that was ended because it did not answer in time. What it was asked may be asked again. */
export class WorkerError extends NcnnkitError {
  override readonly name = "WorkerError";
}

export interface PoolOptions {
  /** How many threads, 1 or more. */
  readonly size: number;
  /** What each thread is started with: copied into it, but for what is in a SharedArrayBuffer. */
  readonly data?: unknown;
  /**
   * Milliseconds that a thread may go on with a call whose signal was raised, 1000 if not said; then the thread is ended and another
   * takes its place. Nothing else stops a computation.
   */
  readonly grace?: number;
}

export interface CallOptions {
  /** What of the message is moved into the thread instead of copied. */
  readonly transfer?: readonly Transferable[];
  /** Ends the call: it rejects with the signal's reason at once, waiting or running. */
  readonly signal?: AbortSignal;
  /** Told when a thread takes the call. */
  readonly taken?: () => void;
}

/** An answer of which parts are moved out of the thread instead of copied. */
export class Moved<Answer> {
  readonly answer: Answer;
  readonly transfer: readonly Transferable[];
  constructor(answer: Answer, transfer: readonly Transferable[]) {
    this.answer = answer;
    this.transfer = transfer;
  }
}

/** What threads send: first that they are ready (or why not), then an answer a call. */
type Sent<Answer> = { readonly ready: true } | { readonly answer: Answer } | { readonly error: SentError };

/** An error on its way between threads: classes are lost when it is copied. */
interface SentError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
}

interface Call<Message, Answer> {
  readonly message: Message;
  readonly options: CallOptions;
  resolve(answer: Answer): void;
  reject(reason: unknown): void;
  /** Stops listening to the signal. */
  settled: () => void;
}

/** What a thread is started with. */
interface Started {
  readonly data: unknown;
  readonly wideVectors: boolean;
}

interface Thread<Message, Answer> {
  readonly worker: Worker;
  ready: boolean;
  /** What it is at work on; kept until it answers, also when nobody waits for that any more. */
  call?: Call<Message, Answer>;
  /** Why it ended, where it said so before. */
  reason?: unknown;
  timer?: NodeJS.Timeout;
}

const longestRestart = 5000;

/**
 * Threads that answer calls, for work that would hold up this one.
 *
 * ```ts
 * const pool = new Pool<Job, Result>(new URL("./worker.js", import.meta.url), { size: 4, data: { model } });
 * const result = await pool.call(job, { transfer: [job.buffer], signal: AbortSignal.timeout(1000) });
 * await pool.close();
 * ```
 * A thread that ends (by an error outside calls, by lack of memory, by `process.exit`) rejects its call with WorkerError and is
 * replaced; calls that wait are answered by the others. Idle threads do not keep the process alive.
 */
export class Pool<Message, Answer> {
  private readonly entry: URL;
  private readonly options: PoolOptions;
  private readonly threads = new Set<Thread<Message, Answer>>();
  private readonly queue: Call<Message, Answer>[] = [];
  private readonly signals = new Map<AbortSignal, { calls: Set<Call<Message, Answer>>; abort: () => void }>();
  private readonly restarts = new Set<NodeJS.Timeout>();
  private readonly allReady: Promise<void>;
  private started: { resolve(): void; reject(reason: unknown): void } = {
    resolve: () => {},
    reject: () => {},
  };
  private closing: Promise<void> | undefined;
  private failures = 0;

  /** `entry` is the module that calls `answerCalls`. Throws UsageError for a size that is not a whole number above 0. */
  constructor(entry: URL, options: PoolOptions) {
    if (!Number.isInteger(options.size) || options.size < 1) {
      throw new UsageError(`a pool has 1 thread or more, not ${options.size}`);
    }
    this.entry = entry;
    this.options = options;
    this.allReady = new Promise((resolve, reject) => {
      this.started = { resolve, reject };
    });
    this.allReady.catch(() => {}); // who wants to know calls `ready`
    for (let i = 0; i < options.size; i++) this.start();
  }

  /** Calls that no thread has taken yet. */
  get waiting(): number {
    return this.queue.length;
  }

  /** Threads that are at work. */
  get running(): number {
    return [...this.threads].filter((thread) => thread.call).length;
  }

  /** Threads that are ready to work or at work. */
  get alive(): number {
    return [...this.threads].filter((thread) => thread.ready).length;
  }

  /** Once every thread of the first ones is ready. Rejects with what kept one from it. */
  ready(): Promise<void> {
    return this.allReady;
  }

  /**
   * What a thread answers. Rejects with the error that it threw (with its class, where it is one of the kit), with WorkerError when the
   * thread ended, with the signal's reason, or with what is wrong with the transfer list.
   */
  call(message: Message, options: CallOptions = {}): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      const { signal } = options;
      if (this.closing) throw new WorkerError("the pool of threads is closed");
      signal?.throwIfAborted();
      const call: Call<Message, Answer> = { message, options, resolve, reject, settled: () => {} };
      if (signal) call.settled = this.listen(signal, call);
      this.queue.push(call);
      this.next();
    });
  }

  /** Ends all threads; calls that are not answered yet reject with WorkerError. */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    const closed = (): WorkerError => new WorkerError("the pool of threads was closed before it answered");
    this.started.reject(closed());
    for (const timer of this.restarts) clearTimeout(timer);
    for (const call of this.queue.splice(0)) fail(call, closed());
    await Promise.all(
      [...this.threads].map((thread) => {
        clearTimeout(thread.timer);
        if (thread.call) fail(thread.call, closed());
        return thread.worker.terminate();
      }),
    );
  }

  /** Listens to a signal, once however many calls share it, as those of a batch do; what it gives stops that for the call. */
  private listen(signal: AbortSignal, call: Call<Message, Answer>): () => void {
    let group = this.signals.get(signal);
    if (!group) {
      const calls = new Set<Call<Message, Answer>>();
      const abort = (): void => {
        for (const each of [...calls]) this.abort(each, signal.reason);
      };
      group = { calls, abort };
      this.signals.set(signal, group);
      signal.addEventListener("abort", abort, { once: true });
    }
    const { calls, abort } = group;
    calls.add(call);
    return () => {
      calls.delete(call);
      if (calls.size) return;
      signal.removeEventListener("abort", abort);
      this.signals.delete(signal);
    };
  }

  private start(): void {
    const worker = new Worker(this.entry, {
      workerData: { data: this.options.data, wideVectors: wideVectorsEnabled() } satisfies Started,
    });
    const thread: Thread<Message, Answer> = { worker, ready: false };
    this.threads.add(thread);
    worker.on("message", (sent: Sent<Answer>) => this.received(thread, sent));
    worker.on("messageerror", (error) => this.stop(thread, error));
    worker.on("error", (error) => {
      thread.reason ??= error;
    });
    worker.on("exit", (code) => this.ended(thread, code));
  }

  private received(thread: Thread<Message, Answer>, sent: Sent<Answer>): void {
    if ("ready" in sent) {
      thread.ready = true;
      this.failures = 0;
      if (this.alive === this.options.size) this.started.resolve();
    } else if (!thread.ready) {
      thread.reason = "error" in sent ? revived(sent.error) : undefined;
      return;
    } else {
      const { call } = thread;
      clearTimeout(thread.timer);
      thread.call = undefined;
      if (call && "answer" in sent) succeed(call, sent.answer);
      else if (call && "error" in sent) fail(call, revived(sent.error));
    }
    this.next();
  }

  /** Gives the oldest calls to threads that are free, and lets the process end when nothing is left to answer. */
  private next(): void {
    for (const thread of this.threads) {
      while (this.queue.length && thread.ready && !thread.call) this.hand(thread);
    }
    const busy = this.queue.length > 0 || this.running > 0;
    for (const { worker, ready } of this.threads) {
      if (busy || !ready) worker.ref();
      else worker.unref();
    }
  }

  private hand(thread: Thread<Message, Answer>): void {
    const call = this.queue.shift();
    if (!call) return;
    try {
      thread.worker.postMessage(call.message, call.options.transfer);
      thread.call = call;
      call.options.taken?.();
    } catch (error) {
      fail(call, error); // what cannot be copied or moved; the thread is as free as before
    }
  }

  private abort(call: Call<Message, Answer>, reason: unknown): void {
    fail(call, reason);
    const index = this.queue.indexOf(call);
    if (index >= 0) this.queue.splice(index, 1);
    this.next();
    for (const thread of this.threads) {
      if (thread.call !== call) continue;
      const { grace = 1000 } = this.options;
      thread.timer = setTimeout(() => this.stop(thread, `no answer ${grace} ms after its time`), grace);
    }
  }

  private stop(thread: Thread<Message, Answer>, reason: unknown): void {
    thread.reason ??= reason;
    void thread.worker.terminate();
  }

  private ended(thread: Thread<Message, Answer>, code: number): void {
    clearTimeout(thread.timer);
    this.threads.delete(thread);
    thread.worker.removeAllListeners();
    if (this.closing) return;
    const { reason = `exit code ${code}`, ready } = thread;
    const text = reason instanceof Error ? reason.message : String(reason);
    const error = new WorkerError(`a worker thread ended: ${text}`, { cause: reason });
    if (thread.call) fail(thread.call, error);
    if (ready) this.start();
    else this.failedToStart(reason instanceof NcnnkitError ? reason : error);
    this.next();
  }

  /** What keeps a thread from starting will mostly keep the next one too: calls are told, and the next try waits. */
  private failedToStart(error: unknown): void {
    this.started.reject(error);
    if (this.alive === 0) for (const call of this.queue.splice(0)) fail(call, error);
    const delay = Math.min(longestRestart, 100 * 2 ** this.failures++);
    const timer = setTimeout(() => {
      this.restarts.delete(timer);
      this.start();
    }, delay);
    this.restarts.add(timer);
    timer.unref();
  }
}

function succeed<Answer>(call: Call<unknown, Answer>, answer: Answer): void {
  call.settled();
  call.resolve(answer);
}

function fail(call: Call<unknown, never>, reason: unknown): void {
  call.settled();
  call.reject(reason);
}

function revived({ name, message, stack }: SentError): Error {
  const error = errorNamed(name, message) ?? Object.assign(new Error(message), { name });
  error.stack = stack;
  return error;
}

function sent(error: unknown): SentError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  return { name: error.name, message: error.message, stack: error.stack };
}

type Answered<Answer> = Answer | Moved<Answer>;
type Answering<Message, Answer> = (message: Message) => Answered<Answer> | Promise<Answered<Answer>>;

/**
 * The thread's side of a pool: `start` gets the pool's `data` and gives what answers each call; what either throws reaches the caller.
 * An answer may be `Moved`.
 *
 * ```ts
 * answerCalls<Data, Message, Answer>(async ({ model }) => {
 *   const loaded = await load(model);
 *   return (message) => loaded.detect(message.picture);
 * });
 * ```
 */
export async function answerCalls<Data, Message, Answer>(
  start: (data: Data) => Answering<Message, Answer> | Promise<Answering<Message, Answer>>,
): Promise<void> {
  const port = parentPort;
  if (!port) throw new UsageError("answerCalls: this is no worker thread; the pool starts the entry");
  const send = (message: Sent<Answer>, transfer?: readonly Transferable[]): void =>
    port.postMessage(message, transfer);
  try {
    const { data, wideVectors } = workerData as Started & { data: Data };
    // V8's switch is one for all threads, what the kit plans for is not.
    if (wideVectors) enableWideVectors();
    provideNodeGpu();
    const answer = await start(data);
    port.on("message", async (message: Message) => {
      try {
        const answered = await answer(message);
        if (answered instanceof Moved) send({ answer: answered.answer }, answered.transfer);
        else send({ answer: answered });
      } catch (error) {
        send({ error: sent(error) });
      }
    });
    send({ ready: true });
  } catch (error) {
    // Nothing listens, so the thread ends by itself and the pool says why.
    send({ error: sent(error) });
  }
}
