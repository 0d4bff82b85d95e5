/** The exponential of both generators. */

/** 2ᶠ = 1 + Σ cₖfᵏ for |f| ≤ ½ from the highest power down, best for its relative error (10⁻⁷ in exact arithmetic). */
export const exp2Coefficients = [
  0.001326472731307149, 0.009671512991189957, 0.05550733581185341, 0.24022242426872253, 0.6931470036506653, 1,
];
/** Adding it to a float below 2²² rounds that to an integer, which then lies in the lowest bits. */
export const rounder = 1.5 * 2 ** 23;
