/** The text of `NAME.d.ts`. */

const shared = `/** 8-bit RGB or RGBA pixels, rows without gaps: ImageData is one. Alpha is not read. */
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
  /** In pixels of the picture; none where the whole picture is sorted. */
  box?: { x: number; y: number; width: number; height: number };
}

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

export const typesText = (name: string, pictures: boolean): string => `// ${name}: compiled by ncnnkit.
${shared}
/** ${pictures ? "A picture" : "Numbers of each input, `[c, h, w]`, as the network takes them"}. */
export type Input = ${inputOf(pictures)};

export interface Detector {
  /** What is in a picture, best first. Throws Error for a broken picture or file. */
  detect(picture: Input, options?: DetectOptions): Detection[];
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
