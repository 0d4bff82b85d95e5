/** Writing: complete or not at all, through links, over what is in the way, and with honest errors. */
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import { InputError, UsageError } from "../../src/index.ts";
import { checkReplaceable, replaceFolder, staysInside } from "../../src/node/folder.ts";
import { checkDistinct, checkName, persistently, writeFiles, writePaths } from "../../src/node/write.ts";
import { sameName } from "../../src/steps.ts";
import { temporaryFolder } from "../cli/_run.ts";

const root = temporaryFolder();
let count = 0;
let folder = "";
beforeEach(() => {
  folder = path.join(root, String(count++));
  mkdirSync(folder);
});
const at = (...names: string[]): string => path.join(folder, ...names);
const text = (...names: string[]): string => readFileSync(at(...names), "utf8");
/** All files below a folder with their content. */
const tree = (below: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(below, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => path.join(entry.parentPath, entry.name))
      .sort()
      .map((file) => [path.relative(below, file).replaceAll(path.sep, "/"), readFileSync(file, "utf8")]),
  );

test("a set that cannot be written whole leaves the old files", async () => {
  writeFileSync(at("a"), "old a");
  writeFileSync(at("b"), "old b");
  mkdirSync(at("c"));
  await expect(writeFiles(folder, { a: "new", b: "new", d: "new", c: "new" })).rejects.toThrow(
    `cannot write ${at("c")}: it is a folder, not a file`,
  );
  expect(readdirSync(folder)).toEqual(["a", "b", "c"]);
  expect([text("a"), text("b")]).toEqual(["old a", "old b"]);
  await writeFiles(folder, { a: "new a", b: "new b" });
  expect(tree(folder)).toEqual({ a: "new a", b: "new b" });
});

test("a failure while files are renamed brings the old ones back", async () => {
  await writeFiles(folder, { a: "old a", c: "old c" });
  const last = `${"x".repeat(250)}.param.too-long`;
  await expect(writeFiles(folder, { a: "new", b: "new", c: "new", [last]: "new" })).rejects.toThrow(
    "the name is too long",
  );
  expect(tree(folder)).toEqual({ a: "old a", c: "old c" });
});

test("a name of 250 letters is written", async () => {
  const name = "n".repeat(250);
  await writeFiles(folder, { [name]: "x", other: "y" });
  expect(tree(folder)).toEqual({ [name]: "x", other: "y" });
});

test("links to files and folders are followed, also those to nothing", async () => {
  mkdirSync(at("real"));
  writeFileSync(at("real", "a"), "old");
  symlinkSync("real", at("dir"));
  symlinkSync(path.join("real", "a"), at("link"));
  symlinkSync(path.join("real", "none"), at("dangling"));
  symlinkSync("new", at("dangling-dir"));
  await writeFiles(at("dir"), { b: "b" });
  await writeFiles(folder, { link: "through", dangling: "made" });
  await writeFiles(at("dangling-dir"), { c: "c" });
  expect(tree(at("real"))).toEqual({ a: "through", b: "b", none: "made" });
  expect(text("new", "c")).toBe("c");
  for (const link of ["dir", "link", "dangling", "dangling-dir"]) {
    expect(lstatSync(at(link)).isSymbolicLink()).toBe(true);
  }
  symlinkSync("round", at("round"));
  await expect(writeFiles(folder, { round: "x" })).rejects.toThrow("links go in a circle");
});

test.skipIf(process.platform === "win32")("a device is not replaced by a file", async () => {
  await expect(writePaths([["/dev/null", "x"]])).rejects.toThrow("cannot write /dev/null: it is a device");
  expect(lstatSync("/dev/null").isCharacterDevice()).toBe(true);
});

test("names that are no names, and one file for two outputs", async () => {
  for (const name of ["../x", "a/b", "..", "."]) {
    await expect(writeFiles(folder, { [name]: "x" })).rejects.toThrow("is no name of a file");
  }
  await expect(
    writePaths([
      [at("a"), "1"],
      [at("b", "..", "a"), "2"],
    ]),
  ).rejects.toThrow("two outputs");
  await expect(
    writePaths([
      [at("a"), "1"],
      [at("a"), "2"],
    ]),
  ).rejects.toThrow("named for two outputs");
  await expect(
    writePaths([
      [at("model.bin"), "1"],
      [at("Model.bin"), "2"],
    ]),
  ).rejects.toThrow("on many systems");
  symlinkSync("a", at("link"));
  await expect(
    writePaths([
      [at("a"), "1"],
      [at("link"), "2"],
    ]),
  ).rejects.toThrow("two outputs");
  expect(readdirSync(folder)).toEqual(["link"]);
});

test("paths of Windows fold as Windows folds them", () => {
  const { win32 } = path;
  expect(() => checkDistinct(["C:\\out\\a.param", "c:/OUT/A.param"], win32)).toThrow("on many systems");
  expect(() => checkDistinct(["C:\\out\\a.param", "C:\\out\\sub\\..\\a.param"], win32)).toThrow("same file");
  expect(() => checkDistinct(["C:\\out\\a.param", "D:\\out\\a.param"], win32)).not.toThrow();
  expect(sameName("É.JPG")).toBe(sameName("e\u0301.jpg"));
});

test("names that are something else on Windows are refused there", () => {
  for (const name of ["NUL", "con.param", "out\\aux.txt", "yolo:v5.bin", "a?.json", "end.", "end "]) {
    expect(() => checkName(name, "win32"), name).toThrow("on Windows");
    expect(() => checkName(name, "linux"), name).not.toThrow();
  }
  for (const name of ["C:\\out\\console.txt", "a.b.param", "nullable"]) checkName(name, "win32");
});

test("many sets on their way at once share their listeners", async () => {
  const before = process.listenerCount("SIGINT");
  const sets = Array.from({ length: 40 }, (_, i) => writeFiles(folder, { [`f${i}`]: "x", [`g${i}`]: "y" }));
  expect(process.listenerCount("SIGINT")).toBe(before + 1);
  await Promise.all(sets);
  expect(process.listenerCount("SIGINT")).toBe(before);
  expect(readdirSync(folder)).toHaveLength(80);
});

test("Windows: what another program holds open is tried again, elsewhere and for other reasons not", async () => {
  const failing = (code: string, times: number) => {
    let tries = 0;
    const run = (): number => {
      if (tries++ < times) throw Object.assign(new Error(code), { code });
      return tries;
    };
    return run;
  };
  expect(await persistently(failing("EBUSY", 2), "win32", [1, 1])).toBe(3);
  await expect(persistently(failing("EPERM", 3), "win32", [1, 1])).rejects.toThrow("EPERM");
  await expect(persistently(failing("ENOSPC", 1), "win32", [1, 1])).rejects.toThrow("ENOSPC");
  await expect(persistently(failing("EPERM", 1), "linux", [1, 1])).rejects.toThrow("EPERM");
});

test("a result replaces an earlier one and keeps what is not its own", async () => {
  const out = at("out");
  expect(await replaceFolder(out, { "report.html": "1", "int8/a.bin": "1", "pictures/old.png": "1" })).toBe(
    out,
  );
  writeFileSync(at("out", "notes.txt"), "mine");
  writeFileSync(at("out", "int8", "mine.param"), "mine");
  checkReplaceable(out);
  expect(await replaceFolder(out, { "report.html": "2", "int8/a.bin": "2", "fp16/b.bin": "2" })).toBe(out);
  expect(tree(out)).toEqual({
    "report.html": "2",
    "int8/a.bin": "2",
    "fp16/b.bin": "2",
    "int8/mine.param": "mine",
    "notes.txt": "mine",
    "ncnnkit-files.json": expect.stringContaining("fp16/b.bin"),
  });
  expect(existsSync(at("out", "pictures"))).toBe(false);
  expect(readdirSync(folder)).toEqual(["out"]);
});

test("a result does not take the place of other files: it goes beside them", async () => {
  const out = at("out");
  await replaceFolder(out, { "report.html": "1", "a.table": "1" });
  writeFileSync(at("out", "report.html"), "edited");
  expect(() => checkReplaceable(out)).toThrow(/report\.html was changed since it was written/);
  expect(await replaceFolder(out, { "report.html": "2" })).toBe(`${out}-2`);
  expect(text("out", "report.html")).toBe("edited");
  expect(tree(at("out-2"))).toMatchObject({ "report.html": "2" });
  rmSync(at("out", "report.html"));
  writeFileSync(at("out", "pictures"), "a file of mine");
  checkReplaceable(out);
  expect(await replaceFolder(out, { "pictures/a.png": "3" })).toBe(`${out}-3`);
  expect(tree(out)).toMatchObject({ pictures: "a file of mine", "a.table": "1" });
});

test("a link to the folder stays one, and links in it are not written through", async () => {
  mkdirSync(at("disk"));
  symlinkSync("disk", at("out"));
  await replaceFolder(at("out"), { "int8/a.bin": "1" });
  await replaceFolder(at("out"), { "int8/a.bin": "2" });
  expect(lstatSync(at("out")).isSymbolicLink()).toBe(true);
  expect(text("disk", "int8", "a.bin")).toBe("2");
  rmSync(at("disk", "int8"), { recursive: true });
  mkdirSync(at("elsewhere"));
  symlinkSync(at("elsewhere"), at("disk", "int8"));
  expect(await replaceFolder(at("out"), { "int8/a.bin": "3" })).toBe(`${at("disk")}-2`);
  expect(readdirSync(at("elsewhere"))).toEqual([]);
});

test("a failure midway brings the earlier result back", async () => {
  const out = at("out");
  await replaceFolder(out, { "a.txt": "1", "sub/b.txt": "1" });
  writeFileSync(at("out", "mine"), "mine");
  const before = tree(out);
  const last = `z/${"x".repeat(300)}`;
  await expect(replaceFolder(out, { "a.txt": "2", "sub/b.txt": "2", [last]: "2" })).rejects.toThrow(
    `cannot write ${out}: the name is too long`,
  );
  expect(tree(out)).toEqual(before);
  expect(readdirSync(out).sort()).toEqual(["a.txt", "mine", "ncnnkit-files.json", "sub"]);
});

test.skipIf(process.platform !== "linux")(
  "a place where no folder can be made is an error, and soon",
  async () => {
    await expect(replaceFolder("/proc/out", { "int8/a.bin": "1" })).rejects.toThrow(InputError);
    await expect(replaceFolder("", { a: "1" })).rejects.toThrow(UsageError);
    await expect(writeFiles("/proc/out/deep", { a: "1" })).rejects.toThrow(InputError);
  },
);

test("a list that is not ours, or lies, is none", async () => {
  const out = at("out");
  mkdirSync(out);
  checkReplaceable(out);
  writeFileSync(at("precious"), "mine");
  const [, digest] =
    /"a": "(\w+)"/.exec(
      (await replaceFolder(at("probe"), { a: "mine" })) && text("probe", "ncnnkit-files.json"),
    ) ?? [];
  for (const list of ["{}", "no json", JSON.stringify({ tool: "x", files: { "../precious": digest } })]) {
    writeFileSync(at("out", "ncnnkit-files.json"), list);
    expect(() => checkReplaceable(out)).toThrow("not an earlier result");
    await replaceFolder(out, { "a.txt": "1" });
    expect(text("precious")).toBe("mine");
  }
  expect(() => checkReplaceable(at("precious"))).toThrow("is a file");
  expect(() => checkReplaceable(at("precious", "below"))).toThrow("is a file");
  await expect(replaceFolder(out, { "../x": "1" })).rejects.toThrow('"../x" is no name');
  await expect(replaceFolder(at("case"), { "a/B": "1", "A/b": "2" })).rejects.toThrow("on many systems");
  expect(["a/b", "a"].every(staysInside)).toBe(true);
  expect(["", "/a", "a/../b", "a\\b", "C:/x", "a//b", "."].some(staysInside)).toBe(false);
});

test("a second name of a file is not written through by accident", async () => {
  writeFileSync(at("a"), "old");
  linkSync(at("a"), at("kept"));
  await writeFiles(folder, { a: "new", b: "b" });
  expect(tree(folder)).toEqual({ a: "new", b: "b", kept: "old" });
});

test("threads of one process write into one folder without taking each other's files", async () => {
  // As threads have it: the module once for each.
  const copies = [];
  for (let i = 0; i < 3; i++) {
    vi.resetModules();
    copies.push(await import("../../src/node/write.ts"));
  }
  await Promise.all(copies.map((copy, i) => copy.writeFiles(folder, { [`${i}.txt`]: `of thread ${i}` })));
  expect(readdirSync(folder).sort()).toEqual(["0.txt", "1.txt", "2.txt"]);
  for (let i = 0; i < 3; i++) expect(text(`${i}.txt`)).toBe(`of thread ${i}`);
});
