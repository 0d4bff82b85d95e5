/** A sample of what `scripts/fuzz.ts` runs by the million (docs/security.md), and that it would see a defect. */
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { randomOf } from "./campaign.ts";
import { type Limits, runBlock } from "./child.ts";
import { readerOf, readers, selfTestAction } from "./readers.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "ncnnkit-fuzz-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const limits: Limits = { seed: 1, milliseconds: 2000, bytes: 2 ** 30, folder };
const minutes = 60_000;

describe("damaged inputs are read or refused with one of our errors, soon", () => {
  const cases = 20_000;
  const shares = readers.reduce((sum, { share }) => sum + share, 0);
  test.each(readers)(
    "$name",
    async ({ name, share }) => {
      const to = Math.ceil((cases * share) / shares);
      const { findings, outcomes } = await runBlock({ reader: name, from: 0, to }, limits, () => {});
      expect(findings).toEqual([]);
      expect(Object.values(outcomes).reduce((a, b) => a + b)).toBe(to);
    },
    3 * minutes,
  );
});

test("the same number is the same input", async () => {
  for (const { name } of readers) {
    const [first, second] = await Promise.all([1, 2].map(() => readerOf(name).prepare(folder)));
    for (let number = 0; number < 5; number++) {
      expect(first(randomOf(1, name, number)).files).toEqual(second(randomOf(1, name, number)).files);
    }
  }
});

test("a defect, a slow case and a hungry one are told", async () => {
  const problems: Record<string, RegExp | undefined> = {
    fine: undefined,
    defect: /^not an error of the kit$/,
    slow: /^took \d+ ms$/,
    hungry: /^memory grew by \d+ MiB$/,
  };
  for (let number = 0; Object.keys(problems).length > 0; number++) {
    const action = selfTestAction(randomOf(1, "self-test", number));
    if (!(action in problems)) continue;
    const block = { reader: "self-test", from: number, to: number + 1 };
    const { findings } = await runBlock(block, limits, () => {});
    if (problems[action]) expect(findings[0].problem).toMatch(problems[action]);
    else expect(findings).toEqual([]);
    delete problems[action];
  }
});
