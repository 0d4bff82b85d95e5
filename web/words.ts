/** The words of the page in the visitor's language. English stands in the code and is the key; a catalogue has the others. */

export type Language = "en" | "zh";
/** As each language calls itself. */
export const languages: Readonly<Record<Language, string>> = { en: "English", zh: "中文" };

const keptAs = "ncnnkit-language";
let catalogue: Readonly<Record<string, string>> = {};
let current: Language = "en";

export const language = (): Language => current;

/** A text in the visitor's language; `{name}` stands for a value. What no catalogue has stays English. */
export function t(english: string, values: Readonly<Record<string, string | number>> = {}): string {
  const text = catalogue[english] ?? english;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** A text of a table, which `t` puts into the visitor's language where it is shown. */
export const later = (english: string): string => english;

/** A number of things: `3 pictures`. */
export const plural = (count: number, one: string, many = `${one}s`): string =>
  t(`{n} ${count === 1 ? one : many}`, { n: count });

/** The language that was chosen here, else the browser's. */
export function wantedLanguage(): Language {
  const chosen = localStorage.getItem(keptAs);
  if (chosen && chosen in languages) return chosen as Language;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** Puts the page into a language; what is written later follows. `keep`: for the next visit too. */
export async function useLanguage(wanted: Language, keep = false): Promise<void> {
  if (keep) localStorage.setItem(keptAs, wanted);
  catalogue = wanted === "zh" ? (await import("./words-zh.ts")).words : {};
  current = wanted;
  document.documentElement.lang = wanted === "zh" ? "zh-Hans" : "en";
  translate(document.documentElement);
  dispatchEvent(new Event(languageChanged));
}

/** Told to the window when what is written has to be written anew. */
export const languageChanged = "ncnnkit-language";

/** What the page's HTML says in English, where it has been put into another language. */
const originals = new WeakMap<Node, string>();
const attributes = ["aria-label", "placeholder", "title", "label"];

/** Puts texts and labels of the page's HTML into the language; texts that scripts write come from `t`. */
function translate(root: Element): void {
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    if (!node.parentElement?.closest("script, style, code, textarea")) put(node as Text);
  }
  for (const name of attributes) {
    for (const element of root.querySelectorAll(`[${name}]`)) {
      const attribute = element.getAttributeNode(name);
      if (attribute) put(attribute);
    }
  }
}

function put(node: Text | Attr): void {
  const now = node.nodeValue ?? "";
  const trimmed = now.replaceAll(/\s+/g, " ").trim();
  const known = originals.get(node);
  // Somebody may have written something else since.
  const original =
    known !== undefined && (catalogue[known] === trimmed || wasPut.get(node) === now) ? known : trimmed;
  if (!/[a-z]/i.test(original)) return;
  const text = catalogue[original] ?? original;
  if (text === trimmed) return;
  originals.set(node, original);
  const [before, after] = [/^\s*/.exec(now)?.[0] ?? "", /\s*$/.exec(now)?.[0] ?? ""];
  node.nodeValue = `${before}${text}${after}`;
  wasPut.set(node, node.nodeValue);
}

const wasPut = new WeakMap<Node, string>();
