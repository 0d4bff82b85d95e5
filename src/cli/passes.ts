/** What carries out passes over pictures: the threads of this machine, or workers behind a queue. */

import { NcnnkitError, UsageError } from "../node.ts";
import { QueueRunner } from "../queue/runner.ts";
import type { Runner } from "../steps.ts";
import { flag, type OptionsOf, option } from "./command.ts";
import { numberIn, threadsFor } from "./options.ts";

export const queueOptions = {
  queue: option("--queue <address>", "let workers do it: redis://host:6379 (see docs/scale.md)"),
  shared: option("--shared <dir>", "folder that this machine and the workers share, for --queue"),
  shardSize: option("--shard-size <n>", "pictures that a worker takes at a time", numberIn(1, 65536, true)),
  telemetry: flag("--telemetry", "traces of jobs by OpenTelemetry, for --queue"),
};
type Options = OptionsOf<typeof queueOptions> & { readonly threads?: number };

/** `close` it at the end, and say whether all went well. */
export interface Passes {
  readonly runner: Runner;
  /** Aborted by Ctrl-C, where something has to be taken back. */
  readonly signal: AbortSignal | undefined;
  /** Pictures at once on this machine; 0 where others do it. */
  readonly count: number;
  close(isDone: boolean): Promise<void>;
}

/** For passes over so many pictures. */
export async function passesFor(
  options: Options,
  pictures: number,
  say: (message: string) => void,
): Promise<Passes> {
  const { queue, shared, shardSize, telemetry } = options;
  if (queue === undefined) {
    const threads = threadsFor(options, pictures);
    const { runner, count } = threads;
    return { runner, count, signal: undefined, close: () => threads.close() };
  }
  if (shared === undefined) {
    throw new UsageError("--queue needs --shared, a folder that this machine and the workers share");
  }
  const open = await QueueRunner.open(queue, { shared, shardSize, telemetry, say });
  const stop = new AbortController();
  const interrupted = (): void => {
    say("taking back what is in the queue; Ctrl-C again ends at once, and workers go on");
    stop.abort(new NcnnkitError("interrupted; what was in the queue is taken back"));
  };
  process.once("SIGINT", interrupted);
  return {
    runner: open.runner,
    signal: stop.signal,
    count: 0,
    close: async (isDone) => {
      process.removeListener("SIGINT", interrupted);
      await open.close({ isDone });
    },
  };
}
