/** Runs the command line in this process; small models and pictures for it are in `_tiny.ts`. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll } from "vitest";
import { Random } from "../../src/base/random.ts";
import { main } from "../../src/cli/main.ts";

export { png, tinyFiles, tinyModel } from "./_tiny.ts";

export interface Run {
  code: number;
  out: string;
  err: string;
}

export async function run(...args: string[]): Promise<Run> {
  let out = "";
  let err = "";
  const code = await main(args, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    live: false,
    color: { out: false, err: false },
  });
  return { code, out, err };
}

/** A folder that is gone when the tests of the file are done. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "ncnnkit-test-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes `files` into `folder` and gives the path of the first. */
export function put(folder: string, files: Record<string, Uint8Array | string>): string {
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(folder, name), content);
  return path.join(folder, Object.keys(files)[0]);
}

/** Offsets spread over a file, its ends among them, the same every time. */
export function someOffsets(length: number, count: number): number[] {
  const random = new Random(length);
  return [0, 1, length - 1, ...Array.from({ length: count - 3 }, () => random.int(2, length - 2))];
}
