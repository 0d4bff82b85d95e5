/** Tracks as the text files of MOTChallenge: `frame,id,left,top,width,height,score,class,…`, a line a box. */
import { expectKind } from "../base/arguments.ts";
import { FormatError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { Box } from "../detect/detection.ts";

/** A box of a track in one picture. */
export interface TrackRow {
  /** Number of the picture, from 1. */
  readonly frame: number;
  /** Whose box it is, a whole number. */
  readonly id: number;
  /** In pixels. */
  readonly box: Box;
  /** Of labels whether the box counts (0: it does not), of results the score; 1 where the file does not say. */
  readonly score: number;
  /** As the file numbers it, from 1; absent or −1 where it does not. */
  readonly category?: number;
}

/**
 * Reads such a file; commas or blanks between numbers, further columns are left alone. `where` is its name in messages. Throws
 * FormatError for a line that is none, and for an identity that a picture has twice.
 */
export function parseTracks(text: string, where: string): TrackRow[] {
  expectKind("parseTracks: text", text, "a string");
  expectKind("parseTracks: where", where, "a string");
  const rows: TrackRow[] = [];
  const seen = new Map<string, number>();
  text.split(/\r?\n/).forEach((line, i) => {
    if (line.trim() === "") return;
    const row = rowOf(line, `${where}: line ${i + 1}`);
    const key = `${row.frame} ${row.id}`;
    const before = seen.get(key);
    if (before !== undefined) {
      throw new FormatError(
        `${where}: line ${i + 1}: picture ${row.frame} has identity ${row.id} a second time, first in line ${before}; it can be in one place only`,
      );
    }
    seen.set(key, i + 1);
    rows.push(row);
  });
  return rows;
}

function rowOf(line: string, where: string): TrackRow {
  const words = line
    .trim()
    .split(line.includes(",") ? "," : /\s+/)
    .map((word) => word.trim());
  // A comma at the end of a line is no column.
  if (words.at(-1) === "") words.pop();
  const numbers = words.map((word) => (word === "" ? Number.NaN : Number(word)));
  if (numbers.length < 6) {
    throw new FormatError(
      `${where}: ${numbers.length} numbers in ${quote(line)}, expected frame,id,left,top,width,height,… (MOTChallenge)`,
    );
  }
  const [frame, id, x, y, width, height, score = 1, category] = numbers;
  const wrong = numbers.slice(0, 8).findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw new FormatError(`${where}: ${quote(words[wrong])} is no number`);
  if (!(Number.isInteger(frame) && frame >= 1)) {
    throw new FormatError(`${where}: picture ${frame}, expected a whole number from 1`);
  }
  if (!Number.isSafeInteger(id)) throw new FormatError(`${where}: identity ${id}, expected a whole number`);
  const row = { frame, id, box: { x, y, width, height }, score };
  return category === undefined ? row : { ...row, category };
}

/** The file of these rows, as trackers hand it in at MOTChallenge: hundredths of pixels, `-1` for what is not known. */
export function tracksText(rows: readonly TrackRow[]): string {
  expectKind("tracksText: rows", rows, "a list of boxes of tracks ({ frame, id, box, score })");
  const digits = (value: number, count: number): number => Number(value.toFixed(count));
  return rows
    .map(({ frame, id, box: { x, y, width, height }, score }) => {
      const place = [x, y, width, height].map((value) => digits(value, 2));
      return `${[frame, id, ...place, digits(score, 5), -1, -1, -1].join(",")}\n`;
    })
    .join("");
}
