/** Ctrl-C while a video is read: first everything is brought to an end, a second time it is left as it is. */
import { stopSignals } from "../write.ts";

export interface Stopping {
  /** The signal that asked to stop, once there was one. */
  readonly signal: NodeJS.Signals | undefined;
  /** Listens no more. */
  release(): void;
  /** Lets the signal that was caught end the process, as it would have. */
  pass(): void;
}

/** Calls `stop` at the first signal, and `abort` at the second, after which the signal takes its course. */
export function watchStop(stop: () => void, abort: () => void): Stopping {
  let caught: NodeJS.Signals | undefined;
  const release = (): void => {
    for (const each of stopSignals) process.off(each, listener);
  };
  const pass = (): void => {
    release();
    if (caught) process.kill(process.pid, caught);
  };
  const listener = (signal: NodeJS.Signals): void => {
    if (caught) {
      abort();
      pass();
      return;
    }
    caught = signal;
    stop();
  };
  for (const each of stopSignals) process.on(each, listener);
  return {
    get signal() {
      return caught;
    },
    release,
    pass,
  };
}
