/** How long work is told of on stderr: a bar on a screen, now and then a line elsewhere. */
import cliProgress from "cli-progress";
import { visible } from "../base/text.ts";
import { type Terminal, warn } from "./terminal.ts";

export interface Progress {
  step(done: number): void;
  /** Says something without tearing the bar. */
  say(message: string): void;
  stop(): void;
}

/** Seconds between plain lines where there is no screen for a bar. */
const plainInterval = 10;

/** Progress of `total` steps on stderr: a bar with rate and time left, or now and then a line. */
export function startProgress(terminal: Terminal, what: string, total: number): Progress {
  // The bar writes to the screen by itself.
  return terminal.live && total > 1
    ? liveProgress(terminal, visible(what), total)
    : plainProgress(terminal, what, total);
}

function liveProgress(terminal: Terminal, what: string, total: number): Progress {
  const bar = new cliProgress.SingleBar({
    format: `${what} [{bar}] {value}/{total} · {rate}/s · {eta_formatted} left`,
    barsize: 30,
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
  });
  const started = Date.now();
  let shown = 0;
  const rate = (): { rate: string } => ({
    rate: ((shown * 1000) / Math.max(1, Date.now() - started)).toFixed(1),
  });
  bar.start(total, 0, rate());
  return {
    step: (done) => {
      shown = done;
      bar.update(done, rate());
    },
    say: (text) => {
      process.stderr.write("\r\x1b[K");
      terminal.err(`${text}\n`);
      bar.update(shown, rate());
    },
    stop: () => bar.stop(),
  };
}

function plainProgress(terminal: Terminal, what: string, total: number): Progress {
  const started = Date.now();
  let last = started;
  return {
    step: (done) => {
      const now = Date.now();
      if (now - last < plainInterval * 1000 || done >= total) return;
      last = now;
      const left = Math.round(((now - started) / 1000 / done) * (total - done));
      terminal.err(`${what}: ${done}/${total}, about ${left} s left\n`);
    },
    say: (message) => terminal.err(`${message}\n`),
    stop: () => {},
  };
}

export interface StageProgress {
  /** So far, of a stage with that title. A new title, or fewer done than before, begins a new bar. */
  step(title: string, done: number, total: number): void;
  /** Of pictures that are left out, or damaged; each is said once. */
  skip(message: string): void;
  warn(message: string): void;
  stop(): void;
}

/** Progress of work that has stages, or goes over the same pictures several times. */
export function stageProgress(terminal: Terminal): StageProgress {
  let current: string | undefined;
  let last = 0;
  let bar: Progress | undefined;
  const said = new Set<string>();
  const once = (message: string, say: () => void): void => {
    if (!said.has(message)) say();
    said.add(message);
  };
  return {
    step: (title, done, total) => {
      if (title !== current || done < last) {
        bar?.stop();
        current = title;
        bar = startProgress(terminal, title, total);
        if (!terminal.live) terminal.err(`${title}\n`);
      }
      last = done;
      bar?.step(done);
    },
    skip: (message) =>
      once(message, () => (bar ? bar.say(`skipped ${message}`) : terminal.err(`skipped ${message}\n`))),
    warn: (message) => once(message, () => (bar ? bar.say(`warning: ${message}`) : warn(terminal, message))),
    stop: () => bar?.stop(),
  };
}
