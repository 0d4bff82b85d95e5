/** Every reader of foreign bytes, with inputs to damage and what is done with what it accepts. */

import { FormatError } from "../../src/base/errors.ts";
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

/** What the cases of `self-test` do, which is no reader: it shows that the campaign sees what it must. */
const selfTestActions = {
  fine: () => Promise.reject(new FormatError("fine")),
  defect: () => (undefined as unknown as string).length,
  slow: () => busyFor(2500),
  hungry: () => new Uint8Array(1200 * 2 ** 20).fill(1).length,
  endless: () => busyFor(Number.POSITIVE_INFINITY),
  fatal: () => process.abort(),
};
type SelfTestAction = keyof typeof selfTestActions;

export const selfTestAction = (random: Random): SelfTestAction =>
  random.pick(Object.keys(selfTestActions) as SelfTestAction[]);

const selfTest: FuzzReader = {
  name: "self-test",
  share: 1,
  prepare: async () => (random) => ({ files: {}, run: selfTestActions[selfTestAction(random)] }),
};

function busyFor(milliseconds: number): void {
  for (const start = performance.now(); performance.now() - start < milliseconds; );
}

export function readerOf(name: string): FuzzReader {
  const found = [...readers, selfTest].find((reader) => reader.name === name);
  if (!found)
    throw new Error(`no reader "${name}"; there are ${readers.map((reader) => reader.name).join(", ")}`);
  return found;
}
