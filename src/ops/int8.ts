/**
 * INT8 as ncnn defines it: symmetric, no zero point, `q = clamp(round_half_away(x·scale), −127, 127)`.
 * Source: ncnn src/layer/quantize.cpp, convolution.cpp; edge cases as its x86 code has them.
 */

const fround = Math.fround;

/** NaN and values that overflow int32 give −127 as on x86. */
export function quantize(x: number, scale: number): number {
  const scaled = fround(x * scale);
  if (!(scaled < 2147483648)) return -127;
  const rounded = Math.trunc(fround(scaled + (scaled < 0 ? -0.5 : 0.5)));
  return Math.min(Math.max(rounded, -127), 127);
}

export function quantizeArray(x: Float32Array, scale: number): Int8Array {
  const out = new Int8Array(x.length);
  for (let i = 0; i < x.length; i++) out[i] = quantize(x[i], scale);
  return out;
}

const exactReciprocal = (x: number): number => 1 / x;

/**
 * Factor from int32 accumulator to float: 1/(bottom·weight), 0 for a channel without weights.
 * Native x86 takes the CPU's approximate reciprocal in depthwise convolutions of 8·n channels (up to 3e-4 off, different
 * from vendor to vendor). That is not part of the definition; tests that compare with such results pass it in.
 */
export function dequantizeScale(
  bottomScale: number,
  weightScale: number,
  reciprocal = exactReciprocal,
): number {
  return weightScale === 0 ? 0 : fround(reciprocal(fround(bottomScale * weightScale)));
}

/** `acc·scale + bias` with one rounding (fused multiply-add): native x86's Convolution and grouped convolution. */
export function dequantize(acc: number, scale: number, bias: number): number {
  return fround(fround(acc) * scale + bias);
}

/** `acc·scale + bias` with the product rounded first: native x86's InnerProduct and true depthwise convolution. */
export function dequantizeInSteps(acc: number, scale: number, bias: number): number {
  return fround(fround(fround(acc) * scale) + bias);
}
