/** How two tensors of the same shape differ. */
import { UsageError } from "../base/errors.ts";
import { formatShape, sameShape, type Tensor } from "../ir/tensor.ts";

export interface TensorDifference {
  count: number;
  maxAbs: number;
  meanAbs: number;
  /** Signal to quantization noise ratio in dB: 10·log10(Σ reference² / Σ difference²); Infinity if equal. */
  sqnr: number;
  /** Cosine of the angle between the two, −1..1; 1 if both are all zero, 0 if one is. */
  cosine: number;
  /** Flat index of the greatest difference, and the two values there. */
  worst: { index: number; reference: number; candidate: number };
  /** Places where just one of the two is NaN or infinite, or both differ so; they make the other figures NaN. */
  notFinite: number;
}

/** Throws UsageError when shapes differ. Sums are in double precision. */
export function compareTensors(reference: Tensor, candidate: Tensor): TensorDifference {
  if (!sameShape(reference.shape, candidate.shape)) {
    throw new UsageError(
      `tensors of different shapes cannot be compared: ${formatShape(reference.shape)} and ${formatShape(candidate.shape)}`,
    );
  }
  const a = reference.data;
  const b = candidate.data;
  let [signal, other, product, noise, sum, maxAbs, worst, notFinite] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    if (!(Number.isFinite(a[i]) && Number.isFinite(b[i]))) {
      if (Object.is(a[i], b[i])) continue;
      if (notFinite++ === 0) worst = i;
    }
    const difference = Math.abs(a[i] - b[i]);
    if (difference > maxAbs && !notFinite) {
      maxAbs = difference;
      worst = i;
    }
    signal += a[i] * a[i];
    other += b[i] * b[i];
    product += a[i] * b[i];
    noise += difference * difference;
    sum += difference;
  }
  const broken = notFinite > 0 ? Number.NaN : 0;
  const norms = Math.sqrt(signal * other);
  return {
    count: a.length,
    maxAbs: maxAbs + broken,
    meanAbs: (a.length ? sum / a.length : 0) + broken,
    sqnr: (noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise)) + broken,
    cosine: (norms > 0 ? Math.min(Math.max(product / norms, -1), 1) : signal === other ? 1 : 0) + broken,
    worst: { index: worst, reference: a[worst] ?? 0, candidate: b[worst] ?? 0 },
    notFinite,
  };
}
