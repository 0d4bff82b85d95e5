/**
 * Where a box is and where it goes: a Kalman filter of constant velocity over middle x, middle y, width / height and height, with the
 * uncertainties in parts of the height that SORT, DeepSORT and ByteTrack have. As all noise is independent from one of the four
 * to the next, the 8x8 covariance consists of four of 2x2, which are filtered one by one.
 */

/** Middle in pixels, width / height, height in pixels. */
export type Measurement = readonly [x: number, y: number, aspect: number, height: number];

const aspectAt = 2;
const heightAt = 3;
/** Standard deviations in parts of the height. */
const [positionPart, velocityPart] = [1 / 20, 1 / 160];

const squareOf = (i: number, ofAspect: number, part: number): number =>
  (i === aspectAt ? ofAspect : part) ** 2;

export class BoxFilter {
  private readonly mean: Float64Array;
  private readonly velocity = new Float64Array(4);
  /** Of each of the four: variance, covariance with its velocity, variance of the velocity. */
  private readonly variance = new Float64Array(4);
  private readonly shared = new Float64Array(4);
  private readonly velocityVariance = new Float64Array(4);

  constructor(measured: Measurement) {
    this.mean = Float64Array.from(measured);
    const height = measured[heightAt];
    for (let i = 0; i < 4; i++) {
      this.variance[i] = squareOf(i, 1e-2, 2 * positionPart * height);
      this.velocityVariance[i] = squareOf(i, 1e-5, 10 * velocityPart * height);
    }
  }

  /** One step on. Where `keepHeight`, without the change of height: nobody saw whether it went on. */
  predict(keepHeight: boolean): void {
    const { mean, velocity, variance, shared, velocityVariance } = this;
    const height = mean[heightAt];
    if (keepHeight) velocity[heightAt] = 0;
    for (let i = 0; i < 4; i++) {
      mean[i] += velocity[i];
      variance[i] += 2 * shared[i] + velocityVariance[i] + squareOf(i, 1e-2, positionPart * height);
      shared[i] += velocityVariance[i];
      velocityVariance[i] += squareOf(i, 1e-5, velocityPart * height);
    }
  }

  /** Takes what was seen into account. */
  update(measured: Measurement): void {
    const { mean, velocity, variance, shared, velocityVariance } = this;
    const height = mean[heightAt];
    for (let i = 0; i < 4; i++) {
      const total = variance[i] + squareOf(i, 1e-1, positionPart * height);
      const [gain, velocityGain] = [variance[i] / total, shared[i] / total];
      const surprise = measured[i] - mean[i];
      mean[i] += gain * surprise;
      velocity[i] += velocityGain * surprise;
      velocityVariance[i] -= velocityGain * shared[i];
      shared[i] -= gain * shared[i];
      variance[i] -= gain * variance[i];
    }
  }

  /** Middle and extent in pixels. */
  get place(): { x: number; y: number; width: number; height: number } {
    const [x, y, aspect, height] = this.mean;
    return { x, y, width: aspect * height, height };
  }

  /** Of the middle, in pixels a step. */
  get speed(): { x: number; y: number } {
    return { x: this.velocity[0], y: this.velocity[1] };
  }
}
