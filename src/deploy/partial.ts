/** Calibration in parts, on several machines: which parts belong together, and what they saw in all. */
import { expectKind } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";
import type { ModelInput } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import type { NamedBytes } from "../open/source.ts";
import { mergeObservations, type Observations, readPartial } from "../quantize/index.ts";
import { graphDigest } from "./calibrated.ts";

/** The note of a part: which model saw the pictures, and how they were prepared. Parts with different notes do not merge. */
export async function partialNote(graph: Graph, input: ModelInput): Promise<string> {
  expectKind("partialNote: graph", graph, "a graph");
  expectKind("partialNote: input", input, "an object");
  return JSON.stringify({ model: await graphDigest(graph), input });
}

/**
 * What the pictures of all parts (files of `writePartial`) have shown. Throws UsageError for a part with another note than `note` and for two that are the
 * same, FormatError for a file that is none.
 */
export function mergePartials(parts: readonly NamedBytes[], note: string): Observations {
  expectKind("mergePartials: parts", parts, "a list of files ({ name, bytes })");
  expectKind("mergePartials: note", note, "a string");
  const observations: Observations = new Map();
  for (const [i, { name, bytes }] of parts.entries()) {
    const same = parts.slice(0, i).find((earlier) => areEqual(earlier.bytes, bytes));
    if (same) {
      throw new UsageError(`${name} and ${same.name} are the same part, whose pictures would count twice`);
    }
    const partial = readPartial(bytes, name);
    if (partial.note !== note) {
      throw new UsageError(
        `${name}: made with another model, size or pre-processing: ${partial.note.slice(0, 400)}, expected ${note.slice(0, 400)}`,
      );
    }
    mergeObservations(observations, partial.observations);
  }
  return observations;
}

const areEqual = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);
