/** What the page and its worker say to each other: one request, one reply, and progress in between. */
import type {
  Backend,
  BackendChoice,
  Counting,
  CountTotals,
  Detection,
  DrawnShape,
  KnownFacts,
  Manifest,
  Method,
  Task,
} from "../src/index.ts";
import type { NetworkTiming } from "../src/official.ts";
import type { Profile } from "../src/steps.ts";

/** What the convolutions compute in. */
export type Precision = "fp32" | "int8";

/** A detection with its colour, as CSS, and the number of what is followed. */
export type ShownBox = Detection & { color: string; id?: number };

/** Which boxes have a label: those that find a free place, all, or none. */
export type Labels = "free" | "all" | "none";

/** What is drawn into a picture that is kept. */
export interface Drawn {
  boxes: readonly ShownBox[];
  labels: Labels;
  /** Lines and regions, in pixels of the picture. */
  shapes?: readonly DrawnShape[];
}

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
  /** Another backend computes than the one that was asked for. */
  isFallback: boolean;
  /** What the files did not say, a sentence each. */
  assumptions: readonly string[];
  /** What of that decides whether the boxes are right. */
  doubts: readonly Doubt[];
}

/** How pictures are searched. */
export interface SearchSettings {
  model: number;
  /** Side of the square input in pixels; the longer side of the model's own size stands for that. */
  size: number;
  /** Leave out the border of the letterbox, as far as the stride allows. */
  rectangle: boolean;
  confidence: number;
  iou: number;
}

export interface DetectRequest extends SearchSettings {
  /** A new frame; without it the last one is looked at again. */
  frame?: ImageBitmap;
  /** Things keep a number from frame to frame, and what crosses lines is counted. */
  follow?: FollowRequest;
  /** The frame comes back with its boxes, so that it can be shown with them. */
  giveBack: boolean;
}

export interface FollowRequest {
  /** Another number forgets what was followed and counted. */
  session: number;
  /** Of the frame in its video or since the camera was started, in seconds. */
  time: number;
  counting?: Counting;
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
  /** What ran the network. */
  backend: Backend;
  /** Only the boxes were chosen anew, from outputs that were there already. */
  reused: boolean;
  /** Where lines or regions are given. */
  totals?: CountTotals[];
  /** Where it was asked for. */
  frame?: ImageBitmap;
}

/** A picture of many. */
export interface SearchedPicture {
  boxes: ShownBox[];
  width: number;
  height: number;
  /** With its boxes, small. */
  thumb: ImageBitmap;
}

/** A picture that goes into a zip with its boxes. */
export interface ZippedPicture {
  name: string;
  file: File;
  boxes: readonly ShownBox[];
  width: number;
  height: number;
}

/** One layer of a model, in words and numbers. */
export interface CardLayer {
  name: string;
  type: string;
  /** Of its first output: `16x80x80`. */
  shape: string;
  parameters: number;
  macs: number;
}

/** What is known of a model. */
export interface ModelCard {
  manifest: Manifest;
  heads: string[];
  parameters: number;
  macs?: number;
  weightBytes: number;
  /** Of the running model. */
  memoryBytes: number;
  backend: Backend;
  layers: CardLayer[];
}

export interface ConvertRequest {
  model: readonly File[];
  calibration: readonly File[];
  /** Side of the input in pixels; default: the model's own. */
  size?: number;
  told: ToldFacts;
  method: Method;
  threads: number;
  machine: string;
}

export interface ConvertProgress {
  /** What is being done; a stage has one title. */
  title: string;
  done: number;
  total?: number;
  /** How much of everything is done, 0..1, as far as it can be told. */
  overall: number;
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

/** How models are run. */
export interface StartRequest {
  threads: number;
  backend?: BackendChoice;
  /** What the machine can do is told when there is time for it. */
  waits?: boolean;
}

/** Instructions that the engine found here, in words. */
export interface Machine {
  simd: string;
  /** What can compute here, the default first. */
  backends: readonly Backend[];
}

export interface Calls {
  start: { request: StartRequest; reply: undefined; progress: never };
  /** Others do not wait for it. */
  machine: { request: undefined; reply: Machine; progress: never };
  load: {
    request: { id: number; source: readonly File[] | string; told: ToldFacts };
    reply: ModelFacts;
    progress: LoadProgress;
  };
  unload: { request: { id: number }; reply: undefined; progress: never };
  detect: { request: DetectRequest; reply: DetectReply; progress: never };
  /** The last frame with boxes. */
  picture: { request: Drawn & { type: string }; reply: Blob; progress: never };
  search: {
    request: SearchSettings & { file: File; labels: Labels; thumb: number };
    reply: SearchedPicture;
    progress: never;
  };
  zip: {
    request: { pictures: readonly ZippedPicture[]; labels: Labels; classes: readonly string[] };
    reply: Blob;
    progress: { done: number; total: number };
  };
  card: { request: { id: number; size: number }; reply: ModelCard; progress: never };
  profile: { request: { id: number; size: number }; reply: Profile; progress: never };
  /** Networks of ncnn's benchmark by name; `progress` gives each as it is timed. */
  benchmark: {
    request: { names: readonly string[]; loops: number; threads: number; backend?: BackendChoice };
    reply: undefined;
    progress: { name: string; timing?: NetworkTiming; problem?: string };
  };
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
