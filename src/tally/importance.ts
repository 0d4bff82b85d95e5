/** What matters in a detector's outputs when its int8 form is corrected. */
import { expectKind } from "../base/arguments.ts";
import { rotatedAt } from "../detect/nms.ts";
import { cornersOf } from "../detect/rotated.ts";
import { Candidates } from "../heads/candidates.ts";
import { blobsOf, decodeHead, importanceOf } from "../heads/index.ts";
import { leastScore } from "../heads/kind.ts";
import type { Manifest } from "../heads/manifest.ts";
import type { Blobs } from "../ir/tensor.ts";
import type { Focus, Importance, OfHeads } from "../quantize/index.ts";

/**
 * Values count by the scores that they make, so that the scores of real objects neither rise nor fall on average. Boxes are
 * left to the means of the layers. Nothing for a model without heads.
 */
export function detectionImportance(manifest: Manifest): Importance | undefined {
  expectKind("detectionImportance: manifest", manifest, "a manifest");
  return importanceBy(manifest);
}

/** The same by heads alone. */
export function importanceBy({ heads, labels }: OfHeads): Importance | undefined {
  if (heads.length === 0) return undefined;
  const blobs = new Set(blobsOf(heads));
  const importance = (blob: string, outputs: Blobs) =>
    blobs.has(blob) ? importanceOf(heads, labels.length, blob, outputs) : undefined;
  return Object.assign(importance, { of: { heads, labels } });
}

/** Where the model's boxes are, for calibration: what its layers see there counts. Nothing for a model without heads. */
export function detectionFocus(manifest: Manifest): Focus | undefined {
  expectKind("detectionFocus: manifest", manifest, "a manifest");
  return focusBy(manifest);
}

/** The same by heads alone. */
export function focusBy({ heads, labels }: OfHeads): Focus | undefined {
  if (heads.length === 0) return undefined;
  const blobs = blobsOf(heads);
  return {
    of: { heads, labels },
    blobs,
    regions: (outputs, { width, height }) => {
      const found = new Candidates();
      const options = { confidence: leastScore, multiLabel: false, width, height };
      for (const head of heads) decodeHead(head, outputs, labels.length, options, found);
      const regions = found.boxes.slice(0, found.length * 4);
      // Of turned boxes what is about them.
      for (let i = 0; i < found.length; i++) {
        if (found.parts[i]?.angle === undefined) continue;
        const corners = cornersOf(rotatedAt(found, i));
        const [xs, ys] = [0, 1].map((axis) => corners.filter((_, k) => k % 2 === axis));
        regions.set([Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)], 4 * i);
      }
      return regions.map((value, i) => value / (i % 2 ? height : width));
    },
  };
}
