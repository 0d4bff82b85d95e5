/** Every text of the page has its like in every catalogue, with the same places for values. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { stageTitles } from "../../src/steps.ts";
import { words } from "../../web/words-zh.ts";

const web = path.resolve(import.meta.dirname, "../../web");

/** What `t("…")` and `plural(n, "…")` ask for. */
function keysOfScripts(): string[] {
  const files = readdirSync(web).filter((name) => name.endsWith(".ts") && name !== "words.ts");
  return files.flatMap((name) => {
    const text = readFileSync(path.join(web, name), "utf8");
    const said = [...text.matchAll(/\b(?:t|later)\(\s*("(?:[^"\\]|\\.)*")/g)].map(
      ([, key]) => JSON.parse(key) as string,
    );
    const counted = [...text.matchAll(/\bplural\(\s*[^;"]*?,\s*"([^"]+)"(?:,\s*"([^"]+)")?\s*\)/g)];
    return [...said, ...counted.flatMap(([, one, many = `${one}s`]) => [`{n} ${one}`, `{n} ${many}`])];
  });
}

/** Texts and labels of the page's HTML, as `translate` finds them. */
function keysOfPage(): string[] {
  const html = readFileSync(path.join(web, "index.html"), "utf8").replace(
    /<(script|style|code|textarea)\b.*?<\/\1>/gs,
    "<x>",
  );
  const texts = [...html.matchAll(/>([^<]+)</g)].map(([, text]) => text);
  const labels = [...html.matchAll(/\b(?:aria-label|placeholder|title|label|alt)="([^"]+)"/g)].map(
    ([, text]) => text,
  );
  return [...texts, ...labels]
    .map((text) => text.replaceAll(/\s+/g, " ").trim())
    .filter((text) => /[a-z]/i.test(text));
}

/** What the list of models says of them, and the stages of a conversion. */
function keysOfData(): string[] {
  const list = JSON.parse(readFileSync(path.join(web, "public/models.json"), "utf8")) as {
    models: { about: string }[];
  };
  return [...list.models.map(({ about }) => about), ...Object.values(stageTitles)];
}

/** Names, which are the same everywhere. */
const names = /^(ncnnkit|auto|kl|aciq|minmax|percentile|mse|JSON|CSV|YOLO|COCO|https:\/\/\S+|x|y)$/;

test("the catalogue has every text, and no other", () => {
  const wanted = new Set(
    [...keysOfScripts(), ...keysOfPage(), ...keysOfData()].filter((text) => !names.test(text)),
  );
  expect([...wanted].filter((text) => !(text in words))).toEqual([]);
  expect(Object.keys(words).filter((text) => !wanted.has(text))).toEqual([]);
});

test("values have their places in every text", () => {
  const places = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();
  const wrong = Object.entries(words).filter(([key, text]) => String(places(key)) !== String(places(text)));
  expect(wrong).toEqual([]);
});
