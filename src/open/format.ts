/** What a format that models are opened from has to say. */

import type { CompiledSource } from "../engine/standalone.ts";
import type { CompiledFacts } from "../formats/compiled.ts";
import type { Manifest } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import type { KnownFacts } from "./facts.ts";
import type { Folder, NamedBytes } from "./source.ts";

export interface OpenOptions extends KnownFacts {
  /** A missing `.bin` is no error: the graph then has no weights and can be looked at, not run. Default false. */
  weightsOptional?: boolean;
  /** ONNX: keep Reshape sizes that were computed from the input's size; default: they follow it. */
  keepSizes?: boolean;
  /** ONNX: keep the decoding of boxes that is in the graph; default: it is cut off, since it happens outside. */
  keepDecode?: boolean;
  /** Files of `ncnnkit compile` will do, which can be run and looked at only; default false. */
  runOnly?: boolean;
  /**
   * Checkpoints of YOLOv10 and 26: take the branches that give one box an object, so that none are dropped for overlapping; default
   * false, those that give many.
   */
  endToEnd?: boolean;
}

/** A model that was read and is not ready to run yet. */
export interface OpenedModel {
  /** Name of the format in words. */
  format: string;
  graph: Graph;
  manifest: Manifest;
  /** What the files do not say and was assumed, and what in them had to be changed, a sentence each. */
  assumptions: string[];
  /** What its heads were told by. */
  toldBy?: string;
  /** What the model is instead of a detector that can be decoded, where the reader knows. */
  whyNoHeads?: string;
  /** What the reader did that a curious person may want to know, a line each. */
  details?: string[];
  /**
   * The graph is as a training framework or exporter left it: a chain of plain layers, best optimised before it runs.
   */
  raw: boolean;
  /** False when the weights were optional and not there. */
  hasWeights: boolean;
  /** A file of `ncnnkit compile`: its graph has no layers. */
  compiled?: { readonly facts: CompiledFacts; readonly source: CompiledSource };
}

/** Reads the model that begins with `file`; its companions are in `folder`. */
export type Opener = (
  file: NamedBytes,
  folder: Folder,
  options: OpenOptions,
) => Promise<Omit<OpenedModel, "format">>;

/** In lower-case hexadecimal; nothing where the platform has no digest (a page that is not served securely). */
export async function sha256(bytes: Uint8Array): Promise<string | undefined> {
  const digest = await globalThis.crypto?.subtle?.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return digest && [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
