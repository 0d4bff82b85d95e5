/** What matters in a detector's outputs when its int8 form is corrected. */
import { expectKind } from "../base/arguments.ts";
import { blobsOf, importanceOf } from "../heads/index.ts";
import type { Manifest } from "../heads/manifest.ts";
import type { Importance } from "../quantize/index.ts";

/**
 * Values count by the scores that they make, so that the scores of real objects neither rise nor fall on average. Boxes are
 * left to the means of the layers. Nothing for a model without heads.
 */
export function detectionImportance(manifest: Manifest): Importance | undefined {
  expectKind("detectionImportance: manifest", manifest, "a manifest");
  const { heads, labels } = manifest;
  if (heads.length === 0) return undefined;
  const blobs = new Set(blobsOf(heads));
  return (blob, outputs) => (blobs.has(blob) ? importanceOf(heads, labels.length, blob, outputs) : undefined);
}
