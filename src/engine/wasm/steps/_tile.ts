/** Tiles of accumulators: which part of the largest suits a layer. */

import type { PlanTarget } from "../target.ts";

export interface Tile {
  readonly pixels: number;
  readonly vectors: number;
}

/** For rows of so many pixels, the last tile being smaller; `compact`: with code for none that is smaller, if it costs little. */
export function chooseTile(
  wanted: Tile,
  width: number,
  outputVectors: number,
  { compact, wide }: Pick<PlanTarget, "compact" | "wide">,
): Tile {
  // A single pixel has only channels to work on in parallel.
  if (width === 1) return { pixels: 1, vectors: Math.min(8, outputVectors) };
  const vectors = Math.min(wanted.vectors, outputVectors);
  if (compact) {
    for (let pixels = wanted.pixels; pixels * 3 > wanted.pixels; pixels--) {
      if (width % pixels === 0) return { pixels, vectors };
    }
  }
  // Long rows: a rest costs little.
  if (width >= 64) return { pixels: wanted.pixels, vectors };
  const cost = (pixels: number): number =>
    Math.floor(width / pixels) * cycles(pixels, vectors, wide) + cycles(width % pixels, vectors, wide);
  return { pixels: cheapest(Math.min(wanted.pixels, width), cost), vectors };
}

/** For `count` pixels that are rounded up to whole tiles. */
export function wholeTile(wanted: Tile, count: number, outputVectors: number, wide: boolean): Tile {
  const vectors = Math.min(wanted.vectors, outputVectors);
  return {
    pixels: cheapest(wanted.pixels, (pixels) => Math.ceil(count / pixels) * cycles(pixels, vectors, wide)),
    vectors,
  };
}

/** Of a unit of k of a tile: two products a cycle, but none sooner than the one before in its sum is done; and the loop. */
function cycles(pixels: number, vectors: number, wide: boolean): number {
  const products = pixels * (wide ? Math.ceil(vectors / 2) : vectors);
  return pixels > 0 ? Math.max(products / 2, 4) + 1 : 0;
}

/** The number of pixels up to `most` that costs least; the larger of equals. */
function cheapest(most: number, cost: (pixels: number) => number): number {
  let best = 1;
  for (let pixels = 2; pixels <= most; pixels++) if (cost(pixels) <= cost(best)) best = pixels;
  return best;
}
