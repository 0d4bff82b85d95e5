/** Error function, to double rounding: a Taylor series near zero, a continued fraction in the tails. */

/** 2/√π · e^(-x²) · x · Σ (2x²)ⁿ / (1·3·5·…·(2n+1)): no cancellation. */
function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** e^(-x²)/√π · 1/(x + ½/(x + 1/(x + 1½/(x + …)))), for x ≥ 2. */
function erfcFraction(x: number): number {
  let tail = x;
  for (let n = 60; n >= 1; n--) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / tail;
}

export function erf(x: number): number {
  const size = Math.abs(x);
  return size < 2 ? erfSeries(x) : Math.sign(x) * (1 - erfcFraction(size));
}

/** 1 - erf(x), accurate where it is small. */
export function erfc(x: number): number {
  return x < 2 ? 1 - erf(x) : erfcFraction(x);
}
