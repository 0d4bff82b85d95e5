/** Output folders that appear complete or not at all. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { UsageError } from "../index.ts";
import { fileError, kindOf, onInterrupt } from "./files.ts";

/**
 * Throws UsageError when `directory` exists and is not what `replaceFolder` may replace: empty, or holding all of `marks`
 * (files that tell an earlier result).
 */
export function checkReplaceable(directory: string, marks: readonly string[]): void {
  const kind = kindOf(directory);
  if (kind === undefined) return;
  if (kind === "file") throw new UsageError(`${directory} is a file; name a folder to write to`);
  const names = readdirSync(directory);
  if (!names.length || marks.every((mark) => existsSync(path.join(directory, mark)))) return;
  throw new UsageError(
    `${directory} exists and is not an earlier result (${marks.join(", ")}); name a new folder, so that nothing is lost`,
  );
}

/**
 * Puts the files (paths with `/`) into a folder that replaces `directory`: written beside it under a temporary name, renamed
 * when complete. A failure or Ctrl-C leaves what was there before. Throws InputError.
 */
export async function replaceFolder(
  directory: string,
  files: Readonly<Record<string, Uint8Array | string>>,
): Promise<void> {
  const target = path.resolve(directory);
  const temporary = `${target}.part-${process.pid}`;
  const old = `${target}.old-${process.pid}`;
  const undo = (): void => rmSync(temporary, { recursive: true, force: true });
  let interrupted = false;
  const release = onInterrupt(() => {
    interrupted = true;
    undo();
  });
  try {
    for (const [name, content] of Object.entries(files)) {
      const file = path.join(temporary, ...name.split("/"));
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, content);
      await new Promise(setImmediate); // lets Ctrl-C through between files
      if (interrupted) throw new Error("interrupted"); // somebody else keeps the process alive
    }
    if (existsSync(target)) renameSync(target, old);
    try {
      renameSync(temporary, target);
    } catch (error) {
      if (existsSync(old)) renameSync(old, target);
      throw error;
    }
    rmSync(old, { recursive: true, force: true });
  } catch (error) {
    undo();
    throw fileError("write", directory, error);
  } finally {
    release();
  }
}
