/** Boxes as heads give them, before overlapping ones are dropped. */

import type { Sieve } from "../base/sieve.ts";
import type { Tensor } from "../ir/tensor.ts";

/** A mask that is yet to be computed: it is where `Σ coefficients[k]·prototypes[k]` is positive, inside of the box. */
export interface CandidateMask {
  readonly coefficients: Float64Array;
  /** `[count, height, width]`, a grid of the input. */
  readonly prototypes: Tensor;
  /** Between cells probabilities are interpolated, as YOLOv5 does, and not the sums of which they are the sigmoid. */
  readonly probabilities?: boolean;
}

/** What a box has besides. */
export interface CandidateParts {
  /** `x y score` per point; the score is NaN where a point has none. */
  readonly points?: Float64Array;
  readonly mask?: CandidateMask;
  /** The box is turned about its middle by this, in radians from the x axis towards the y axis, which points down. */
  readonly angle?: number;
}

/** Boxes for which there is room at first; a list that had more is not kept as large. */
const room = 256;

/** A growing list of scored boxes in pixels of the network's input, one typed array per field. */
export class Candidates {
  length = 0;
  /** `x0 y0 x1 y1` per box. */
  boxes = new Float64Array(4 * room);
  scores = new Float64Array(room);
  classes = new Int32Array(room);
  /** By the number of the box, of boxes that have any. */
  readonly parts: (CandidateParts | undefined)[] = [];

  add(
    x0: number,
    y0: number,
    x1: number,
    y1: number,
    score: number,
    classId: number,
    parts?: CandidateParts,
  ): void {
    const i = this.length++;
    if (i === this.scores.length) this.grow();
    this.boxes[i * 4] = x0;
    this.boxes[i * 4 + 1] = y0;
    this.boxes[i * 4 + 2] = x1;
    this.boxes[i * 4 + 3] = y1;
    this.scores[i] = score;
    this.classes[i] = classId;
    if (parts) this.parts[i] = parts;
  }
  /** Empties the list, for the next picture. */
  clear(): this {
    this.length = 0;
    this.parts.length = 0;
    if (this.scores.length > 16 * room) {
      this.boxes = new Float64Array(4 * room);
      this.scores = new Float64Array(room);
      this.classes = new Int32Array(room);
    }
    return this;
  }
  private grow(): void {
    const larger = <T extends Float64Array | Int32Array>(old: T, bigger: T): T => {
      bigger.set(old);
      return bigger;
    };
    this.boxes = larger(this.boxes, new Float64Array(this.boxes.length * 2));
    this.scores = larger(this.scores, new Float64Array(this.scores.length * 2));
    this.classes = larger(this.classes, new Int32Array(this.classes.length * 2));
  }
}

export interface DecodeOptions {
  /** Boxes with a score at or below it are dropped. */
  confidence: number;
  /** A candidate for every class above `confidence` instead of one for the best class. */
  multiLabel: boolean;
  /** Classes that may occur: `allowed[classId]` is nonzero; all when absent. */
  allowed?: Uint8Array;
  /** Finds what passes among the values; by default the one that needs nothing. */
  sieve?: Sieve;
  /** Size of the input tensor that the head was computed from, in pixels. */
  width: number;
  height: number;
}
