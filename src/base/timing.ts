/** Timing of code that gets faster as it runs. */

/** Milliseconds after which the optimised code of a small network was there, with 256-bit vectors, on a processor of two cores. */
const compiling = 1000;

/**
 * Runs until the times settle, since engines first run quickly made code and swap in better code when that is ready:
 * until five rounds are no faster than the five before, at least `least` rounds and as long as a compiler may take that works
 * beside them, and no longer than two seconds (but once). Returns the number of rounds.
 */
export async function warmUp(run: () => Promise<unknown>, least = 10): Promise<number> {
  const times: number[] = [];
  const start = performance.now();
  for (;;) {
    const before = performance.now();
    await run();
    times.push(performance.now() - before);
    // Gives the background compiler's result a chance to be taken over.
    await new Promise((resolve) => setTimeout(resolve, 0));
    const passed = performance.now() - start;
    if (passed > 2000) return times.length;
    if (passed < compiling) continue;
    const recent = Math.min(...times.slice(-5));
    const earlier = Math.min(...times.slice(0, -5));
    if (times.length >= least && recent > earlier * 0.97) return times.length;
  }
}
