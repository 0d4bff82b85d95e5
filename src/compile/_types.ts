/** The text of `NAME.d.ts`. */

import type { CompiledFacts } from "../formats/compiled.ts";

const shared = (
  detection: string,
): string => `/** 8-bit RGB or RGBA pixels, rows without gaps: ImageData is one. Alpha is not read. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
}

export interface Detection {
  task: string;
  label: string;
  classId: number;
  /** 0..1 */
  score: number;
${detection}}

export interface RunOptions {
  /** Input size, one of those that the file was made for; default the first. */
  size?: number | { width: number; height: number };
}

export interface DetectOptions extends RunOptions {
  /** Least score, 0..1; default 0.25, of classes of pictures 0. */
  confidence?: number;
  /** Overlap above which the weaker of two boxes of a class is dropped, 0..1; default 0.45. */
  iou?: number;
  /** Most boxes, up to 1000; default 300, of classes of pictures 5. */
  maxDetections?: number;
}

export interface LoadOptions {
  /** The compiled module, where the platform compiles it (edge workers). Its digest is not looked at. */
  module?: WebAssembly.Module;
  /** The bytes of the file. */
  bytes?: Uint8Array<ArrayBuffer> | ArrayBuffer;
  /** Gives the bytes of a file by its name, where they come from elsewhere. */
  read?: (file: string) => Promise<Uint8Array<ArrayBuffer> | ArrayBuffer>;
  /** Where the file is; default beside this module. */
  url?: string | URL;
  /** Which of the files; default the fastest that is right on this machine. */
  mode?: "portable" | "scalar" | "signed" | "unsigned" | "i7";
  /** Threads that share the work, of files made for several; default all of them. */
  threads?: number;
}

export interface Tensor {
  shape: number[];
  data: Float32Array<ArrayBuffer>;
}
`;

/** Inputs: of files for pictures, and of those for tensors. */
const inputOf = (pictures: boolean): string =>
  pictures ? "Picture" : "Readonly<Record<string, ArrayLike<number>>>";

/** What a detection has besides class and score. */
function detectionText({ task, detection }: Omit<CompiledFacts, "mode">): string {
  if (task === "classify" || !detection) return "";
  const { points, mask, turned } = detection;
  const rectangle = "x: number; y: number; width: number; height: number";
  const point = `{ x: number; y: number${points?.values === 3 ? "; score?: number" : ""} }[]`;
  return [
    `  /** In pixels of the picture${turned ? ": about the turned box" : ""}. */`,
    `  box: { ${rectangle} };`,
    ...(points
      ? [
          `  /** ${points.count} of them, in pixels of the picture, if they are numbers. */`,
          `  points?: ${point};`,
        ]
      : []),
    ...(turned
      ? [
          "  /** Its middle, extent, and the angle in radians from the x axis towards the y axis, which points down. */",
          `  rotated: { ${rectangle}; angle: number };`,
        ]
      : []),
    ...(mask
      ? [
          "  /** Pixels of the picture, rows from the top: 1 where the object is, 0 elsewhere. */",
          `  mask: { ${rectangle}; data: Uint8Array };`,
        ]
      : []),
    "",
  ].join("\n");
}

export function typesText(facts: Omit<CompiledFacts, "mode">): string {
  const { name, pictures } = facts;
  return `// ${name}: compiled by ncnnkit.
${shared(detectionText(facts))}
/** ${pictures ? "A picture" : "Numbers of each input, `[c, h, w]`, as the network takes them"}. */
export type Input = ${inputOf(pictures)};

export interface Look {
  detections(limits?: DetectOptions): Detection[];
  /** Of placing the picture in the input, and of the network. */
  readonly milliseconds: { readonly placing: number; readonly running: number };
}

export interface Detector {
  /** What is in a picture, best first. Throws Error for a broken picture or file. */
  detect(picture: Input, options?: DetectOptions): Detection[];
  /** The same in two steps: detections with other thresholds need no new inference, until another picture is looked at. */
  look(picture: Input, options?: RunOptions): Look;
  /** Raw outputs by name. */
  run(input: Input, options?: RunOptions): Record<string, Tensor>;
  /** Ends threads, if there are some. */
  close(): void;
  readonly memory: WebAssembly.Memory;
  /** The file's own interface, as README.md says. */
  readonly exports: Readonly<Record<string, (...args: number[]) => number>>;
}

/** Makes the detector ready. Throws Error where the file cannot be had, or is not the one that belongs to this module. */
export function load(options?: LoadOptions): Promise<Detector>;
/** As a detector's \`detect\`; the file is loaded at the first call. */
export function detect(picture: Input, options?: DetectOptions): Promise<Detection[]>;
export function run(input: Input, options?: RunOptions): Promise<Record<string, Tensor>>;
`;
}
