/** What matters in a detector's outputs when its int8 form is corrected. */
import { expectKind } from "../base/arguments.ts";
import { sigmoid } from "../base/maths.ts";
import type { Manifest } from "../ir/manifest.ts";
import type { Importance } from "../quantize/index.ts";

/** Scores below this are background: there are too many of them to be right on average about each. */
const leastScore = 0.1;

/**
 * Objectness and class logits count by the score that they make, so that the scores of real objects neither rise nor fall
 * on average. Boxes are left to the means of the layers.
 */
export function detectionImportance(manifest: Manifest): Importance | undefined {
  expectKind("detectionImportance: manifest", manifest, "a manifest");
  const heads = new Set(manifest.heads.map((head) => head.blob));
  if (heads.size === 0) return undefined;
  return (blob, { shape, data }) => {
    if (!heads.has(blob)) return undefined;
    const values = shape[shape.length - 1];
    const weights = new Float32Array(data.length);
    for (let at = 0; at < data.length; at += values) {
      const objectness = sigmoid(data[at + 4]);
      if (objectness < leastScore) continue;
      for (let i = 5; i < values; i++) {
        const score = objectness * sigmoid(data[at + i]);
        if (score < leastScore) continue;
        weights[at + i] = score;
        weights[at + 4] = Math.max(weights[at + 4], score);
      }
    }
    return weights;
  };
}
