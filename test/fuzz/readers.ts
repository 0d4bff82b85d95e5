/** Every reader of foreign bytes, with inputs to damage and what is done with what it accepts. */

import type { Random } from "../../src/base/random.ts";
import { datasetReaders } from "./readers-data.ts";
import { modelReaders } from "./readers-models.ts";

export interface FuzzCase {
  /** The damaged input by file name, to be kept where it shows a defect. */
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Reads it and uses what it reads. Throws what the kit throws. */
  run(): unknown;
}

export interface FuzzReader {
  readonly name: string;
  /** How many of a campaign's cases, in proportion to the others. */
  readonly share: number;
  /** Collects what is to be damaged; the function makes one case. `folder` is empty and stays the reader's own. */
  prepare(folder: string): Promise<(random: Random) => FuzzCase>;
}

export const readers: readonly FuzzReader[] = [...modelReaders, ...datasetReaders];

export function readerOf(name: string): FuzzReader {
  const found = readers.find((reader) => reader.name === name);
  if (!found)
    throw new Error(`no reader "${name}"; there are ${readers.map((reader) => reader.name).join(", ")}`);
  return found;
}
