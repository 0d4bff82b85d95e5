/**
 * What the engine made of the tests' networks when it was last looked at: hashes and sizes, so that a refactoring shows itself as
 * "equal" or names what moved. `UPDATE_GOLDENS=1 npx vitest run test/engine test/kernels` writes them anew; without it a network
 * that is not in the files yet is let pass.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, expect } from "vitest";
import type { CompiledPlan } from "../../src/engine/wasm/module.ts";
import type { Plan, PlanStep } from "../../src/engine/wasm/records.ts";
import { kindOf } from "../../src/engine/wasm/steps/index.ts";
import type { PlanTarget } from "../../src/engine/wasm/target.ts";
import type { KernelSpec } from "../../src/kernels/wasm/index.ts";
import { Module } from "../../src/wasm/index.ts";

const isUpdate = process.env.UPDATE_GOLDENS === "1";
const folder = path.join(import.meta.dirname, "goldens");

export function digest(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex").slice(0, 8);
}

/** Lines `key value`, sorted, in a file of their own. */
export class Goldens {
  private readonly file: string;
  private readonly known = new Map<string, string>();
  private readonly found = new Map<string, string>();

  constructor(name: string) {
    this.file = path.join(folder, `${name}.txt`);
    if (!existsSync(this.file)) return;
    for (const line of readFileSync(this.file, "utf8").split("\n")) {
      const at = line.indexOf(" ");
      if (at > 0) this.known.set(line.slice(0, at), line.slice(at + 1));
    }
  }

  /** Fails where the key is known with another value. */
  check(key: string, value: string, what: string): void {
    this.found.set(key, value);
    if (!isUpdate && this.known.has(key)) expect(value, what).toBe(this.known.get(key));
  }

  /** Update: writes what was found; run whole files. */
  write(): void {
    if (!isUpdate || this.found.size === 0) return;
    const lines = [...this.found].map(([key, value]) => `${key} ${value}\n`).sort();
    mkdirSync(folder, { recursive: true });
    writeFileSync(this.file, lines.join(""));
  }
}

/** Machines for which a kernel's instructions are compared: without and with relaxed instructions. */
const kernelTargets: readonly Pick<PlanTarget, "relaxed" | "fusedMadd" | "signSelect" | "emulateDot">[] = [
  { relaxed: false, fusedMadd: false, signSelect: false, emulateDot: "unsigned" },
  { relaxed: true, fusedMadd: true, signSelect: true },
];
const codes = new Map<string, Uint8Array[]>();

/** A kernel's code on those machines. */
function codesOf(kind: PlanStep["kind"], spec: KernelSpec): Uint8Array[] {
  const key = JSON.stringify(spec);
  const made =
    codes.get(key) ??
    kernelTargets.map((target) => {
      const m = new Module();
      m.importMemory("env", "memory", { min: 1 });
      kindOf({ kind }).emit!(m, "kernel", spec, target);
      return m.encode();
    });
  codes.set(key, made);
  return made;
}

/** For each kind of kernel of some plans: `kind bytes hash`. */
export function kernelGoldens(plans: readonly Plan[]): string {
  const distinct = new Map<string, { kind: string; codes: Uint8Array[] }>();
  for (const { kind, calls } of plans.flatMap(({ steps }) => steps)) {
    for (const { spec } of calls)
      distinct.set(JSON.stringify(spec), { kind: spec.kind, codes: codesOf(kind, spec) });
  }
  const kinds = [...new Set([...distinct.values()].map(({ kind }) => kind))].sort();
  return kinds
    .map((kind) => {
      const own = [...distinct.values()].filter((kernel) => kernel.kind === kind);
      // Sorted: the order of steps is the program's matter.
      const all = own.map(({ codes }) => codes).sort((a, b) => (digest(...a) < digest(...b) ? -1 : 1));
      const bytes = all.flat().reduce((sum, { length }) => sum + length, 0);
      return `${kind} ${bytes} ${digest(...all.flat()).slice(0, 4)}`;
    })
    .join(" ");
}

/** Everything about a program that its results depend on, and what `profile` says of it. */
export function programDigest(plan: Plan, { bytes, constants }: CompiledPlan): string {
  const steps = plan.steps.map(({ kind: _, ...step }) => ({
    ...step,
    calls: step.calls.length,
    reference: !!step.reference,
  }));
  return digest(
    JSON.stringify([steps, [...plan.inputs], plan.filledBorders.length, plan.memoryBytes]),
    bytes,
    new Uint8Array(constants.buffer),
    ...plan.staticData.chunks.flatMap((chunk) => [String(chunk.address), chunk.bytes]),
  );
}

// ---- programs of the running test file

let goldens: Goldens | undefined;
let ofTest: { digest: string; plan: Plan }[] = [];

/** Notes a program that the current test has made for a machine that is the same everywhere. */
export function noteProgram(plan: Plan, compiled: CompiledPlan): void {
  const file = path.relative(path.dirname(import.meta.dirname), expect.getState().testPath!);
  goldens ??= new Goldens(file.replaceAll(path.sep, "-").replace(".test.ts", ""));
  ofTest.push({ digest: programDigest(plan, compiled), plan });
}

afterEach(() => {
  const found = ofTest;
  ofTest = [];
  if (found.length === 0) return;
  const programs = `programs ${found.length} ${digest(...found.map((program) => program.digest))}`;
  const kernels = kernelGoldens(found.map(({ plan }) => plan));
  const name = digest(expect.getState().currentTestName!);
  goldens!.check(name, `${programs} ${kernels}`, "what the engine makes of the test's networks");
});

afterAll(() => {
  goldens?.write();
});
