/** Heads with anchors as recognition finds them, level by level (`yolov5.ts`). */
import { UsageError } from "../base/errors.ts";
import type { SharedPrototypes } from "./_masks.ts";
import type { RecognitionFacts } from "./recognition.ts";
import type { HeadSource, Piece } from "./view.ts";

/**
 * Blob `[anchors, gridHeight·gridWidth, 5 + labels]` of logits `x y w h objectness class…`;
 * `center = (s·σ − (s − 1)/2 + cell)·stride` with `s = centerScale`, `size = (2σ)²·anchor` or `exp(t)·anchor`.
 */
export interface Yolov5Head {
  kind: "yolov5";
  blob: string;
  /** Input pixels per grid cell. */
  stride: number;
  /** `w0 h0 w1 h1 …` in input pixels. */
  anchors: number[];
  /** How far centres go beyond their cell: 2 (the default) in YOLOv5, 1 in YOLOv3, between them in YOLOv4. */
  centerScale?: number;
  /** `square`: (2σ)²·anchor (the default); `exp`: exp(t)·anchor, in YOLOv3 and v4. */
  size?: "square" | "exp";
  /** Coefficients stand behind the classes of each box. */
  mask?: SharedPrototypes;
}

/** Values behind a box before its classes. */
export const boxValues = 5;
export interface Level {
  readonly source: HeadSource;
  readonly anchorCount: number;
  readonly classes: number;
  /** Absent where the outputs are logits, which do not tell. */
  readonly formula?: Partial<Formula>;
}

export type Formula = Pick<Yolov5Head, "anchors" | "centerScale" | "size"> & { readonly unit: string };

export type Result<T> = T | { readonly near: string };

/** Columns of a piece that are channels of one convolution, in order, or their sigmoids. */
export interface Logits {
  readonly source: HeadSource;
  readonly from: number;
  readonly count: number;
  readonly origin: "raw" | "sigmoid";
  readonly output: string;
}

export function logitsOf({ columns, output }: Piece): Logits | undefined {
  const [first] = columns;
  if (first.origin !== "raw" && first.origin !== "sigmoid") return undefined;
  const { origin, source, channel: from } = first;
  if (source.activation === "other") return undefined;
  const isRun = columns.every(
    (column, i) => column.origin === origin && column.source === source && column.channel === from + i,
  );
  return isRun ? { source, from, count: columns.length, origin, output } : undefined;
}

export const fits = (levels: readonly Level[], anchors: readonly (readonly number[])[]): boolean =>
  anchors.length === levels.length && anchors.every((list, i) => list.length === 2 * levels[i].anchorCount);

/** The heads, with `anchors` if they are given. Throws UsageError where these do not fit. */
export function headsOf(
  found: readonly Level[],
  anchors: RecognitionFacts["anchors"],
): { heads: Yolov5Head[]; classes: number; groups: Map<string, number> } {
  const levels = [...found].sort((a, b) => a.source.stride - b.source.stride);
  if (anchors && !fits(levels, anchors)) {
    const expected = levels
      .map(({ anchorCount, source }) => `${anchorCount * 2} numbers for stride ${source.stride}`)
      .join(", ");
    const given = anchors.map((list) => list.length).join(", ");
    throw new UsageError(`anchors: found lists of ${given} numbers, expected ${expected}`);
  }
  const heads = levels.map(({ source, formula }, i): Yolov5Head => {
    const { unit: _, ...own } = formula ?? { unit: "" };
    return {
      kind: "yolov5",
      blob: source.blob,
      stride: source.stride,
      anchors: [],
      ...own,
      ...(anchors && { anchors: [...anchors[i]] }),
    };
  });
  const groups = new Map(levels.map(({ source, anchorCount }) => [source.blob, anchorCount]));
  return { heads, classes: levels[0].classes, groups };
}
