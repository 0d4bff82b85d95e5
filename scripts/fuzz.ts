/**
 * Damaged inputs for every reader, in child processes: each must be read or refused with one of the kit's errors, within
 * 2 seconds and 1 GiB, and memory must stay flat. Needs a Node that runs TypeScript (22.18 or newer).
 *
 *     node scripts/fuzz.ts [--cases 20000] [--jobs 2] [--seed 1] [--reader onnx,pt] [--json out/fuzz.json]
 *     node scripts/fuzz.ts --case onnx:123 [--seed 1]      one case again, its input written to out/fuzz/
 *
 * The same seed, reader and number give the same bytes. Inputs that show a defect are kept in out/fuzz/; the exit status
 * is then 1. The readers, the mutators and what is done with what is read are in test/fuzz/.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { randomOf, runCase } from "../test/fuzz/campaign.ts";
import { type Block, type BlockResult, type Finding, type Limits, placeFile } from "../test/fuzz/child.ts";
import { type FuzzReader, readerOf, readers } from "../test/fuzz/readers.ts";

const { values: options } = parseArgs({
  options: {
    cases: { type: "string", default: "20000" },
    jobs: { type: "string", default: "2" },
    seed: { type: "string", default: "1" },
    reader: { type: "string" },
    case: { type: "string" },
    json: { type: "string" },
    hang: { type: "string", default: "20000" },
  },
});
const limits = { seed: Number(options.seed), milliseconds: 2000, bytes: 2 ** 30 };
/** Milliseconds without a new case after which a child is killed. */
const hang = Number(options.hang);
const blockSize = 250;
const out = path.resolve("out/fuzz");

interface Row {
  readonly reader: string;
  cases: number;
  readonly outcomes: Record<string, number>;
  slowest: number;
  slowestCase: number;
  peak: number;
}
const rows = new Map<string, Row>();
const findings: Finding[] = [];
/** Resident memory of each child at the end of its blocks: cases of all children so far, bytes. */
const memory: { child: number; done: number; rss: number }[] = [];
let done = 0;

/** Blocks of all readers, spread evenly over the campaign. */
function makeBlocks(chosen: readonly FuzzReader[], cases: number): Block[] {
  const shares = chosen.reduce((sum, { share }) => sum + share, 0);
  const blocks: { block: Block; at: number }[] = [];
  let left = cases;
  chosen.forEach((reader, i) => {
    const isLast = i === chosen.length - 1;
    const count = isLast ? left : Math.min(left, Math.round((cases * reader.share) / shares));
    left -= count;
    for (let from = 0; from < count; from += blockSize) {
      const to = Math.min(count, from + blockSize);
      blocks.push({ block: { reader: reader.name, from, to }, at: (from + to) / 2 / count });
    }
  });
  return blocks.sort((a, b) => a.at - b.at).map(({ block }) => block);
}

function rowOf(reader: string): Row {
  const known = rows.get(reader);
  if (known) return known;
  const row: Row = { reader, cases: 0, outcomes: {}, slowest: 0, slowestCase: 0, peak: 0 };
  rows.set(reader, row);
  return row;
}

function count(row: Row, outcome: string, cases: number): void {
  row.outcomes[outcome] = (row.outcomes[outcome] ?? 0) + cases;
  row.cases += cases;
  done += cases;
}

function take({ block, outcomes, slowest, findings: found, rss, peak }: BlockResult, child: number): void {
  const row = rowOf(block.reader);
  for (const [outcome, cases] of Object.entries(outcomes)) count(row, outcome, cases);
  if (slowest.milliseconds > row.slowest) {
    row.slowest = slowest.milliseconds;
    row.slowestCase = slowest.number;
  }
  row.peak = Math.max(row.peak, peak);
  memory.push({ child, done, rss });
  for (const finding of found) tell(finding);
}

function tell(finding: Finding): void {
  findings.push(finding);
  if (findings.length > 50) return;
  console.error(`\n${finding.reader}:${finding.number} ${finding.problem}\n${finding.text}`);
}

/** One child after another until no block is left: a new one takes over where one hung or died. */
async function work(child: number, blocks: Block[], scratch: string): Promise<void> {
  for (let life = 0; blocks.length > 0; life++) {
    const folder = path.join(scratch, `${child}-${life}`);
    mkdirSync(folder, { recursive: true });
    await live(child, blocks, { ...limits, folder });
    rmSync(folder, { recursive: true, force: true });
  }
}

function live(child: number, blocks: Block[], childLimits: Limits): Promise<void> {
  const process_ = fork(
    path.join(import.meta.dirname, "../test/fuzz/child.ts"),
    ["--serve", JSON.stringify(childLimits)],
    {
      execArgv: ["--max-old-space-size=1024", ...process.execArgv],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    },
  );
  return new Promise((resolve) => {
    let block: Block | undefined;
    let killed = "";
    const next = (): void => {
      block = blocks.shift();
      if (block) process_.send(block);
      else process_.disconnect();
    };
    const stopWatch = watch(process_, childLimits.folder, (reason) => {
      killed = reason;
    });
    process_.on("message", (result: BlockResult) => {
      take(result, child);
      next();
    });
    process_.on("exit", (code, signal) => {
      stopWatch();
      if (block)
        blame(block, killed || `the process ended with ${signal ?? code}`, blocks, childLimits.folder);
      resolve();
    });
    next();
  });
}

/** The case that a dead child was at has failed; those before it are counted as run, the rest of the block goes back. */
function blame({ reader, from, to }: Block, problem: string, blocks: Block[], folder: string): void {
  const number = placeOf(folder) ?? from;
  const row = rowOf(reader);
  if (number > from) blocks.unshift({ reader, from, to: number });
  count(row, "failed", 1);
  tell({ reader, number, problem, text: "" });
  if (number + 1 < to) blocks.unshift({ reader, from: number + 1, to });
}

function placeOf(folder: string): number | undefined {
  try {
    const text = readFileSync(placeFile(folder), "utf8").trim();
    return text ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}

/** Kills a child that is at one case for too long or whose memory runs away. Gives a function that ends the watch. */
function watch(child: ChildProcess, folder: string, kill: (reason: string) => void): () => void {
  let place = placeOf(folder);
  let since = Date.now();
  const timer = setInterval(() => {
    const now = placeOf(folder);
    if (now !== place) {
      place = now;
      since = Date.now();
    }
    const rss = residentBytes(child.pid);
    if (Date.now() - since > hang) kill(`no end after ${hang} ms`);
    else if (rss > 3 * limits.bytes) kill(`${Math.round(rss / 2 ** 20)} MiB of memory`);
    else return;
    child.kill("SIGKILL");
  }, 250);
  return () => clearInterval(timer);
}

/** Where the system tells it (Linux). */
function residentBytes(pid: number | undefined): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * 4096;
  } catch {
    return 0;
  }
}

/** Mean of each child's memory in the last quarter less that in the second, in MiB: about 0 where it is flat. */
function memoryGrowth(): number[] {
  const children = [...new Set(memory.map(({ child }) => child))];
  return children.map((child) => {
    const samples = memory.filter((sample) => sample.child === child);
    const mean = (from: number, to: number): number => {
      const part = samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to));
      return part.reduce((sum, { rss }) => sum + rss, 0) / part.length / 2 ** 20;
    };
    return Math.round(mean(0.75, 1) - mean(0.25, 0.5));
  });
}

const classes = [
  "accepted",
  "FormatError",
  "GraphError",
  "UnsupportedError",
  "InputError",
  "UsageError",
  "failed",
];

function printTable(): void {
  const head = ["reader", "cases", ...classes, "slowest ms", "(case)", "peak MiB"];
  const total = rowOf("all");
  for (const row of rows.values()) {
    if (row === total) continue;
    total.cases += row.cases;
    for (const [outcome, cases] of Object.entries(row.outcomes)) {
      total.outcomes[outcome] = (total.outcomes[outcome] ?? 0) + cases;
    }
    if (row.slowest > total.slowest) [total.slowest, total.slowestCase] = [row.slowest, row.slowestCase];
    total.peak = Math.max(total.peak, row.peak);
  }
  const lines = [...rows.values()]
    .sort((a, b) => Number(a === total) - Number(b === total))
    .map((row) => [
      row.reader,
      row.cases,
      ...classes.map((name) => row.outcomes[name] ?? 0),
      Math.round(row.slowest),
      row.slowestCase,
      Math.round(row.peak / 2 ** 20),
    ]);
  console.log([head, ...lines].map((line) => `| ${line.join(" | ")} |`).join("\n"));
}

async function replay(id: string): Promise<void> {
  const [name, number] = id.split(":");
  const folder = path.join(out, id.replace(":", "-"));
  const scratch = mkdtempSync(path.join(tmpdir(), "ncnnkit-fuzz-"));
  const make = await readerOf(name).prepare(scratch);
  const random = randomOf(limits.seed, name, Number(number));
  const { files } = make(randomOf(limits.seed, name, Number(number)));
  mkdirSync(folder, { recursive: true });
  for (const [file, bytes] of Object.entries(files)) writeFileSync(path.join(folder, file), bytes);
  const { outcome, error, milliseconds } = await runCase(make, random);
  console.log(
    `${id}: ${outcome} in ${milliseconds.toFixed(1)} ms; ${Object.keys(files).join(", ")} in ${folder}`,
  );
  if (error) console.log(error);
  rmSync(scratch, { recursive: true, force: true });
}

async function campaign(): Promise<void> {
  const chosen = options.reader ? options.reader.split(",").map(readerOf) : readers;
  const cases = Number(options.cases);
  const blocks = makeBlocks(chosen, cases);
  const scratch = mkdtempSync(path.join(tmpdir(), "ncnnkit-fuzz-"));
  const start = Date.now();
  const report = setInterval(() => {
    const seconds = (Date.now() - start) / 1000;
    console.error(`${done} of ${cases} cases, ${Math.round(done / seconds)}/s, ${findings.length} failed`);
  }, 10_000);
  await Promise.all(Array.from({ length: Number(options.jobs) }, (_, child) => work(child, blocks, scratch)));
  clearInterval(report);
  rmSync(scratch, { recursive: true, force: true });
  const seconds = (Date.now() - start) / 1000;
  printTable();
  const growth = memoryGrowth();
  console.log(
    `${done} cases in ${seconds.toFixed(0)} s (${Math.round(done / seconds)}/s) by ${options.jobs} processes; memory of each grew by ${growth.join(", ")} MiB from its second quarter to its last; ${findings.length} failed`,
  );
  if (options.json) {
    mkdirSync(path.dirname(path.resolve(options.json)), { recursive: true });
    writeFileSync(
      options.json,
      JSON.stringify({ seed: limits.seed, seconds, growth, rows: [...rows.values()], findings }, null, 2),
    );
  }
  for (const { reader, number } of findings.slice(0, 20))
    console.error(`again: node scripts/fuzz.ts --case ${reader}:${number} --seed ${limits.seed}`);
  process.exitCode = findings.length ? 1 : 0;
}

await (options.case ? replay(options.case) : campaign());
