/**
 * Where in a picture the float network sees something. A detector's evidence is a few large values at objects, in blobs that are
 * background nearly everywhere: counted like all others they would be clipped and rounded as if they did not matter.
 */
import type { Head } from "../heads/manifest.ts";
import type { Shape, Tensor } from "../ir/tensor.ts";

/** A detector's heads, where what is said of its outputs follows from them: another process can say the same. */
export interface OfHeads {
  readonly heads: readonly Head[];
  readonly labels: readonly string[];
}

/** How a network's outputs tell where it sees something. */
export interface Focus {
  readonly of?: OfHeads;
  /** Outputs that it is told by. */
  readonly blobs: readonly string[];
  /** Boxes `x0 y0 x1 y1 …` as parts of the picture, 0..1, of everything that the outputs for a picture of this size tell of. */
  regions(outputs: Record<string, Tensor>, size: { width: number; height: number }): ArrayLike<number>;
}

/** Cells along each side of a map. */
const side = 64;
/** Most that a place with an object counts, background counting 1. */
const mostWeight = 64;

/** How much each place of a picture counts: places with objects as much as all others together. */
export class FocusMap {
  private readonly cells = new Uint8Array(side * side);
  /** No place counts more than any other. */
  readonly isEmpty: boolean;

  constructor(regions: ArrayLike<number>) {
    this.isEmpty = regions.length === 0;
    const cell = (part: number): number => Math.min(Math.max(Math.floor(part * side), 0), side - 1);
    for (let i = 0; i < regions.length; i += 4) {
      // Evidence lies in the middle of a box.
      const [x0, y0, x1, y1] = [regions[i], regions[i + 1], regions[i + 2], regions[i + 3]];
      const [marginX, marginY] = [(x1 - x0) / 4, (y1 - y0) / 4];
      for (let y = cell(y0 + marginY); y <= cell(y1 - marginY); y++) {
        this.cells.fill(1, y * side + cell(x0 + marginX), y * side + cell(x1 - marginX) + 1);
      }
    }
  }

  /** Places of a plane, row by row, that objects are at. */
  places(height: number, width: number): number[] {
    const places: number[] = [];
    for (let y = 0; !this.isEmpty && y < height; y++) {
      const row = Math.floor(((y + 0.5) * side) / height) * side;
      for (let x = 0; x < width; x++) {
        if (this.cells[row + Math.floor(((x + 0.5) * side) / width)]) places.push(y * width + x);
      }
    }
    return places;
  }

  /** Weights of the places of a blob `[channels, height, width]`; undefined where all count the same. */
  weights(shape: Shape): Uint8Array | undefined {
    if (shape.length !== 3 || this.isEmpty) return undefined;
    const [, height, width] = shape;
    const places = this.places(height, width);
    const others = height * width - places.length;
    const weight = Math.min(Math.max(Math.round(others / places.length), 1), mostWeight);
    if (places.length === 0 || weight === 1) return undefined;
    const weights = new Uint8Array(height * width).fill(1);
    for (const place of places) weights[place] = weight;
    return weights;
  }
}

export const noFocus = new FocusMap([]);
