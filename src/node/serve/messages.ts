/** What the server and its worker threads say to each other. */
import type { OpenOptions, Task } from "../../index.ts";

/** A model with everything that was read of it, in memory that all threads share. */
export interface SharedModel {
  /** What requests call it. */
  readonly name: string;
  /** The file to begin with. */
  readonly main: string;
  readonly files: readonly {
    readonly name: string;
    /** With its path, for messages. */
    readonly where: string;
    readonly bytes: Uint8Array<SharedArrayBuffer>;
  }[];
  /** Everything that the folder lists. */
  readonly names: readonly string[];
  readonly options: OpenOptions;
}

/** What a thread is started with. */
export interface ThreadData {
  readonly models: readonly SharedModel[];
}

/** What is known of a model once it runs. */
export interface ModelFacts {
  readonly name: string;
  /** Nothing for a model that is no detector. */
  readonly task: Task | undefined;
  readonly labels: readonly string[];
  /** Shapes are the model's own, `[c, h, w]`. */
  readonly input: { readonly name: string; readonly shape: readonly number[] };
  readonly outputs: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly assumptions: readonly string[];
  /** Why it cannot be asked for detections. */
  readonly whyNoHeads: string | undefined;
}

/** What a request may cost. */
export interface Limits {
  /** Pixels of one picture. */
  readonly pixels: number;
  /** Pictures, or inputs in a batch, of one request. */
  readonly pictures: number;
  /** Bytes of a body, packed or not. */
  readonly bytes: number;
}

interface Question {
  /** The model's name. */
  readonly model: string;
  /** When the answer is of no use any more, in milliseconds as `Date.now()` counts them. */
  readonly deadline: number;
  /** When it is too late to begin, likewise. */
  readonly latest: number;
  readonly limits: Limits;
}

/** A picture on its way. */
export interface SentPicture {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A body as it came, or pictures that the server fetched. */
export type SentBody =
  | { readonly bytes: Uint8Array<ArrayBuffer>; readonly type: string; readonly encoding: string }
  | { readonly pictures: readonly SentPicture[] };

export interface DetectQuestion extends Question {
  readonly kind: "detect";
  readonly body: SentBody;
  readonly options: {
    readonly confidence?: number;
    readonly iou?: number;
    readonly maxDetections?: number;
    readonly classes?: readonly (string | number)[];
    readonly agnostic?: boolean;
  };
  /** The format of the drawn picture, where that is what is wanted. */
  readonly draw: "jpeg" | "png" | "webp" | undefined;
}

export interface InferQuestion extends Question {
  readonly kind: "infer";
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly encoding: string;
  /** Bytes of the JSON before binary tensors; nothing where there is only JSON. */
  readonly headerLength: number | undefined;
}

export type Asked = DetectQuestion | InferQuestion | { readonly kind: "describe" };

/** Milliseconds. */
export interface Times {
  readonly decode: number;
  readonly run: number;
  readonly encode: number;
}

/** What goes back to the client as it is. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The body, in pieces: putting them together is not the thread's work. */
  readonly pieces: readonly Uint8Array<ArrayBuffer>[];
  readonly times: Times;
  /** Pictures, or inputs of a batch, that were looked at. */
  readonly pictures: number;
  /** What the access log says of a request that was refused. */
  readonly error?: string;
}

export type Answer = Reply | { readonly facts: readonly ModelFacts[] };
