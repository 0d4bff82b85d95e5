import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fileSafe, isFileName, message, quote, visible } from "../../src/base/text.ts";

/** All that a terminal acts on: C0, DEL, C1, line separators, turns of the reading direction, halves of characters. */
const upsetting = "\x00\x07\x08\t\n\r\x1b\x7f\x80\x9b\x9f\u2028\u2029\u200e\u202e\u2066\u061c\ufeff\ud800";

describe("visible", () => {
  test("control characters as JSON writes them, everything else as it is", () => {
    expect(visible("a\x1b[31mb\n\t\x9b")).toBe("a\\u001b[31mb\\n\\t\\u009b");
    expect(visible("自行车 👩‍🚀 é “x” C:\\a")).toBe("自行车 👩‍🚀 é “x” C:\\a");
    expect(visible("a\nb\tc\r", "\n\t")).toBe("a\nb\tc\\r");
  });
  test("JSON text still means the same", () => {
    const json = JSON.stringify({ [upsetting]: upsetting });
    expect(JSON.parse(visible(json))).toEqual({ [upsetting]: upsetting });
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(JSON.parse(visible(text, "\n"))).toEqual(JSON.parse(text));
      }),
    );
  });
  test("nothing that upsets a terminal is left, and twice is once", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const shown = visible(text + upsetting);
        expect(shown).not.toMatch(/[\p{Cc}\p{Bidi_Control}\p{Surrogate}]/u);
        expect(visible(shown)).toBe(shown);
      }),
    );
  });
});

test("quote repeats at most 200 characters, beginning and end of them", () => {
  expect(quote("a\x1b")).toBe('"a\\u001b"');
  const long = quote(`first${"😀".repeat(5000)}last`);
  expect(long.length).toBeLessThanOrEqual(202);
  expect(long).toMatch(/^"first.*….*last"$/);
  expect(long).not.toMatch(/\p{Surrogate}/u);
});

describe("message", () => {
  test("keeps what a message is made of", () => {
    const text = 'a.param: line 3: node "conv1": found 3 values, expected [1, 2, 3]; say which';
    expect(message(text)).toBe(text);
    expect(message(message(text))).toBe(text);
  });
  test.each([
    ["a word", "x".repeat(10_000)],
    ["a quoted name with blanks", `"${"x ".repeat(10_000)}"`],
  ])("%s of foreign text gets 200 characters", (_, foreign) => {
    const shown = message(`a.param: ${foreign} is wrong`);
    expect(shown.length).toBeLessThan(230);
    expect(shown).toMatch(/^a\.param: .*… ?.* is wrong$/);
  });
  test("the lines of a list of addresses stay, others do not", () => {
    expect(message('dtype "x\n  error: y"')).toBe('dtype "x\\n  error: y"');
    expect(message("fetch these:\n  https://a\n  https://b\nnow")).toBe(
      "fetch these:\n  https://a\n  https://b\\nnow",
    );
  });
  test("one line of at most 2000 characters, whatever is repeated", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 5000 }), (text) => {
        const shown = message(`${text} "${text}" ${upsetting}`).replaceAll("\n  ", "");
        expect(shown.length).toBeLessThanOrEqual(2000);
        expect(shown).not.toMatch(/[\p{Cc}\p{Bidi_Control}\p{Surrogate}]/u);
      }),
    );
  });
});

test("names of files", () => {
  for (const good of ["a", "a.b", "..a", "a b", "模型", "a:b"]) expect(isFileName(good)).toBe(true);
  for (const bad of ["", ".", "..", "a/b", "a\\b", "../a", "a\nb", "\x1b[2J", "a\0", "\u202etxt.exe"]) {
    expect(isFileName(bad)).toBe(false);
  }
  expect(fileSafe("dir/a\x1b[2J\n.jpg")).toBe("dir/a_[2J_.jpg");
});
