/** Tiles of convolutions: which suits a layer. */
import { reduceLanes, type Tile } from "../../kernels/webgpu/index.ts";
import type { ConvolutionStep } from "../steps.ts";
import { align } from "./constants.ts";

/** What a tile is chosen by. */
export interface Extents {
  readonly pixels: number;
  /** Groups of four outputs. */
  readonly groups: number;
  /** Of groups of inputs, over all taps, roughly. */
  readonly depth: number;
}

export function extentsOf({ input, output, x, y }: ConvolutionStep): Extents {
  const depth = Math.ceil(input.channels.length / 4) * x.kernel * y.kernel;
  return { pixels: x.output * y.output, groups: output.slotCount / 4, depth };
}

/** Layers for which the same tile is best. */
export function layerKey(step: ConvolutionStep): string {
  const { pixels, groups } = extentsOf(step);
  const { x, y, input, int8 } = step;
  const windows = [y, x].map(({ kernel, stride, dilation }) => `${kernel}/${stride}/${dilation}`);
  return [int8 ? "i8" : "f32", pixels, groups, input.channels.length, ...windows].join(" ");
}

/** Each invocation reads for itself. */
const direct = (pixels: number, groups: number, across = 16, down = 4): Tile => ({
  ...{ pixels, groups, across, down },
  depth: 0,
});
/** A workgroup shares what it reads, four groups of k at a time (see `fitted`). */
const shared = (pixels: number, groups: number, across = 8, down = 8): Tile => ({
  ...{ pixels, groups, across, down },
  depth: 4,
});

/** A workgroup makes one tile. */
const split = (pixels: number, groups: number): Tile => ({
  ...{ pixels, groups, across: 1, down: 1 },
  ...{ depth: 0, split: true },
});

/** All that there are; where the device is asked, all are tried. */
export const candidates: readonly Tile[] = [
  direct(1, 1, 8, 8),
  direct(2, 1),
  direct(2, 2, 8, 8),
  direct(4, 1),
  direct(4, 2),
  direct(8, 2),
  shared(2, 2),
  shared(4, 1),
  shared(4, 2),
  shared(4, 4, 16, 4),
  direct(2, 1, 64, 1),
  shared(1, 3, 32, 2),
  shared(2, 3, 32, 2),
  shared(4, 2, 32, 2),
  split(1, 1),
  split(1, 2),
];

/** A tile for so many groups of k: three at a time where that leaves none over. */
export function fitted(tile: Tile, groups: number): Tile {
  return tile.depth > 0 && groups % 4 > 0 && groups % 3 === 0 ? { ...tile, depth: 3 } : tile;
}

/** The numbers of those that are worth trying: a GPU in software takes long to compile large ones, and pays for every barrier. */
export function worthTrying(isSoftware: boolean): number[] {
  const all = [...candidates.keys()];
  return isSoftware ? all.filter((at) => isLight(candidates[at])) : all;
}

const isLight = ({ depth, split, pixels, groups }: Tile): boolean =>
  depth === 0 && !split && pixels * groups <= 8;

/** Invocations that keep a GPU busy. */
const manyInvocations = 4096;

/**
 * By a count of what is read for each product, and of what is done for nothing: larger tiles read less, smaller ones leave less over and
 * keep more invocations busy; a GPU in software is always busy.
 */
export function chooseTile(layer: Extents, isSoftware: boolean): Tile {
  const cost = isSoftware ? softwareCost : hardwareCost;
  let best = candidates[0];
  for (const tile of candidates) if (cost(tile, layer) < cost(best, layer)) best = tile;
  return best;
}

function softwareCost(tile: Tile, { pixels, groups }: Extents): number {
  if (!isLight(tile)) return Number.POSITIVE_INFINITY;
  const sums = tile.pixels * tile.groups;
  const work = Math.ceil(pixels / tile.pixels) * Math.ceil(groups / tile.groups) * sums;
  // An input and four weights for each group.
  return work * (1 + (1 / tile.groups + 4 / tile.pixels) / 2);
}

/** What adding up at the end comes to, in groups of k. */
const addingUp = 8;

function hardwareCost(tile: Tile, { pixels, groups, depth }: Extents): number {
  const [across, down] = [tile.pixels * tile.across, tile.groups * tile.down];
  const blocks = Math.ceil(pixels / across) * Math.ceil(groups / down);
  const alone = 1 / tile.pixels + 1 / tile.groups;
  const reads = tile.depth > 0 ? 2 * (1 / across + 1 / down) + alone / 4 : alone;
  const invocations = tile.split ? reduceLanes : tile.across * tile.down;
  const idle = Math.max(1, manyInvocations / (blocks * invocations)) ** 0.5;
  const padded = tile.split
    ? (Math.ceil(depth / reduceLanes) + addingUp) * reduceLanes
    : tile.depth > 0
      ? align(depth, fitted(tile, depth).depth)
      : depth;
  return blocks * across * down * (1 + 2 * reads) * idle * (padded / depth);
}
