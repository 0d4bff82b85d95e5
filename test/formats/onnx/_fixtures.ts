/** The committed ONNX files with what onnxruntime computes for them, and ways to damage files. */
import { readFileSync } from "node:fs";
import { unzipSync } from "fflate";
import { NcnnkitError } from "../../../src/base/errors.ts";
import type { Random } from "../../../src/base/random.ts";
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

/** A copy with a few bytes changed, a piece cut out, doubled or the end cut off. */
export function damage(bytes: Uint8Array, random: Random): Uint8Array {
  let copy = bytes.slice();
  const kind = random.int(0, 9);
  if (kind === 0) copy = copy.slice(0, random.int(0, copy.length));
  else if (kind === 1) {
    const from = random.int(0, copy.length - 1);
    const length = random.int(1, Math.min(64, copy.length - from));
    copy.copyWithin(from, from + length);
    copy = copy.slice(0, copy.length - length);
  } else if (kind === 2) {
    const from = random.int(0, copy.length - 64);
    copy.set(copy.slice(from, from + 64), random.int(0, copy.length - 64));
  } else {
    // Most bytes of a file are weights, where a change means little: change many, or aim at the ends.
    const changes = kind < 6 ? random.int(1, 4) : random.int(5, 60);
    const isNearEnd = random.next() < 0.5;
    for (let i = 0; i < changes; i++) {
      const at = isNearEnd ? random.int(0, Math.min(4000, copy.length - 1)) : random.int(0, copy.length - 1);
      copy[at] = random.next() < 0.5 ? copy[at] ^ (1 << random.int(0, 7)) : random.int(0, 255);
    }
  }
  return copy;
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
