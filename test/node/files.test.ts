/** Reading: only regular files, only so much, and never a wait. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { kindOf, readBytes, readText, sameFile } from "../../src/node/files.ts";
import { InputError } from "../../src/node.ts";
import { put, temporaryFolder } from "../cli/_run.ts";

const folder = temporaryFolder();
const isPosix = process.platform !== "win32";

test("a regular file is read whole", async () => {
  const content = Uint8Array.from({ length: 70_000 }, (_, i) => i % 251);
  const file = put(folder, { "a.bin": content, empty: "" });
  expect(await readBytes(file)).toEqual(content);
  expect(await readBytes(path.join(folder, "empty"))).toHaveLength(0);
  symlinkSync(file, path.join(folder, "link"));
  expect(await readBytes(path.join(folder, "link"))).toEqual(content);
});

test.skipIf(!isPosix)("pipes, devices, sockets and folders are refused at once", async () => {
  const pipe = path.join(folder, "pipe.jpg");
  execFileSync("mkfifo", [pipe]);
  for (const [file, what] of [
    [pipe, "a pipe"],
    ["/dev/zero", "a device"],
    [folder, "a folder"],
  ]) {
    await expect(readBytes(file)).rejects.toThrow(
      `cannot read ${file}: it is ${what}, expected a regular file`,
    );
    await expect(readBytes(file)).rejects.toBeInstanceOf(InputError);
  }
});

test.skipIf(!existsSync("/proc/self/status"))("a file that says it is empty is read to its end", async () => {
  expect(await readText("/proc/self/status")).toMatch(/^Name:.*\n/);
});

test("how much is read depends on what for", async () => {
  const file = put(folder, { large: "" });
  truncateSync(file, 2 ** 26 + 1); // takes no room on the disk
  await expect(readBytes(file, "text")).rejects.toThrow(
    `large has ${2 ** 26 + 1} bytes; files above ${2 ** 26} bytes are not read for this`,
  );
  truncateSync(file, 2 ** 33);
  await expect(readBytes(file)).rejects.toThrow("files above");
  await expect(readBytes(file, "picture")).rejects.toThrow("files above");
});

test("a missing file, a part that is none, a circle of links", async () => {
  const plain = put(folder, { plain: "x" });
  symlinkSync("round", path.join(folder, "round"));
  await expect(readBytes(path.join(folder, "none"))).rejects.toThrow("there is no such file");
  await expect(readBytes(path.join(plain, "below"))).rejects.toThrow("is a file, not a folder");
  await expect(readBytes(path.join(folder, "round"))).rejects.toThrow("links go in a circle");
  expect(kindOf(path.join(folder, "round"))).toBeUndefined();
});

test("one file under two paths is seen", () => {
  mkdirSync(path.join(folder, "sub"));
  const file = path.join(folder, "sub", "x");
  writeFileSync(file, "x");
  symlinkSync(path.join(folder, "sub"), path.join(folder, "other"));
  expect(sameFile(file, path.join(folder, "other", "x"))).toBe(true);
  expect(sameFile(file, path.join(folder, "sub"))).toBe(false);
  expect(sameFile(path.join(folder, "n"), path.join(folder, "sub", "..", "n"))).toBe(true);
});
