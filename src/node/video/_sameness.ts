/** Whether a frame is the one before, pixel by pixel, for little where it is not. */

/** Bytes from one that is looked at first to the next: no divisor of usual rows, so that all columns have their turn. */
const stride = 1021;

/**
 * Tells each frame in turn. Where repeats are `expected` every frame is kept for comparison; else only after two that seem the same, so that the
 * first repeat is not noticed, but moving pictures cost no copy.
 */
export function sameness(expected: boolean): (pixels: Uint8Array) => boolean {
  let sample: Buffer | undefined;
  let kept: Buffer | undefined;
  let isKept = false;
  return (pixels) => {
    const now = Buffer.alloc(Math.ceil(pixels.length / stride));
    for (let i = 0; i < now.length; i++) now[i] = pixels[i * stride];
    const seems = sample?.equals(now) ?? false;
    sample = now;
    const same = seems && isKept && (kept?.equals(pixels) ?? false);
    if (same) return true;
    isKept = expected || seems;
    if (isKept) {
      kept ??= Buffer.alloc(pixels.length);
      kept.set(pixels);
    }
    return false;
  };
}
