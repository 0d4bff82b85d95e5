/** Patterns: what they mean, and that none takes long. */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { InputError, UsageError } from "../../src/index.ts";
import { expandPaths, matching } from "../../src/node/paths.ts";
import { temporaryFolder } from "../cli/_run.ts";

const names = ["a.png", "b.jpg", "img (1).png", "x+y.png", "d/a.png", "d/e/a.png", "d/[1].png", "a|b.png"];

test.each([
  ["*.png", ["a.png", "img (1).png", "x+y.png", "a|b.png"]],
  ["*.{jpg,png}", ["a.png", "b.jpg", "img (1).png", "x+y.png", "a|b.png"]],
  ["[!a]*.*", ["b.jpg", "img (1).png", "x+y.png"]],
  ["[a-b].???", ["a.png", "b.jpg"]],
  ["**/a.png", ["a.png", "d/a.png", "d/e/a.png"]],
  ["d/**", ["d/a.png", "d/e/a.png", "d/[1].png"]],
  ["d/*", ["d/a.png", "d/[1].png"]],
  ["*/\\[1\\].png", ["d/[1].png"]],
  ["img (1)*", ["img (1).png"]],
  ["x+*", ["x+y.png"]],
  ["a|*", ["a|b.png"]],
  ["!(a)*", []],
  ["{a,{b,x+y}}.*", ["a.png", "b.jpg", "x+y.png"]],
])("%s", (pattern, expected) => {
  expect(matching(names, pattern)).toEqual(expected);
});

test.each([
  `${"**/".repeat(30)}x`,
  `${"**/*".repeat(30)}x`,
  `${"*a".repeat(20)}b`,
  `${"[a-z]*".repeat(15)}!`,
  `${"{a,aa}".repeat(40)}b`,
  `${"{".repeat(500)}a,b${"}".repeat(500)}`,
  `${"{a,{b,".repeat(100)}c${"}}".repeat(100)}`,
  "+(a|aa)+(a|aa)+(a|aa)b",
  "*(*(*(*(a))))b",
  "[".repeat(5000),
  "*".repeat(70_000),
  "{1..1000000000}",
])("a hostile pattern ends or is refused: %.30s", (pattern) => {
  const hostile = ["a".repeat(255), `${"a/".repeat(60)}b`, "a".repeat(100)];
  const start = performance.now();
  try {
    expect(matching(hostile, pattern)).toEqual([]);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
  }
  expect(performance.now() - start).toBeLessThan(5000); // the limit is one second, on a free machine
});

test("a folder is looked into 64 deep", () => {
  const folder = temporaryFolder();
  const deep = path.join(folder, ...Array.from({ length: 70 }, () => "d"));
  mkdirSync(deep, { recursive: true });
  writeFileSync(path.join(deep, "a.png"), "");
  expect(() => expandPaths([folder], ["png"])).toThrow(InputError);
  expect(() => expandPaths([folder], ["png"])).toThrow("more than 64 folders");
});

test("folders that link to each other end, and every picture is there once", () => {
  const folder = temporaryFolder();
  for (const [name, other] of ["ab", "ba"]) {
    mkdirSync(path.join(folder, name));
    writeFileSync(path.join(folder, name, `${name}.png`), "");
    symlinkSync(path.join("..", other), path.join(folder, name, "other"));
    symlinkSync("..", path.join(folder, name, "up"));
  }
  expect(expandPaths([folder], ["png"]).map(({ name }) => name)).toEqual(["a/a.png", "b/b.png"]);
});
