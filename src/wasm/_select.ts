/** Tells from results whether lanes are chosen by their uppermost bit. */
import { Random } from "../base/random.ts";

const caseCount = 24;

export interface SelectCorpus {
  /** `[a: 4 i32][b: 4 i32][mask: 4 i32]` for each case. */
  readonly inputs: Uint8Array;
  /** a where the mask is negative, else b. */
  readonly bySign: Int32Array;
}

/** Random bits, so that a machine which chooses bit by bit gives something else. */
export function selectCorpus(): SelectCorpus {
  const random = new Random(17);
  const values = Int32Array.from({ length: caseCount * 12 }, () => random.int(-(2 ** 31), 2 ** 31 - 1));
  const bySign = new Int32Array(caseCount * 4);
  for (let i = 0; i < bySign.length; i++) {
    const at = (i >> 2) * 12 + (i & 3);
    bySign[i] = values[at + 8] < 0 ? values[at] : values[at + 4];
  }
  return { inputs: new Uint8Array(values.buffer), bySign };
}

export function isSelectedBySign({ bySign }: SelectCorpus, runs: Iterable<Int32Array>): boolean {
  let isSame = true;
  for (const results of runs) isSame &&= bySign.every((value, i) => value === results[i]);
  return isSame;
}
