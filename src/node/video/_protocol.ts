/** What the thread of a video and the one that computes tell each other. Pixels never travel: they lie in memory that both see. */
import type { Detection, DrawnShape, DrawOptions, MotionOptions } from "../../index.ts";

/** What the thread is started with. */
export interface Job {
  readonly ffmpeg: string;
  /** Options of ffmpeg up to the input, and filters for the output. */
  readonly decode: readonly string[];
  readonly live: boolean;
  /** Seconds without a byte after which a live source is taken to be gone. */
  readonly patience: number;
  /** Whether frames are repeated to fill gaps. */
  readonly uneven: boolean;
  readonly motion?: MotionOptions;
  readonly encode?: Encode;
}

export interface Encode {
  /** Options of the encoder, its file at the end. */
  readonly options: readonly string[];
  /** Frames a second of the source, `25` or `30000/1001`, where it is known before. */
  readonly rate?: string;
  /** Only every n-th of them comes. */
  readonly every: number;
}

/** From the thread. */
export type Said =
  | {
      readonly is: "opened";
      readonly width: number;
      readonly height: number;
      readonly rate: number;
      readonly slots: readonly SharedArrayBuffer[];
    }
  | {
      readonly is: "frame";
      readonly slot: number;
      readonly index: number;
      readonly time: number;
      readonly same: boolean;
      readonly moved: boolean;
    }
  | ({ readonly is: "ended" } & Ended)
  | { readonly is: "child"; readonly pid: number };

export interface Ended {
  /** Frames that were decoded, and those of them that a live source sent too fast. */
  readonly frames: number;
  readonly dropped: number;
  /** What ffmpeg complained of while decoding, the last of it. */
  readonly complaint?: string;
  /** Whether it ended of itself because of that. */
  readonly failed: boolean;
  /** Whether nothing came for too long. */
  readonly stalled: boolean;
  readonly encoded: number;
  /** Why nothing more could be encoded. */
  readonly encodeError?: string;
}

/** To the thread. */
export type Told =
  /** One more frame can be taken. */
  | { readonly do: "next" }
  /** A frame is done with: to be drawn into and encoded, or only forgotten. */
  | { readonly do: "release"; readonly slot: number; readonly drawing?: Drawing }
  /** Read no more; what is there is encoded. */
  | { readonly do: "stop" };

/** What is drawn into a frame. */
export interface Drawing {
  readonly detections: readonly Detection[];
  /** Of each of them. */
  readonly texts: readonly string[];
  readonly shapes: readonly DrawnShape[];
}

/** How it is drawn. */
export function drawOptions({ detections, texts, shapes }: Drawing): DrawOptions {
  const text = new Map(detections.map((each, i) => [each, texts[i]]));
  return { text: (each) => text.get(each) ?? "", shapes, shades: false };
}
