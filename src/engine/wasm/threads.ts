/**
 * Threads over one shared memory. A program owns its workers: they sit in wasm (`serve`), wait for a command, run their
 * share of a segment and wait again. The calling thread gives the command and does a share itself, so an inference is one
 * call, and all threads meet at a barrier after every step.
 */
import { UnsupportedError } from "../../base/errors.ts";
import type { FuncRef, Module } from "../../wasm/index.ts";

/** Control words at the beginning of memory, a cache line apart, and behind them constants of kernels; values begin at the end. */
export const controlAddresses = {
  sleepers: 0,
  arrived: 64,
  generation: 128,
  command: 192,
  constants: 256,
  end: 1024,
} as const;

/**
 * Bits of the command word that name the segment; those above count commands, so that the word changes with each. One
 * word for both, because a thread that has just finished a segment may look while the next command is being given.
 */
const segmentBits = 20;

/**
 * Rounds of looking before a thread goes to sleep, about 0.1 ms: in a virtual machine, being woken takes as long as several steps,
 * and whoever had to be woken at one barrier makes the others sleep at the next. With 2000 rounds two threads were no faster than one.
 */
const spins = 200_000;
/** A thread that does not come within this time is taken for dead. */
const patienceNanoseconds = 5_000_000_000n;

/**
 * Emits `barrier(threads) → i32`: returns 0 once all threads have called it, 1 if they do not come. The last to arrive
 * resets the count and moves the generation on; the others spin on the generation and then sleep on it.
 */
export function emitBarrier(m: Module): FuncRef {
  const { arrived, generation, sleepers } = controlAddresses;
  return m.func("barrier", { params: { threads: "i32" }, results: ["i32"] }, (f) => {
    const mine = f.local("i32", "mine");
    const count = f.local("i32", "count");
    const loadGeneration = (): void => {
      f.i32(generation);
      f.op("i32.atomic.load");
    };
    const addSleepers = (by: number): void => {
      f.i32(sleepers);
      f.i32(by);
      f.op("i32.atomic.rmw.add");
      f.drop();
    };
    loadGeneration();
    f.set(mine);
    f.i32(arrived);
    f.i32(1);
    f.op("i32.atomic.rmw.add");
    f.i32(1);
    f.op("i32.add");
    f.get(f.params.threads);
    f.op("i32.eq");
    f.if(() => {
      f.i32(arrived);
      f.i32(0);
      f.op("i32.atomic.store");
      f.i32(generation);
      f.i32(1);
      f.op("i32.atomic.rmw.add");
      f.drop();
      // One that counts itself after this look finds the generation moved and does not sleep.
      f.i32(sleepers);
      f.op("i32.atomic.load");
      f.if(() => {
        f.i32(generation);
        f.i32(-1);
        f.op("memory.atomic.notify");
        f.drop();
      });
      f.i32(0);
      f.return();
    });
    f.i32(spins);
    f.set(count);
    f.loop((again) => {
      loadGeneration();
      f.get(mine);
      f.op("i32.ne");
      f.if(() => {
        f.i32(0);
        f.return();
      });
      f.get(count);
      f.i32(1);
      f.op("i32.sub");
      f.tee(count);
      f.brIf(again);
    });
    addSleepers(1);
    // Woken is not yet called: the notification may be one for the barrier before, from a thread that was slow to send it.
    f.loop((again) => {
      f.i32(generation);
      f.get(mine);
      f.i64(patienceNanoseconds);
      f.op("memory.atomic.wait32");
      f.i32(2); // timed out
      f.op("i32.eq");
      f.if(() => {
        f.i32(1);
        f.return();
      });
      loadGeneration();
      f.get(mine);
      f.op("i32.eq");
      f.brIf(again);
    });
    addSleepers(-1);
    f.i32(0);
  });
}

/**
 * Emits the exported `serve(thread, threads)`: runs `segments[i]` with these arguments whenever the command word has
 * changed. The word is read once: a counter above, i below.
 */
export function emitServe(m: Module, segments: readonly FuncRef[]): void {
  const { command } = controlAddresses;
  m.func("serve", { params: { thread: "i32", threads: "i32" }, results: [], export: true }, (f) => {
    const seen = f.local("i32", "seen");
    const count = f.local("i32", "count");
    const loadCommand = (): void => {
      f.i32(command);
      f.op("i32.atomic.load");
    };
    f.loop((again) => {
      f.block((found) => {
        f.i32(spins);
        f.set(count);
        f.loop((look) => {
          loadCommand();
          f.get(seen);
          f.op("i32.ne");
          f.brIf(found);
          f.get(count);
          f.i32(1);
          f.op("i32.sub");
          f.tee(count);
          f.brIf(look);
        });
        f.i32(command);
        f.get(seen);
        f.i64(-1n);
        f.op("memory.atomic.wait32");
        f.drop();
        f.br(again);
      });
      loadCommand();
      f.set(seen);
      segments.forEach((run, i) => {
        f.get(seen);
        f.i32((1 << segmentBits) - 1);
        f.op("i32.and");
        f.i32(i);
        f.op("i32.eq");
        f.if(() => {
          f.get(f.params.thread);
          f.get(f.params.threads);
          f.call(run);
          f.drop();
        });
      });
      f.br(again);
    });
  });
}

/** Emits `command(segment)`: tells those who serve to run a segment. */
export function emitCommand(m: Module): FuncRef {
  const { command } = controlAddresses;
  return m.func("command", { params: { segment: "i32" }, results: [] }, (f) => {
    f.i32(command);
    f.i32(command);
    f.op("i32.atomic.load");
    f.i32(segmentBits);
    f.op("i32.shr_u");
    f.i32(1);
    f.op("i32.add");
    f.i32(segmentBits);
    f.op("i32.shl");
    f.get(f.params.segment);
    f.op("i32.or");
    f.op("i32.atomic.store");
    f.i32(command);
    f.i32(-1);
    f.op("memory.atomic.notify");
    f.drop();
  });
}

/** What a worker does: instantiate the shared module over the shared memory, say so, and serve. */
const workerSource = `
const start = ({ module, memory, thread, threads }, ready) => {
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  ready();
  instance.exports.serve(thread, threads);
};
const node = globalThis.process?.getBuiltinModule?.("node:worker_threads");
if (node) start(node.workerData, () => node.parentPort.postMessage("ready"));
else {
  onmessage = (event) => start(event.data, () => postMessage("ready"));
}
`;

interface WorkerData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly threads: number;
}

interface ThreadWorker {
  terminate(): void;
}

/** The part of Node's worker_threads that is used; asked for at run time, so that a browser bundle does not contain it. */
interface NodeWorkerModule {
  readonly Worker: new (
    source: string,
    options: { eval: true; workerData: WorkerData },
  ) => {
    once(event: "message" | "error" | "exit", listener: (value: unknown) => void): void;
    unref(): void;
    terminate(): Promise<number>;
  };
}

function nodeWorkers(): NodeWorkerModule | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  return process?.getBuiltinModule?.("node:worker_threads") as NodeWorkerModule | undefined;
}

/** Whether more than one thread can be used here: shared memory, workers, and a thread that may block. */
function threadsAvailable(): boolean {
  if (nodeWorkers()) return true;
  const { crossOriginIsolated, document } = globalThis as {
    crossOriginIsolated?: boolean;
    document?: unknown;
  };
  return crossOriginIsolated === true && typeof Worker === "function" && document === undefined;
}

const refusedWorker = (reason: unknown): UnsupportedError =>
  new UnsupportedError(
    `a thread could not be started: the Content-Security-Policy of this worker needs worker-src blob: (${reason instanceof Error ? reason.message : reason || "the browser gives no reason"})`,
    { cause: reason },
  );

/** The workers of one program. */
export class ThreadPool {
  /** Why the threads can no longer be used. */
  broken: string | undefined;
  private commands = 0;
  private readonly memory: WebAssembly.Memory;
  private readonly workers: ThreadWorker[] = [];

  private constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
  }

  /** Starts `threads` − 1 workers and waits until they are there. Throws UnsupportedError where there can be none. */
  static async start(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    threads: number,
  ): Promise<ThreadPool> {
    if (!threadsAvailable()) {
      throw new UnsupportedError(
        "threads need Node 20.16 or newer, or a worker of a cross-origin isolated page (see docs/engine.md)",
      );
    }
    const pool = new ThreadPool(memory);
    const ready: Promise<void>[] = [];
    for (let thread = 1; thread < threads; thread++)
      ready.push(pool.spawn({ module, memory, thread, threads }));
    try {
      await Promise.all(ready);
    } catch (error) {
      pool.close();
      throw error;
    }
    return pool;
  }

  private spawn(data: WorkerData): Promise<void> {
    const node = nodeWorkers();
    return new Promise((resolve, reject) => {
      const die = (reason: unknown): void => {
        this.broken ??= `worker thread ${data.thread} ended: ${reason instanceof Error ? reason.message : reason}`;
        reject(new Error(this.broken));
      };
      if (node) {
        const worker = new node.Worker(workerSource, { eval: true, workerData: data });
        worker.once("message", () => {
          worker.unref();
          resolve();
        });
        worker.once("error", die);
        worker.once("exit", (code) => die(`exit code ${code}`));
        this.workers.push({ terminate: () => void worker.terminate() });
      } else {
        const url = URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" }));
        let started = false;
        // The worker's text is ours and small: what keeps it from starting is a policy, which browsers tell by no message.
        const fail = (reason: unknown): void => {
          if (started) die(reason);
          else reject(refusedWorker(reason));
        };
        try {
          const worker = new Worker(url);
          worker.onmessage = () => {
            URL.revokeObjectURL(url);
            started = true;
            resolve();
          };
          worker.onerror = (event) => fail(event.message);
          worker.postMessage(data);
          this.workers.push(worker);
        } catch (error) {
          fail(error);
        }
      }
    });
  }

  /** Tells the workers to run a segment. */
  command(segment: number): void {
    this.commands++;
    const words = new Int32Array(this.memory.buffer);
    Atomics.store(words, controlAddresses.command / 4, (this.commands << segmentBits) | segment);
    Atomics.notify(words, controlAddresses.command / 4);
  }

  close(): void {
    this.broken ??= "the session is closed";
    for (const worker of this.workers) worker.terminate();
    this.workers.length = 0;
  }
}
