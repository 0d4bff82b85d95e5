/** Words for people, and other people's words made safe to show. */

/** `1 picture`, `2 pictures`, `3 boxes`. */
export const counted = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? "" : /[xs]$/.test(noun) ? "es" : "s"}`;

/** The most characters of a file's or caller's own text that a message repeats. */
const longestQuote = 200;
/** The most characters of a whole message, whatever it repeats. */
const longestMessage = 2000;

/** What moves the cursor, rings, colours, or turns the reading direction; and halves of characters. */
const unseen = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Surrogate}\ufeff]/gu;
const shortEscapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * The text with control characters written as JSON writes them (`\n`, `\u001b`), so that it can be shown on a terminal and JSON text
 * still means the same. Those in `kept` stay.
 */
export function visible(text: string, kept = ""): string {
  return text.replace(unseen, (found) => {
    if (kept.includes(found)) return found;
    return shortEscapes[found] ?? `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Beginning and end of a text that is longer than `most` characters. */
function clipped(text: string, most: number): string {
  if (text.length <= most) return text;
  const end = Math.floor((most - 3) / 3);
  // A pair of surrogates that is cut in two would be two bad characters.
  return `${text.slice(0, most - 3 - end)}…${text.slice(-end)}`.replace(/\p{Surrogate}/gu, "");
}

/** Whether a text can be the name of a file in its folder, without the power to leave it or to upset a terminal that lists it. */
export function isFileName(text: string): boolean {
  return text !== "" && text !== "." && text !== ".." && !/[/\\]/.test(text) && visible(text) === text;
}

/** The text as a part of a path: what only upsets a terminal becomes `_`. */
export function fileSafe(text: string): string {
  return text.replace(unseen, "_");
}

/** Text of a file or a caller for a message: visible, at most 200 characters of it. */
export function brief(text: string): string {
  return clipped(visible(text), longestQuote);
}

/** The same in double quotes. */
export const quote = (text: string): string => `"${brief(text)}"`;

/** What begins a line of a list of addresses: the only line end that a message may have. (Foreign text has others.) */
const listed = /\n {2}(?=https:\/\/)/;

/**
 * A message that a terminal can show: one line (and addresses on lines of their own), visible; what stands in double quotes and every word at most 200 characters, the
 * whole at most 2000: for messages that repeat foreign text without `quote`.
 */
export function message(text: string): string {
  const line = text
    .split(listed)
    .map((part) => visible(part))
    .join("\n  ")
    .replace(/"([^"]*)"/g, (_, inner: string) => `"${clipped(inner, longestQuote)}"`)
    .replace(/\S+/g, (word) => clipped(word, longestQuote));
  return clipped(line, longestMessage);
}
