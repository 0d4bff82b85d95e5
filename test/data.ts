/** Where the real models, images and native outputs are. Tests that need them skip, saying so, where they are missing. */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

export const dataRoot = path.resolve(process.env.NCNNKIT_DATA ?? "../shared");
export const hasData = existsSync(path.join(dataRoot, "models"));
if (!hasData) console.warn(`no models at ${dataRoot}: tests on real models are skipped (set NCNNKIT_DATA)`);

export function dataPath(relative: string): string {
  return path.join(dataRoot, relative);
}
export function dataBytes(relative: string): Uint8Array {
  return new Uint8Array(readFileSync(dataPath(relative)));
}
export function dataText(relative: string): string {
  return readFileSync(dataPath(relative), "utf8");
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
