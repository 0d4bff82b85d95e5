/** How long work is told of on stderr: a bar on a screen, now and then a line elsewhere. */
import cliProgress from "cli-progress";
import { visible } from "../base/text.ts";
import { type Terminal, warning } from "./terminal.ts";

export interface Progress {
  /** So far, of the work with that title. A new title, or fewer done than before, begins a new bar. */
  step(title: string, done: number, total: number): void;
  /** Says something without tearing the bar. */
  say(message: string): void;
  /** Of pictures that are left out, or damaged; each is said once. */
  skip(message: string): void;
  warn(message: string): void;
  stop(): void;
}

/**
 * Progress on stderr: a bar with rate and time left, or now and then a line. With `stages`, the work has several, and where there
 * is no screen each title is said when it begins.
 */
export function startProgress(terminal: Terminal, { stages = false } = {}): Progress {
  let current: string | undefined;
  let last = 0;
  let bar: Bar | undefined;
  const said = new Set<string>();
  const say = (message: string): void => (bar ? bar.say(message) : terminal.err(`${message}\n`));
  const once = (message: string): void => {
    if (!said.has(message)) say(message);
    said.add(message);
  };
  return {
    step: (title, done, total) => {
      if (title !== current || done < last) {
        bar?.stop();
        current = title;
        bar = startBar(terminal, title, total);
        if (stages && !terminal.live) terminal.err(`${title}\n`);
      }
      last = done;
      bar?.step(done);
    },
    say,
    skip: (text) => once(`skipped ${text}`),
    warn: (text) => once(warning(text)),
    stop: () => bar?.stop(),
  };
}

/** Of one piece of work. */
interface Bar {
  step(done: number): void;
  say(message: string): void;
  stop(): void;
}

/** Seconds between plain lines where there is no screen for a bar. */
const plainInterval = 10;

function startBar(terminal: Terminal, what: string, total: number): Bar {
  // The bar writes to the screen by itself.
  return terminal.live && total > 1
    ? liveBar(terminal, visible(what), total)
    : plainBar(terminal, what, total);
}

function liveBar(terminal: Terminal, what: string, total: number): Bar {
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

function plainBar(terminal: Terminal, what: string, total: number): Bar {
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
