/** What a report says: plain data, so that a page can be made of it anywhere, and again later. */

/** Encoded picture. */
export interface ReportImage {
  readonly type: "image/jpeg" | "image/png" | "image/webp";
  readonly bytes: Uint8Array;
}

/** COCO's sizes of objects: small below 32² pixels, large from 96² on. */
export type ObjectSize = "small" | "medium" | "large";

/** What the model is for: boxes, masks, key points, turned boxes, or classes of pictures. */
export type ReportTask = "detect" | "segment" | "pose" | "obb" | "classify";

/** One form of the model: fp32, fp16 or int8. Fractions are 0..1. */
export interface ReportVariant {
  readonly name: string;
  readonly coco?: {
    readonly AP: number;
    readonly AP50: number;
    readonly AP75: number;
    readonly APs: number;
    readonly APm: number;
    readonly APl: number;
    readonly AR: number;
  };
  /** AP50-95 of the boxes, where `coco` is of masks or key points. */
  readonly boxes?: number;
  /** Of turned boxes, by DOTA's task 1. */
  readonly dota?: number;
  /** Share of the pictures whose class is the first, or among the first five. */
  readonly top?: { readonly top1: number; readonly top5: number };
  /** Against the first variant; missing for it. */
  readonly fidelity?: number;
  /** Mean relative score change of objects that the first variant finds; null where there are none. */
  readonly scoreChange?: Readonly<
    Record<ObjectSize | "all", { change: number | null; matched: number; missing: number }>
  >;
  /** Where the difference in AP (or top-1) to the first variant lies for 95 of 100 draws of pictures, fractions. */
  readonly apChange?: { readonly low: number; readonly high: number };
  /** Of one inference, median. */
  readonly milliseconds: number;
  /** Bytes of `.param` and `.bin`. */
  readonly bytes: number;
}

/** One layer that could be int8, in graph order. */
export interface ReportLayer {
  readonly name: string;
  readonly type: string;
  /** Why it stays float; missing for int8 layers. */
  readonly keptFloat?: string;
  /** Signal to difference at the layer's output in dB, all layers before it int8 too; Infinity if equal, missing if not measured. */
  readonly sqnr?: number;
  readonly cosine?: number;
  /** Input: greatest magnitude, the magnitude that becomes 127, and the share of values beyond it (0..1). */
  readonly absmax: number;
  readonly threshold: number;
  readonly clipped: number;
  /** Counts of the input's magnitudes in equal bins over 0..absmax. */
  readonly histogram: readonly number[];
}

/** One picture with the boxes of the float and of the int8 model. */
export interface ReportExample {
  readonly name: string;
  readonly float: ReportImage;
  readonly int8: ReportImage;
  readonly floatCount: number;
  readonly int8Count: number;
}

/** How much a part of the outputs is like the float network's: in dB, and as a cosine. */
export interface ReportLikeness {
  readonly name: string;
  readonly sqnr: number;
  readonly cosine: number;
}

/** Outputs of an int8 network beside those of the float one. */
export interface ReportFigures {
  /** Of the heads: box, objectness, class. */
  readonly parts: readonly ReportLikeness[];
  /** Outputs that belong to no head. */
  readonly outputs: readonly ReportLikeness[];
  /** Agreement of detections and share of the objects found again, 0..1. */
  readonly fidelity?: number;
  readonly found?: number;
}

/** What was measured of int8 before it was written, on pictures of calibration. */
export interface ReportGuard {
  readonly images: number;
  readonly objects?: number;
  /** Least figures with which int8 is written. */
  readonly floor: { readonly sqnr: number; readonly cosine: number; readonly fidelity: number };
  /** Without the layers that stay float for it, and with them. */
  readonly before: ReportFigures;
  readonly after: ReportFigures;
  /** Part of the multiply-accumulates that stays float, 0..1. */
  readonly floatWork: number;
}

/** Everything that the report page shows. */
export interface ReportData {
  readonly name: string;
  /** When it was made, in words for a reader. */
  readonly date: string;
  readonly tool: string;
  readonly size: { readonly width: number; readonly height: number };
  /** What accuracy was measured on, a sentence. */
  readonly measuredOn: string;
  readonly task: ReportTask;
  readonly images: number;
  /** Labelled objects; missing without ground truth. */
  readonly objects?: number;
  readonly calibration: { readonly method: string; readonly images: number };
  /** What times were measured on: machine, runtime, threads. */
  readonly machine: string;
  /** The first is what the others are compared with, the last the int8 one. */
  readonly variants: readonly ReportVariant[];
  /** Scores of the objects that the first and the last variant both find. */
  readonly pairs: readonly {
    readonly size: ObjectSize;
    readonly reference: number;
    readonly candidate: number;
  }[];
  readonly guard: ReportGuard;
  readonly layers: readonly ReportLayer[];
  readonly examples: readonly ReportExample[];
  /** Facts of the models' origin, in order. */
  readonly provenance: readonly (readonly [name: string, value: string])[];
  /** What the model's file did not say and was assumed. */
  readonly assumptions: readonly string[];
  /** Anything else that a reader must know, as pictures that could not be read. */
  readonly notes: readonly string[];
}
