/** Tiles of convolutions: which suits a layer. */
import type { Tile } from "../../kernels/webgpu/index.ts";
import type { ConvolutionStep } from "../steps.ts";

/** What a tile is chosen by. */
export interface Extents {
  readonly pixels: number;
  /** Groups of four outputs. */
  readonly groups: number;
  /** Groups of four k. */
  readonly depth: number;
}

export function extentsOf({ output, x, y, input }: ConvolutionStep): Extents {
  return {
    pixels: x.output * y.output,
    groups: output.slotCount / 4,
    depth: Math.ceil(input.channels.length / 4) * x.kernel * y.kernel,
  };
}

const direct = (pixels: number, groups: number, across = 64, down = 1): Tile => ({
  pixels,
  groups,
  depth: 0,
  across,
  down,
});
const shared = (pixels: number, groups: number, across: number, down: number): Tile => ({
  pixels,
  groups,
  depth: 4,
  across,
  down,
});

/** All that are tried where the device is asked. */
export const candidates: readonly Tile[] = [
  direct(1, 1, 8, 8),
  direct(2, 2, 8, 8),
  direct(4, 1, 16, 4),
  direct(4, 2, 16, 4),
  direct(8, 2, 16, 4),
  shared(2, 2, 8, 8),
  shared(4, 1, 8, 8),
  shared(4, 2, 8, 8),
  shared(4, 4, 16, 4),
];

/** Invocations that keep a device busy. */
const manyInvocations = 4096;

/**
 * By a count of what is read for each product, and of what is done for nothing: larger tiles read less, smaller ones leave less over and
 * keep more invocations busy.
 */
export function chooseTile({ pixels, groups, depth }: Extents, isSoftware: boolean): Tile {
  let best = candidates[0];
  let least = Number.POSITIVE_INFINITY;
  for (const tile of candidates) {
    if (isSoftware && (tile.depth > 0 || tile.pixels * tile.groups > 4)) continue;
    const [across, down] = [tile.pixels * tile.across, tile.groups * tile.down];
    const blocks = Math.ceil(pixels / across) * Math.ceil(groups / down);
    const work = isSoftware
      ? Math.ceil(pixels / tile.pixels) * Math.ceil(groups / tile.groups) * tile.pixels * tile.groups
      : blocks * across * down;
    const reads =
      tile.depth > 0
        ? (1 / across + 1 / down) * 2 + (1 / tile.pixels + 1 / tile.groups) / 4
        : 1 / tile.pixels + 1 / tile.groups;
    const invocations = blocks * tile.across * tile.down;
    const idle = isSoftware ? 1 : Math.max(1, manyInvocations / invocations) ** 0.5;
    const cost = work * (1 + 2 * reads) * idle + (depth < 8 ? 0 : 0);
    if (cost < least) [best, least] = [tile, cost];
  }
  return best;
}
