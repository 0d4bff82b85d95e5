/** Compiled files, written to a folder of their own and imported as a program would. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll } from "vitest";
import { Random } from "../../src/base/random.ts";
import { type CompiledModel, type CompileOptions, compileModel } from "../../src/compile/index.ts";
import type { Picture } from "../../src/detect/picture.ts";
import type { Detection } from "../../src/index.ts";
import type { OpenedModel } from "../../src/open/format.ts";
import { tinyModel } from "../cli/_tiny.ts";

/** What `NAME.d.ts` says, as far as the tests need it. */
export interface Detector {
  look(picture: unknown, options?: object): { detections(limits?: object): Detection[] };
  detect(picture: unknown, options?: object): Detection[];
  run(input: unknown, options?: object): Record<string, { shape: number[]; data: Float32Array }>;
  close(): void;
  readonly memory: WebAssembly.Memory;
  readonly exports: Record<string, (...args: number[]) => number>;
}

export interface CompiledModule {
  load(options?: object): Promise<Detector>;
  detect(picture: unknown, options?: object): Promise<Detection[]>;
  run(input: unknown, options?: object): Promise<Record<string, { shape: number[]; data: Float32Array }>>;
}

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export interface Written extends CompiledModel {
  readonly folder: string;
  readonly module: CompiledModule;
}

/** The files, and the module among them. */
export async function writeCompiled(opened: OpenedModel, options: CompileOptions = {}): Promise<Written> {
  const made = await compileModel(opened, options);
  const folder = mkdtempSync(path.join(os.tmpdir(), "ncnnkit-compiled-"));
  folders.push(folder);
  for (const [name, content] of Object.entries(made.files)) writeFileSync(path.join(folder, name), content);
  const url = pathToFileURL(path.join(folder, `${made.facts.name}.js`)).href;
  return { ...made, folder, module: (await import(/* @vite-ignore */ url)) as CompiledModule };
}

/** As an opener gives it. */
export const openedOf = (model: Pick<OpenedModel, "graph" | "manifest">): OpenedModel => ({
  ...{ format: "test", assumptions: [], raw: false, hasWeights: true },
  ...model,
});

/** A detector whose outputs are anything: boxes everywhere, of all classes. */
export function noisy(): OpenedModel {
  const model = tinyModel("noisy");
  const random = new Random(3);
  for (const { weights } of model.graph.nodes) {
    for (const { data } of Object.values(weights)) {
      for (let i = 0; i < data.length; i++) data[i] = Math.fround(random.uniform(-0.3, 0.3));
    }
  }
  return openedOf(model);
}

/** Pixels that look like nothing. */
export function noise(width: number, height: number, channels: 3 | 4, seed = 1): Picture {
  let state = seed;
  const data = Uint8Array.from({ length: width * height * channels }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state >>> 24;
  });
  return { width, height, channels, data };
}
