/**
 * Where a command writes: results to `out`, everything said to a person to `err`. Names of layers, classes and files are other people's:
 * what reaches a terminal goes through `guarded`, which lets no control character by.
 */
import pc from "picocolors";
import { message, visible } from "../base/text.ts";
import { fileError } from "../node/files.ts";

export interface Terminal {
  /** Results; nothing else. */
  out(text: string): void;
  /** Messages, warnings, progress. */
  err(text: string): void;
  /** Whether `err` is a screen on which a bar can be redrawn. */
  readonly live: boolean;
  /** Whether each stream takes colours (a terminal, and no NO_COLOR). */
  readonly color: { readonly out: boolean; readonly err: boolean };
}

/** The terminal of this process. */
export function processTerminal(): Terminal {
  // A reader that has seen enough (`| head -1`) is no failure; a full disk is one.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    process.stderr.write(`error: ${fileError("write to", "the standard output", error).message}\n`);
    process.exit(1);
  });
  // Nobody can be told that messages do not arrive.
  process.stderr.on("error", () => {});
  const wanted = pc.isColorSupported;
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    live: process.stderr.isTTY === true,
    color: { out: wanted && process.stdout.isTTY === true, err: wanted && process.stderr.isTTY === true },
  };
}

/**
 * The terminal with every control character but line ends and tabs written out, as JSON writes it, so that JSON text still means the
 * same. `error:` and `warning:` at the beginning of a message get their colours here, behind that.
 */
export function guarded(terminal: Terminal): Terminal {
  const { red, yellow } = pc.createColors(terminal.color.err);
  const kept = "\n\t";
  return {
    ...terminal,
    out: (text) => terminal.out(visible(text, kept)),
    err: (text) =>
      terminal.err(
        visible(text, kept)
          .replace(/^error:/, red)
          .replace(/^warning:/, yellow),
      ),
  };
}

export const warning = (text: string): string => `warning: ${message(text)}`;

export function warn(terminal: Terminal, text: string): void {
  terminal.err(`${warning(text)}\n`);
}

/** The result of a command with `--json`. */
export function printJson(terminal: Terminal, value: unknown): void {
  terminal.out(`${JSON.stringify(value, null, 2)}\n`);
}

/** Lines of columns, padded so that they line up; numbers to the right; a row stays a line whatever its cells hold. */
export function table(content: readonly (readonly (string | number)[])[], gap = "  "): string {
  const rows = content.map((row) => row.map((cell) => (typeof cell === "string" ? visible(cell) : cell)));
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, String(cell).length);
    });
  }
  const lines = rows.map((row) =>
    row
      .map((cell, i) =>
        typeof cell === "number" ? String(cell).padStart(widths[i]) : cell.padEnd(widths[i]),
      )
      .join(gap)
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}
