/**
 * A child process of a fuzz campaign: runs the cases that it is told, a block at a time. Which case it is at stands in
 * a file, so that the parent knows it also when this process hangs or dies.
 */
import { mkdirSync, openSync, writeSync } from "node:fs";
import path from "node:path";
import { type CaseResult, randomOf, runCase } from "./campaign.ts";
import { type FuzzReader, readerOf } from "./readers.ts";

export interface Block {
  readonly reader: string;
  readonly from: number;
  readonly to: number;
}
export interface Limits {
  readonly seed: number;
  /** Of one case. */
  readonly milliseconds: number;
  readonly bytes: number;
  /** The child's own. */
  readonly folder: string;
}
export interface Finding {
  readonly reader: string;
  readonly number: number;
  readonly problem: string;
  readonly text: string;
}
export interface BlockResult {
  readonly block: Block;
  readonly outcomes: Record<string, number>;
  readonly slowest: { readonly milliseconds: number; readonly number: number };
  readonly findings: Finding[];
  /** Bytes of resident memory: now, and the most since the process began. */
  readonly rss: number;
  readonly peak: number;
}

/** The file with the number of the case that is being run, as text of this length. */
export const placeLength = 16;
export const placeFile = (folder: string): string => path.join(folder, "place");

type Make = Awaited<ReturnType<FuzzReader["prepare"]>>;
const prepared = new Map<string, Promise<Make>>();

async function prepare(name: string, folder: string): Promise<Make> {
  const own = path.join(folder, name);
  mkdirSync(own, { recursive: true });
  return readerOf(name).prepare(own);
}

export async function runBlock(
  block: Block,
  limits: Limits,
  place: (number: number) => void,
): Promise<BlockResult> {
  const { reader, from, to } = block;
  const make = await (prepared.get(reader) ??
    prepared.set(reader, prepare(reader, limits.folder)).get(reader)!);
  const outcomes: Record<string, number> = {};
  const findings: Finding[] = [];
  let slowest = { milliseconds: 0, number: from };
  for (let number = from; number < to; number++) {
    place(number);
    const before = process.memoryUsage.rss();
    const peakBefore = peakBytes();
    let result: CaseResult = await runCase(make, randomOf(limits.seed, reader, number));
    if (result.milliseconds > limits.milliseconds) {
      // Once more: it may have been the machine.
      const again = await runCase(make, randomOf(limits.seed, reader, number));
      if (again.milliseconds < result.milliseconds) result = again;
    }
    const { milliseconds } = result;
    if (milliseconds > slowest.milliseconds) slowest = { milliseconds, number };
    const problem = problemOf(result, peakBytes() > peakBefore ? peakBytes() - before : 0, limits);
    const outcome = problem ? "failed" : result.outcome;
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    if (problem) findings.push({ reader, number, problem, text: describe(result.error) });
  }
  return { block, outcomes, slowest, findings, rss: process.memoryUsage.rss(), peak: peakBytes() };
}

const peakBytes = (): number => process.resourceUsage().maxRSS * 1024;

function problemOf(result: CaseResult, grown: number, limits: Limits): string | undefined {
  if (result.outcome === "defect") return "not an error of the kit";
  if (grown > limits.bytes) return `memory grew by ${Math.round(grown / 2 ** 20)} MiB`;
  if (result.milliseconds > limits.milliseconds) return `took ${Math.round(result.milliseconds)} ms`;
  return undefined;
}

/** The error with its causes. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return error === undefined ? "" : String(error);
  const cause = error.cause === undefined ? "" : `\ncaused by ${describe(error.cause)}`;
  return `${(error.stack ?? String(error)).slice(0, 3000)}${cause}`;
}

/** Answers every block that the parent sends. */
function serve(limits: Limits): void {
  mkdirSync(limits.folder, { recursive: true });
  const file = openSync(placeFile(limits.folder), "w");
  const place = (number: number): void => {
    writeSync(file, String(number).padEnd(placeLength), 0);
  };
  process.on("message", (block: Block) => {
    void runBlock(block, limits, place).then((result) => process.send?.(result));
  });
  process.on("disconnect", () => process.exit());
}

if (process.argv[2] === "--serve") serve(JSON.parse(process.argv[3]) as Limits);
