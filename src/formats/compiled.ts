/** What a compiled file tells of itself. */
import type { Manifest, Task } from "../heads/manifest.ts";
import type { Shape } from "../ir/tensor.ts";

/** How int8 products are done, and so on which machines the file may be used: `portable` on all. */
export type CompiledMode = "portable" | "scalar" | "signed" | "unsigned" | "i7";

/** Where a tensor of float32 numbers lies in the file's memory. */
export interface CompiledTensor {
  blob: string;
  /** In bytes. */
  address: number;
  /** `[c, h, w]` */
  shape: Shape;
}

/** An input size that the file was made for. */
export interface CompiledSize {
  width: number;
  height: number;
  /** Where inputs are to be written; none where pictures are taken. */
  inputs: readonly CompiledTensor[];
  outputs: readonly CompiledTensor[];
}

/** The custom section `ncnnkit` of a compiled file, as JSON. */
export interface CompiledFacts {
  format: typeof compiledFormat;
  /** Of the interface (docs/compile.md). */
  version: 1;
  /** The kit that made it. */
  kit: string;
  name: string;
  mode: CompiledMode;
  /** Most threads that may share the work. */
  threads: number;
  task: Task;
  /** Takes pictures (`picture`, `preprocess`); else tensors. */
  pictures: boolean;
  /** Decodes (`detect`); else why not. */
  decode: boolean;
  whyNoDecode?: string;
  sizes: readonly CompiledSize[];
  /** SHA-256 of the model that it was made from, as ncnn files. */
  source: { param: string; bin: string };
  /** Pre-processing, heads, labels, provenance. */
  manifest: Manifest;
}

export const compiledFormat = "ncnnkit-compiled";
/** Name of the custom section. */
export const compiledSection = "ncnnkit";

/** A compiled file among others, as the list `NAME.json` and the module `NAME.js` have it. */
export interface CompiledFile {
  file: string;
  mode: CompiledMode;
  bytes: number;
  sha256: string;
}
/** Name of the custom section with the SHA-256 of all that stands before it. */
export const digestSection = "ncnnkit-digest";
