/** What the page and its worker say to each other: one request, one reply, and progress in between. */
import type { Detection, KnownFacts, Method, Task } from "../src/index.ts";
import type { FamilyName } from "../src/steps.ts";

/** What the convolutions compute in. */
export type Precision = "fp32" | "int8";

/** A detection with the colour of its class, as CSS. */
export type ShownBox = Detection & { color: string };

/** What a visitor says of a model, because its file does not. */
export type ToldFacts = Pick<KnownFacts, "family" | "anchors" | "labels">;

/** What decides whether boxes are right and may be left out of a file. */
export type Doubt = "anchors" | "names" | "family" | "size";

export interface ModelFacts {
  id: number;
  name: string;
  precision: Precision;
  /** Weights are stored as float16 (and computed with as float32). */
  half: boolean;
  /** Default input size in pixels, and what other sizes must be multiples of. */
  width: number;
  height: number;
  stride: number;
  labels: readonly string[];
  /** `w0 h0 w1 h1 …` in pixels for each head, smallest stride first, where boxes have anchors. */
  anchors?: readonly (readonly number[])[];
  task: Task;
  /** Bytes of weights. */
  bytes: number;
  /** Pictures keep their aspect, with a border. */
  letterbox: boolean;
  /** What the files did not say, a sentence each. */
  assumptions: readonly string[];
  /** What of that decides whether the boxes are right. */
  doubts: readonly Doubt[];
}

export interface DetectRequest {
  model: number;
  /** A new frame; without it the last one is looked at again. */
  frame?: ImageBitmap;
  /** Side of the square input in pixels; the longer side of the model's own size stands for that. */
  size: number;
  /** Leave out the border of the letterbox, as far as the stride allows. */
  rectangle: boolean;
  confidence: number;
  iou: number;
  /** The frame comes back with its boxes, so that it can be shown with them. */
  giveBack: boolean;
}

export interface Milliseconds {
  /** Reading the pixels and placing them in the input. */
  pre: number;
  inference: number;
  /** Decoding and suppression. */
  post: number;
}

export interface DetectReply {
  boxes: ShownBox[];
  /** Of the frame, in pixels; boxes are in these. */
  width: number;
  height: number;
  ms: Milliseconds;
  /** Only the boxes were chosen anew, from outputs that were there already. */
  reused: boolean;
  /** Where it was asked for. */
  frame?: ImageBitmap;
}

export interface ConvertRequest {
  model: readonly File[];
  calibration: readonly File[];
  /** Side of the input in pixels; default: the model's own. */
  size?: number;
  /** Whose pre-processing it has; default: as its file says. */
  family?: FamilyName;
  method: Method;
  threads: number;
  machine: string;
}

export interface ConvertProgress {
  /** What is being done; a stage has one title. */
  title: string;
  done: number;
  total?: number;
}

export interface ResultVariant {
  name: string;
  bytes: number;
  milliseconds: number;
  /** Against fp32, 0..1. */
  fidelity?: number;
}

export interface ConvertReply {
  name: string;
  zip: Blob;
  /** Every file of the zip by path. */
  files: { path: string; blob: Blob }[];
  /** The report page; missing when there were no pictures, so nothing was quantized. */
  report?: string;
  variants: ResultVariant[];
  /** What accuracy was measured on, a sentence. */
  measuredOn?: string;
  /** Size of the input in pixels. */
  width: number;
  height: number;
  skipped: string[];
  assumptions: readonly string[];
}

/** How much of a model's files has come, in bytes. */
export interface LoadProgress {
  received: number;
  total?: number;
}

/** Instructions that the engine found here, in words. */
export interface Machine {
  simd: string;
}

export interface Calls {
  start: { request: { threads: number }; reply: Machine; progress: never };
  load: {
    request: { id: number; source: readonly File[] | string; told: ToldFacts };
    reply: ModelFacts;
    progress: LoadProgress;
  };
  unload: { request: { id: number }; reply: undefined; progress: never };
  detect: { request: DetectRequest; reply: DetectReply; progress: never };
  /** The last frame with its boxes. */
  picture: { request: { type: string }; reply: Blob; progress: never };
  convert: { request: ConvertRequest; reply: ConvertReply; progress: ConvertProgress };
}
export type Kind = keyof Calls;

export interface RequestMessage<K extends Kind = Kind> {
  call: number;
  kind: K;
  request: Calls[K]["request"];
}

export type ReplyMessage =
  | { call: number; reply: unknown }
  | { call: number; progress: unknown }
  | { call: number; error: { name: string; message: string } };
