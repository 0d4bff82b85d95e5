import { mkdirSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { load as loadInPage } from "../../src/index.ts";
import { localPath, slashed } from "../../src/node/local.ts";
import { expandPaths } from "../../src/node/paths.ts";
import { load, open, readPicture, UsageError } from "../../src/node.ts";
import { png, put, run, temporaryFolder, tinyFiles } from "../cli/_run.ts";

describe("localPath", () => {
  test.each([
    ["file:///C:/models/a%20b.pt", "C:\\models\\a b.pt"],
    ["FILE:///c:/a.pt", "c:\\a.pt"],
    ["file://server/share/a.pt", "\\\\server\\share\\a.pt"],
    ["\\\\?\\C:\\a\\b.pt", "C:\\a\\b.pt"],
    ["\\\\?\\UNC\\server\\share\\a.pt", "\\\\server\\share\\a.pt"],
    ["\\\\?\\Volume{1}\\a", "\\\\?\\Volume{1}\\a"],
    ["C:\\a.pt", "C:\\a.pt"],
    ["C:/a.pt", "C:/a.pt"],
    ["C:a.pt", "C:a.pt"],
    ["a\\b.pt", "a\\b.pt"],
    ["file.pt", "file.pt"],
  ])("on Windows %s", (given, expected) => {
    expect(localPath(given, path.win32)).toBe(expected);
    if (/^file:/i.test(given)) expect(localPath(new URL(given), path.win32)).toBe(expected);
  });
  test.each([
    ["file:///a/b%20c.pt", "/a/b c.pt"],
    ["/a/b.pt", "/a/b.pt"],
    ["C:\\a.pt", "C:\\a.pt"],
    ["\\\\?\\C:\\a", "\\\\?\\C:\\a"],
  ])("elsewhere %s", (given, expected) => {
    expect(localPath(given, path.posix)).toBe(expected);
  });
  test("an address that is no file of this machine", () => {
    expect(() => localPath("file://server/a", path.posix)).toThrow(UsageError);
    expect(() => localPath(new URL("https://a/b"), path.posix)).toThrow(/no address of a file here/);
    expect(() => localPath("file:///a%2Fb", path.posix)).toThrow(UsageError);
  });
});

test("results have / on every system", () => {
  expect(slashed("in\\cam1\\a.jpg", path.win32)).toBe("in/cam1/a.jpg");
  expect(slashed("\\\\server\\share\\a", path.win32)).toBe("//server/share/a");
  expect(slashed("\\\\?\\C:\\a", path.win32)).toBe("\\\\?\\C:\\a");
  expect(slashed("odd\\name.jpg", path.posix)).toBe("odd\\name.jpg");
});

test("file addresses as arguments of the library and the command", async () => {
  const folder = path.join(temporaryFolder(), "with space");
  mkdirSync(folder);
  const model = put(folder, { "tiny.json": tinyFiles()["tiny.json"], ...tinyFiles() });
  const picture = put(folder, { "p.png": png(64, 64, () => true) });
  const url = pathToFileURL(model);
  for (const source of [url, url.href]) {
    expect((await open(source)).manifest.name).toBe("tiny");
    (await load(source)).close();
  }
  expect((await readPicture(pathToFileURL(picture).href)).width).toBe(64);
  expect(expandPaths([pathToFileURL(folder).href], ["png"])).toEqual([{ path: picture, name: "p.png" }]);
  const found = await run(
    "detect",
    url.href,
    pathToFileURL(picture).href,
    "--out",
    `${pathToFileURL(folder).href}/out`,
  );
  expect(found.err).toMatch(/1 picture/);
  expect(found.code).toBe(0);
});

test("a drive letter is no scheme of an address", async () => {
  for (const file of ["C:\\models\\a.param", "c:/models/a.param"]) {
    await expect(loadInPage(file)).rejects.toThrow(/is a path on disk.*ncnnkit\/node/);
    await expect(load(file)).rejects.toThrow(/no such file/);
  }
});
