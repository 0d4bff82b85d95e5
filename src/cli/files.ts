/** Files that commands read and write: what must not be overwritten, and what was written. */
import path from "node:path";
import { kindOf, readText, sameFile } from "../node/files.ts";
import { slashed } from "../node/local.ts";
import { type CalibrationTable, UsageError, writeFiles } from "../node.ts";
import { parseTable } from "../steps.ts";
import { type Terminal, warn } from "./terminal.ts";

/**
 * Throws UsageError when one of the files to write is the one that was read, under whatever path, or is in the place of a file of
 * the folder that was read.
 */
export function keepSource(source: string, outputs: readonly string[], advice: string): void {
  const isFolder = kindOf(source) === "folder";
  const hit = outputs.find(
    (file) => sameFile(file, source) || (isFolder && kindOf(file) && sameFile(path.dirname(file), source)),
  );
  if (hit !== undefined) throw new UsageError(`${isFolder ? hit : source} would be overwritten; ${advice}`);
}

/**
 * Throws UsageError when a manifest or header would take the place of a file that is none: their names come from the model's, so a
 * `package.json` may be hit by accident.
 */
export async function keepOthers(outputs: readonly string[]): Promise<void> {
  for (const file of outputs) {
    if (!/\.(json|h)$/.test(file) || kindOf(file) !== "file") continue;
    const text = await readText(file);
    if (
      /\.h$/.test(file)
        ? text.includes("from the model manifest; do not edit")
        : /"provenance"\s*:/.test(text)
    )
      continue;
    throw new UsageError(
      `${file} is not from ncnnkit and would be overwritten; choose another folder or name`,
    );
  }
}

/** Writes files into a folder, all or none, and tells the path and the bytes of each. */
export async function writeInto(
  folder: string,
  files: Readonly<Record<string, Uint8Array | string>>,
): Promise<{ file: string; bytes: number }[]> {
  await writeFiles(folder, files);
  return Object.entries(files).map(([name, content]) => ({
    file: slashed(path.join(folder, name)),
    bytes: typeof content === "string" ? new TextEncoder().encode(content).length : content.length,
  }));
}

/** A calibration table from a file; what in it silences a layer is warned of. Throws with the file's name. */
export async function readTable(file: string, terminal: Terminal): Promise<CalibrationTable> {
  const text = await readText(file);
  return parseTable(text, file, (message) => warn(terminal, `${file}: ${message}`));
}
