/** Normalization over runs of consecutive values: the shared part of LayerNorm, GroupNorm, InstanceNorm and RMSNorm. */
import { GraphError } from "../base/errors.ts";
import type { WeightSpec } from "../ir/op.ts";
import { elementCount, formatShape, type Shape, type Tensor } from "../ir/tensor.ts";
import { type Weights, weightToFloat32 } from "../ir/weight.ts";

interface RunNorm {
  /** Values that share statistics; consecutive in memory. */
  readonly size: number;
  readonly eps: number;
  /** Subtract the mean and divide by the deviation (else only by the root of the mean square). */
  readonly centred: boolean;
  /** Factor and summand of the element at an index. */
  readonly gamma: (index: number) => number;
  readonly beta: (index: number) => number;
}

/** The factors and summands of `count` channels or places; none without `affine`. */
export function affineSpecs(affine: number, count: number, names = ["gamma", "beta"]): WeightSpec[] {
  return affine ? names.map((name) => ({ name, count, kind: "raw" })) : [];
}

/** Runs of `size` values, each with its own statistics; `at` says which factor and summand an index has. */
export function normalizeAffine(
  input: Tensor,
  { size, eps, centred = true }: { size: number; eps: number; centred?: boolean },
  weights: Weights,
  at: (index: number) => number,
): Tensor {
  const gamma = weights.gamma && weightToFloat32(weights.gamma);
  const beta = weights.beta && weightToFloat32(weights.beta);
  return normalizeRuns(input, {
    ...{ size, eps, centred },
    gamma: (i) => gamma?.[at(i)] ?? 1,
    beta: (i) => beta?.[at(i)] ?? 0,
  });
}

function normalizeRuns({ shape, data }: Tensor, { size, eps, centred, gamma, beta }: RunNorm): Tensor {
  const out = new Float32Array(data.length);
  for (let first = 0; first < out.length; first += size) {
    let mean = 0;
    if (centred) {
      for (let i = first; i < first + size; i++) mean += data[i];
      mean /= size;
    }
    let squares = 0;
    for (let i = first; i < first + size; i++) squares += (data[i] - mean) ** 2;
    const factor = 1 / Math.sqrt(squares / size + eps);
    for (let i = first; i < first + size; i++) out[i] = (data[i] - mean) * factor * gamma(i) + beta(i);
  }
  return { shape, data: out };
}

/**
 * Size of the runs of LayerNorm and RMSNorm: the innermost axes whose product is `affineSize`, else all but the
 * outermost of rank 3 and 4. Throws GraphError when there are affine weights and they do not fit.
 */
export function innerRunSize(shape: Shape, affineSize: number, affine: number): number {
  const last = Math.max(shape.length - 1, 1);
  let size = elementCount(shape.slice(-last));
  for (let axes = 1; axes < last; axes++) {
    const inner = elementCount(shape.slice(-axes));
    if (inner === affineSize) {
      size = inner;
      break;
    }
  }
  if (affine && size !== affineSize) {
    throw new GraphError(
      `affine_size is ${affineSize}, but ${formatShape(shape)} has runs of ${size} values`,
    );
  }
  return size;
}
