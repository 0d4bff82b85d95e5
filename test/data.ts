/**
 * Where the real models, images and native outputs are. A clone has none of them, so tests on them are written as `testData` or inside
 * `describeData`, which skip, saying so, and never run the body of a `describe` (as `describe.skip` does, to collect its tests).
 * Reading anywhere else is an error on a machine that has the files too: it would break a clone that has not.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, test } from "vitest";

export const dataRoot = path.resolve(process.env.NCNNKIT_DATA ?? "../shared");
const hasData = existsSync(path.join(dataRoot, "models"));
if (!hasData) console.warn(`no models at ${dataRoot}: tests on real models are skipped (set NCNNKIT_DATA)`);

/** Whether tests run (and no longer are collected), or the body of a `describeData` does. */
let mayRead = false;
beforeAll(() => {
  mayRead = true;
});

/** A test on real files. */
export const testData = test.skipIf(!hasData);

/** Tests on real files, which `body` may read too. */
export function describeData(name: string, body: () => void): void {
  describeDataIf(true, name, body);
}

/** Tests on real files that need more than these. */
export function describeDataIf(canRun: boolean, name: string, body: () => void): void {
  const open = (): void => {
    mayRead = true;
    body();
    mayRead = false;
  };
  if (hasData && canRun) describe(name, open);
  else test.skip(`${name}: what it needs is not here`, () => {});
}

export function dataPath(relative: string): string {
  return path.join(dataRoot, relative);
}
export function dataBytes(relative: string): Uint8Array {
  return new Uint8Array(readFileSync(readable(relative)));
}
export function dataText(relative: string): string {
  return readFileSync(readable(relative), "utf8");
}
/** Files of a folder whose names have this ending, as paths below the data. */
export function dataFiles(folder: string, ending = ""): string[] {
  const names = readdirSync(readable(folder)).filter((name) => name.endsWith(ending));
  return names.map((name) => `${folder}/${name}`);
}

function readable(relative: string): string {
  if (mayRead) return dataPath(relative);
  throw new Error(
    `${relative} is read outside testData and describeData, which fails where there is no data`,
  );
}

/** A NumPy `.npy` array of uint8 or float32 in C order. */
export function readNpy(relative: string): { shape: number[]; data: Uint8Array | Float32Array } {
  const bytes = dataBytes(relative);
  const headerLength = bytes[8] | (bytes[9] << 8);
  const header = new TextDecoder().decode(bytes.subarray(10, 10 + headerLength));
  const shape = /'shape': \(([^)]*)\)/
    .exec(header)![1]
    .split(",")
    .filter((s) => s.trim())
    .map(Number);
  const body = bytes.slice(10 + headerLength);
  if (header.includes("'|u1'")) return { shape, data: body };
  if (header.includes("'<f4'")) return { shape, data: new Float32Array(body.buffer) };
  throw new Error(`${relative}: unexpected dtype in ${header}`);
}

/** A picture of the goldens, RGB bytes `[h, w, 3]`, as `[3, h, w]` in 0..1. */
export function goldenPicture(name: string): { shape: number[]; data: Float32Array } {
  const { shape, data } = readNpy(`golden/${name}.npy`);
  const [h, w] = shape;
  const norm = Math.fround(1 / 255);
  const out = new Float32Array(data.length);
  for (let i = 0; i < out.length; i++) out[i] = data[(i % (h * w)) * 3 + Math.floor(i / (h * w))] * norm;
  return { shape: [3, h, w], data: out };
}
