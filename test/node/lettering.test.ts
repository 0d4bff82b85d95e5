/** Labels in letters of the system's fonts. */
import { expect, test } from "vitest";
import { warnLetters } from "../../src/cli/names.ts";
import { withoutGlyphs } from "../../src/node/lettering.ts";
import { drawDetections, fontLetterer } from "../../src/node.ts";
import { bitmapLettering, lettered } from "../../src/steps.ts";

const sum = (ink: Uint8Array | Uint8ClampedArray): number => Array.from(ink).reduce((a, b) => a + b, 0);

test("a line has the height that is asked for, room at its sides, and letters of its own", async () => {
  const texts = ["person 0.87", "été 0.50", "<&>\u0000\ud800"];
  const lettering = await fontLetterer(texts, 20);
  if (lettering === bitmapLettering) return console.warn("no fonts here: the kit's own stand in");
  for (const text of texts) {
    const { width, height, ink } = lettering(text, 20);
    expect([height, ink.length]).toEqual([20, width * 20]);
    expect(width).toBeLessThan(text.length * 20);
    expect(sum(ink)).toBeGreaterThan(0);
    for (const x of [0, width - 1]) {
      expect(sum(ink.filter((_, i) => i % width === x))).toBe(0);
    }
  }
  const [score, other] = [
    lettering("person 0.87", 20),
    (await fontLetterer(["person 0.8"], 20))("person 0.8", 20),
  ];
  expect(other.width).toBeLessThan(score.width);
  const levels = new Set(score.ink);
  expect(levels.size, "smooth").toBeGreaterThan(8);
});

test("drawings take them, whatever the texts", async () => {
  const picture = { width: 64, height: 48, data: new Uint8Array(64 * 48 * 3).fill(9), channels: 3 as const };
  const cat = {
    task: "detect",
    label: "кот",
    classId: 0,
    score: 0.5,
    box: { x: 4, y: 20, width: 40, height: 20 },
  } as const;
  const options = await lettered(picture, [cat], fontLetterer);
  expect(drawDetections(picture, [cat], options).data).toHaveLength(64 * 48 * 4);
  const none = await lettered(picture, [], fontLetterer, { textHeight: 0 });
  expect(none.lettering).toBeUndefined();
});

test("characters that no font has are known, and told by the commands that draw", async () => {
  const missing = ["\u0378", "\u{efffd}"]; // no characters, so no font has them
  const isBare = (await fontLetterer(["a"], 20)) === bitmapLettering;
  const others = isBare ? ["é"] : [];
  expect(new Set(await withoutGlyphs(["été \u0378 0.5", "a\u{efffd}b\u0378", "person"]))).toEqual(
    new Set([...others, ...missing]),
  );
  expect(await withoutGlyphs(["person 0.87", "cat|dog"])).toEqual([]);
  const quiet = { out: () => {}, live: false, color: { out: false, err: false } };
  let said = "";
  const err = (text: string): void => {
    said += text;
  };
  await warnLetters(["cat", "\u0378"], { ...quiet, err });
  expect(said).toMatch(/^warning: no font on this system has .*\u0378: drawn labels show other signs/);
  said = "";
  await warnLetters(["cat", "dog"], { ...quiet, err });
  expect(said).toBe("");
});
