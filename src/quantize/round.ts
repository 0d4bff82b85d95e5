/**
 * Weight rounding that looks at the inputs: each weight is rounded in turn, and its error is made up for by those that
 * are not rounded yet, so that the *output* of the layer changes least. Then the bias takes up what is left in the mean.
 * After Frantar et al., "GPTQ" (2022), and Nagel et al., "Data-free quantization …" (2019); no training.
 */
import { quantize } from "../ops/int8.ts";
import type { PatchMoments } from "./moments.ts";

/** Share of the mean variance added to every variance, for inputs that hardly vary. */
const damping = 0.01;

export interface RoundedLayer {
  /** Laid out as the float weights. */
  weights: Int8Array;
  /** One per output channel. */
  bias: Float32Array;
}

/** Integer weights and bias of a layer for the given weight scales. */
export function roundLayer(moments: PatchMoments, scales: Float32Array): RoundedLayer {
  const { layer, groups, length: n } = moments;
  const perGroup = layer.outputChannels / groups;
  const weights = new Int8Array(layer.weights.length);
  const bias = layer.bias ? layer.bias.slice() : new Float32Array(layer.outputChannels);
  for (let g = 0; g < groups; g++) {
    const factor = inverseFactor(covariance(moments, g), n);
    for (let k = g * perGroup; k < (g + 1) * perGroup; k++) {
      const scale = scales[layer.scaleCount === layer.outputChannels ? k : g];
      const row = layer.weights.subarray(k * n, (k + 1) * n);
      const rounded = weights.subarray(k * n, (k + 1) * n);
      roundRow(row, scale, factor, rounded);
      bias[k] += meanError(moments, g, row, rounded, scale);
    }
  }
  return { weights, bias };
}

/** Covariance of the rounded patches of a group, damped; `[n, n]`. */
function covariance(
  { count, length: n, roundedSum, products, scale }: PatchMoments,
  group: number,
): Float64Array {
  const out = new Float64Array(n * n);
  const at = group * n;
  let trace = 0;
  for (let i = 0; i < n; i++) {
    for (let j = i; j < n; j++) {
      const value =
        (products[(at + i) * n + j] / count - (roundedSum[at + i] * roundedSum[at + j]) / count ** 2) /
        scale ** 2;
      out[i * n + j] = value;
      out[j * n + i] = value;
    }
    trace += out[i * n + i];
  }
  const added = (damping * trace) / n || 1;
  for (let i = 0; i < n; i++) out[i * n + i] += added;
  return out;
}

/**
 * The upper factor U of inverse(A) = Uᵀ·U, row i of which tells how later weights make up for an error in weight i.
 * Found from A = L·Lᵀ taken from the last row up, so that no inverse is ever formed: with A = V·Vᵀ, V upper, U = V⁻¹.
 */
export function inverseFactor(a: Float64Array, n: number): Float64Array {
  const v = new Float64Array(n * n);
  for (let j = n - 1; j >= 0; j--) {
    let d = a[j * n + j];
    for (let k = j + 1; k < n; k++) d -= v[j * n + k] ** 2;
    const pivot = Math.sqrt(Math.max(d, 1e-30));
    v[j * n + j] = pivot;
    for (let i = 0; i < j; i++) {
      let sum = a[i * n + j];
      for (let k = j + 1; k < n; k++) sum -= v[i * n + k] * v[j * n + k];
      v[i * n + j] = sum / pivot;
    }
  }
  const u = new Float64Array(n * n);
  for (let i = n - 1; i >= 0; i--) {
    u[i * n + i] = 1 / v[i * n + i];
    for (let k = i + 1; k < n; k++) {
      const factor = v[i * n + k] / v[i * n + i];
      for (let j = k; j < n; j++) u[i * n + j] -= factor * u[k * n + j];
    }
  }
  return u;
}

function roundRow(row: Float32Array, scale: number, u: Float64Array, out: Int8Array): void {
  const n = row.length;
  const w = Float64Array.from(row);
  for (let i = 0; i < n; i++) {
    out[i] = quantize(w[i], scale);
    const error = (w[i] - dequantized(out[i], scale)) / u[i * n + i];
    if (error === 0) continue;
    for (let j = i; j < n; j++) w[j] -= error * u[i * n + j];
  }
}

const dequantized = (q: number, scale: number): number =>
  Number.isFinite(scale) && scale > 0 ? q / scale : 0;

/** Mean of the layer's float output less that of its int8 output. */
function meanError(
  { count, length: n, sums, roundedSum, scale: inputScale }: PatchMoments,
  group: number,
  row: Float32Array,
  rounded: Int8Array,
  scale: number,
): number {
  let error = 0;
  for (let i = 0; i < n; i++) {
    error +=
      row[i] * sums.value(group * n + i) -
      (dequantized(rounded[i], scale) * roundedSum[group * n + i]) / inputScale;
  }
  return error / count;
}
