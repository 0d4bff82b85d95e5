/** What a backend is: something that makes a network of a graph and runs it. */
import type { Sieve } from "../base/sieve.ts";
import type { Graph } from "../ir/graph.ts";
import type { LevelMap, Pixels } from "../ir/pixels.ts";
import type { Shape, Tensor } from "../ir/tensor.ts";

export interface BackendOptions {
  /** Threads to use; default 1. The results do not depend on it. */
  threads?: number;
  /**
   * Off by default: in Node on x86 with AVX2, let V8 join 128-bit vector instructions to 256-bit ones
   * (`--experimental-wasm-revectorize`), for all models of the process from now on. V8 calls that experimental:
   * `wideVectors()` of `ncnnkit/node` says whether it computes right here, and faster.
   */
  wideVectors?: boolean;
  /**
   * Where generated modules are kept, so that the same network at the same input size starts faster the next time; default nowhere. What is
   * damaged there is made anew.
   */
  modules?: ModuleStore;
  /**
   * How the webgpu backend keeps numbers and weights: float16 takes half of the memory and of its bandwidth, for errors of about one in
   * a thousand; sums are float32 always. Default float32.
   */
  precision?: "float32" | "float16";
  /**
   * The webgpu backend times the tiles of convolutions on the network itself when it is made, instead of estimating; with `modules` the
   * choice is kept for this device. Takes as long as making the network ten times.
   */
  tune?: boolean;
}

/** Where what was made of networks is kept from one start to the next. */
export interface ModuleStore {
  /** The code that makes the entries: those of other code are not found. */
  readonly maker: string;
  /** Bytes of the largest entry. */
  readonly most: number;
  /** SHA-256 in hexadecimal. */
  digest(bytes: Uint8Array): string | Promise<string>;
  /** What was written under a key, if it is still there. */
  read(key: string): Promise<Uint8Array | undefined>;
  write(key: string, bytes: Uint8Array): Promise<void>;
}

export interface Backend {
  readonly name: string;
  /** Whether it can run here. */
  available(): boolean | Promise<boolean>;
  /** Sets up what the options ask of the process. Throws UnsupportedError where that, or the backend, cannot be had. */
  prepare(options: BackendOptions): void | Promise<void>;
  /** Why it can only be slower than the default here, in a sentence: `auto` spares itself the race. It runs where it is asked for by name. */
  slowBecause?(): Promise<string | undefined>;
  /** Where it cannot be had, the default computes instead, and the session says so. */
  readonly fallsBack?: true;
  /**
   * The network for inputs of these shapes, giving these blobs. Throws GraphError when they do not fit. With `source` the blob, of rank 3, is to
   * be made of pixels: a backend that cannot do that ignores it, and gives a network without `look`.
   */
  compile(
    graph: Graph,
    shapes: Record<string, Shape>,
    outputs: readonly string[],
    options: BackendOptions,
    source?: PixelInput,
  ): Promise<Compiled>;
}

/** An input blob that is made of pixels. */
export interface PixelInput {
  readonly blob: string;
  readonly levels: LevelMap;
}

/** What a look at pixels gives. */
export interface Looked {
  /** The numbers are the engine's own: valid until the network runs again, which changes `turn`. */
  readonly blobs: Readonly<Record<string, Tensor>>;
  readonly turn: number;
  /** Of this run: placing the pixels, and all that comes behind. */
  readonly milliseconds: { readonly placing: number; readonly running: number };
  /** For these blobs. */
  readonly sieve: Sieve;
}

export interface Compiled {
  /** The blobs asked for. `inputs` have the shapes that it was made for. Lent numbers may be the engine's own: valid until it runs again. */
  run(
    inputs: Record<string, Tensor>,
    lent?: boolean,
  ): Record<string, Tensor> | Promise<Record<string, Tensor>>;
  /** The same for pixels, of a network that was made for them: `read` is called before the network runs again. */
  look?<T>(pixels: Pixels, read: (looked: Looked) => T): T | Promise<T>;
  /** Times every step on one thread, after warming up. */
  profile?(inputs: Record<string, Tensor>, loops: number): Promise<Profile>;
  /** What is done, step by step, for people. */
  plan?(): string;
  /** Bytes of memory outside the JavaScript heap. */
  readonly memoryBytes: number;
  close(): void;
}

/** One step of a profile. */
export interface StepProfile {
  /** The kernel and its sizes: `conv f32 60>60 40x40`. */
  readonly label: string;
  /** Names of the layers that the step carries out. */
  readonly nodes: readonly string[];
  /** Median milliseconds. */
  readonly ms: number;
  readonly macs: number;
  /** Bytes read and written, weights included. */
  readonly bytes: number;
}

/** Where the time of an inference goes. */
export interface Profile {
  readonly steps: readonly StepProfile[];
  /** Median milliseconds of a whole round; what the steps do not add up to is the cost of measuring and calling. */
  readonly total: number;
  readonly loops: number;
  readonly memoryBytes: number;
}
