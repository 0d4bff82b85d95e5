/**
 * Whether V8's joining of vector instructions (256 bits instead of 128, on x86) may be used: tried in processes of their own, so that
 * nothing here depends on an experimental compiler that fails, and remembered for each version of it.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import * as z from "zod/mini";
import { version } from "../base/version.ts";
import type { SelfTest } from "../open/self-test.ts";
import { cacheFolder } from "./cache.ts";
import { writePaths } from "./write.ts";

/** What trying it has shown. */
export interface WideVectors {
  /** All kernels compute right with it, and faster. */
  readonly use: boolean;
  /** Why so, in words for people. */
  readonly why: string;
}

/** The first V8 whose joining is right, as the operator suite of the tests says (Node 24). */
const leastV8 = [13, 6];
/** It is used where products take at most this share of the time without. */
const leastGain = 0.85;

const verdictSchema = z.object({ use: z.boolean(), why: z.string() });
const rememberedSchema = z.record(z.string(), verdictSchema);

let known: Promise<WideVectors> | undefined;

/**
 * Whether to load models with `wideVectors: true`. Takes some seconds the first time on a machine and after an update of Node, then
 * it is remembered, beside the folder `modelCache()`; `onTry` is called before.
 */
export function wideVectors(onTry: () => void = () => {}): Promise<WideVectors> {
  known ??= find(onTry);
  return known;
}

async function find(onTry: () => void): Promise<WideVectors> {
  const never = impossible();
  if (never) return { use: false, why: never };
  const file = cacheFolder("wide-vectors.json");
  const key = [version, process.versions.v8, process.arch, os.cpus()[0]?.model ?? "unknown"].join(" ");
  const remembered = read(file);
  if (remembered[key]) return remembered[key];
  onTry();
  const found = await tried();
  await write(file, { ...remembered, [key]: found });
  return found;
}

function impossible(): string | undefined {
  if (process.arch !== "x64") return `only x86 has vectors to join, this is ${process.arch}`;
  const [major, minor] = process.versions.v8.split(".").map(Number);
  const isOld = major < leastV8[0] || (major === leastV8[0] && minor < leastV8[1]);
  return isOld ? "only Node 24 and newer join them right" : undefined;
}

/** With joining, code is compiled by the optimising compiler at once: the other one joins nothing. */
const wideFlags = ["--experimental-wasm-revectorize", "--no-liftoff"];

async function tried(): Promise<WideVectors> {
  const plain = await selfTestIn([], "plain");
  const wide = await selfTestIn(wideFlags, "wide");
  return judge(plain, wide);
}

/** What follows from self-tests without and with joining; a text where one could not be made. */
export function judge(plain: SelfTest | string, wide: SelfTest | string): WideVectors {
  if (typeof plain === "string") return { use: false, why: `could not be tried: ${plain}` };
  if (plain.wrong) return { use: false, why: `could not be tried: without them ${plain.wrong}` };
  if (typeof wide === "string") return { use: false, why: `V8 failed with them: ${wide}` };
  if (wide.wrong) return { use: false, why: `V8 computes wrong with them: ${wide.wrong}` };
  const ratios = wide.milliseconds.map((ms, i) => ms / plain.milliseconds[i]);
  const share = ratios.reduce((product, ratio) => product * ratio, 1) ** (1 / ratios.length);
  const told = `products take ${share.toFixed(2)} of the time`;
  return share <= leastGain ? { use: true, why: told } : { use: false, why: `no gain, ${told}` };
}

/** A self-test in a process of its own; a text says why there is none. */
async function selfTestIn(flags: readonly string[], vectors: "plain" | "wide"): Promise<SelfTest | string> {
  const entry = path.join(import.meta.dirname, `_self-test${path.extname(import.meta.filename)}`);
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, entry, vectors], {
      env: { ...process.env, NODE_OPTIONS: "" },
      timeout: 60_000,
    });
    return JSON.parse(stdout) as SelfTest;
  } catch (error) {
    const { signal, code } = error as { signal?: string; code?: unknown };
    return signal ? `it ended by ${signal}` : `it ended with ${code ?? "no result"}`;
  }
}

function read(file: string): Record<string, WideVectors> {
  try {
    return rememberedSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return {}; // not there yet, or damaged: it is found out again
  }
}

async function write(file: string, verdicts: Record<string, WideVectors>): Promise<void> {
  try {
    await writePaths([[file, JSON.stringify(verdicts)]]);
  } catch {
    // a cache that cannot be written costs seconds, no result
  }
}
