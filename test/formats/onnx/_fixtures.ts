/** The committed ONNX files with what onnxruntime computes for them. */
import { readFileSync } from "node:fs";
import { unzipSync } from "fflate";
import { NcnnkitError } from "../../../src/base/errors.ts";
import { readOnnx } from "../../../src/formats/onnx/index.ts";

export interface Sample {
  readonly name: string;
  readonly shape: number[];
  /** `values` are every step-th element. */
  readonly step: number;
  readonly values: number[];
}
export interface Fixture {
  readonly file: string;
  readonly network: string;
  readonly exporter: string;
  readonly opset: number;
  readonly input: { readonly name: string; readonly shape: number[] };
  readonly seed: number;
  readonly outputs: Sample[];
  /** The network at another input size. */
  readonly other?: { readonly shape: number[]; readonly outputs: Sample[] };
  readonly bytes: Uint8Array;
}

/** Made by scripts/onnx-fixtures.py. */
export function fixtures(): Fixture[] {
  const archive = unzipSync(readFileSync(new URL("./data/fixtures.zip", import.meta.url)));
  const index = JSON.parse(new TextDecoder().decode(archive["index.json"])) as Omit<Fixture, "bytes">[];
  return index.map((entry) => ({ ...entry, bytes: archive[entry.file] }));
}

/** What onnxsim makes of each network, by file, with kernels of zeros. Made by scripts/onnx-fixtures.py. */
export function simplifiedByOnnxsim(): Record<string, Uint8Array> {
  return unzipSync(readFileSync(new URL("./data/simplified.zip", import.meta.url)));
}

export type Outcome = { readonly kind: string; readonly error?: unknown };

/** Converts: `converted`, the class of the kit's error, or `defect`. */
export function outcomeOf(bytes: Uint8Array): Outcome {
  try {
    readOnnx(bytes, "fuzz.onnx", { inputSize: { width: 64, height: 64 } });
    return { kind: "converted" };
  } catch (error) {
    return error instanceof NcnnkitError ? { kind: error.name, error } : { kind: "defect", error };
  }
}
