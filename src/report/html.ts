/** HTML and SVG text in which every inserted value is escaped unless it is markup itself. */

/** Text that is HTML already: made by `html`, or constant. Never made of data. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Insert = string | number | Markup | undefined | false | readonly Insert[];

/** A tagged template: `` html`<b>${name}</b>` `` escapes `name`; lists are joined, `undefined` and `false` are left out. */
export function html(strings: TemplateStringsArray, ...inserts: readonly Insert[]): Markup {
  return new Markup(strings.reduce((text, part, i) => text + render(inserts[i - 1]) + part));
}

function render(insert: Insert): string {
  if (insert === undefined || insert === false) return "";
  if (insert instanceof Markup) return insert.text;
  if (typeof insert === "object") return insert.map(render).join("");
  return escapeText(String(insert));
}

const entities: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
  "`": "&#96;",
};

/**
 * Safe in text and in quoted attributes. Control characters and those that turn the direction of writing, with which a name
 * could make a page look other than it is, become U+FFFD.
 */
export function escapeText(text: string): string {
  return (
    text
      .replace(/\p{Surrogate}/gu, "\ufffd")
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd")
      .replace(/[&<>"'`]/g, (char) => entities[char])
  );
}

/** A `data:` address of a picture. */
export function dataUri({ type, bytes }: { type: string; bytes: Uint8Array }): string {
  const pieces: string[] = [];
  // A multiple of 3, so that the pieces' Base64 can be joined.
  for (let at = 0; at < bytes.length; at += 24_576) {
    pieces.push(btoa(String.fromCharCode(...bytes.subarray(at, at + 24_576))));
  }
  return `data:${type};base64,${pieces.join("")}`;
}
