/** Cases by number: the same seed, reader and number give the same bytes and the same outcome, on every machine. */
import { NcnnkitError } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import type { FuzzCase } from "./readers.ts";

export interface CaseResult {
  /** `accepted`, the class of the kit's error, or `defect`. */
  readonly outcome: string;
  readonly milliseconds: number;
  readonly error?: unknown;
}

/** The random numbers of one case. */
export function randomOf(seed: number, reader: string, number: number): Random {
  let hash = seed >>> 0;
  for (const char of `${reader}:${number}`)
    hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193) + 0x9e3779b9;
  return new Random(hash);
}

export async function runCase(
  make: (random: Random) => FuzzCase,
  random: Random,
): Promise<CaseResult & { files: FuzzCase["files"] }> {
  const { files, run } = make(random);
  const start = performance.now();
  let error: unknown;
  let outcome = "accepted";
  try {
    await run();
  } catch (thrown) {
    error = thrown;
    const isOurs = thrown instanceof NcnnkitError && thrown.name !== "NcnnkitError";
    const problem = isOurs ? problemOf(thrown.message) : undefined;
    outcome = isOurs && !problem ? thrown.name : "defect";
    if (problem) error = new Error(problem, { cause: thrown });
  }
  return { outcome, error, files, milliseconds: performance.now() - start };
}

/** Longest message. */
const maxMessage = 2000;

/** What is wrong with the wording of a message, which is one line that a person reads on a terminal, or nothing. */
export function problemOf(message: string): string | undefined {
  if (message.trim() === "") return "an empty message";
  if (message.length > maxMessage) return `a message of ${message.length} characters`;
  if (/[\p{Cc}\p{Bidi_Control}\p{Surrogate}]/u.test(message)) return "a message with control characters";
  if (/\bundefined\b|\[object /.test(message)) return "a message about undefined";
  return undefined;
}
