/**
 * A session runs one graph, many times, at any input size that it allows, on one of the backends. This is the only door
 * to the engine: everything above calls `run` and does not know what is behind it.
 */
import { described, expectKind } from "../base/arguments.ts";
import { GraphError, UnsupportedError, UsageError } from "../base/errors.ts";
import { sieve } from "../base/sieve.ts";
import type { Graph } from "../ir/graph.ts";
import type { Pixels, Placement } from "../ir/pixels.ts";
import type { Extremes, Tensor } from "../ir/tensor.ts";
import { prepareRace, type Race } from "./auto.ts";
import type { Backend, BackendOptions, Compiled, Looked, PixelInput, Profile } from "./backend.ts";
import { type BackendName, backendNames, backends } from "./backends.ts";
import { type ExtremesGraph, withExtremes } from "./extremes.ts";
import { checkInputs } from "./inputs.ts";

export type { Looked, ModuleStore, PixelInput, Profile, StepProfile } from "./backend.ts";
export { type BackendName, backendNames } from "./backends.ts";
export { enableWideVectors, wideVectorsEnabled } from "./wasm/target.ts";
export { provideGpu } from "./webgpu/adapter.ts";

/** What computes, and with how many threads. */
export interface SessionOptions extends BackendOptions {
  /**
   * Default: wasm. With `auto`, the first run at an input size times a few frames on wasm and on webgpu, if that can be had, and the faster one goes on;
   * `modules` remember it for the model, the size and the machine.
   */
  backend?: BackendChoice;
}

/** A backend, or whichever is the fastest. */
export type BackendChoice = BackendName | "auto";
export const backendChoices: readonly BackendChoice[] = [...backendNames, "auto"];

/** Runs on pixels, for these outputs. `read` is handed blobs that are valid only while it runs. Throws as `run` does. */
export type Look = <T>(
  pixels: Pixels,
  tensor: () => Tensor,
  outputs: readonly string[],
  read: (looked: Looked) => T,
) => Promise<T>;

/** A network ready to run. */
export interface Session {
  readonly graph: Graph;
  /** What computes; with `auto`, what did so last, and the default before the first run. */
  readonly backend: BackendName;
  /** What it was made with. */
  readonly options: Readonly<SessionOptions>;
  /** Why that is not the backend that was asked for, in a sentence. */
  readonly fallback: string | undefined;
  /**
   * The requested blobs (default: the graph's outputs) for the given input blobs. Calls wait for each other.
   * Throws GraphError for a missing, unknown or misshapen input, for an unknown output, and after `close`.
   * `lent`: the numbers may be the engine's own, valid until the session runs again; the default is a copy.
   */
  run(
    inputs: Record<string, Tensor>,
    outputs?: readonly string[],
    lent?: boolean,
  ): Promise<Record<string, Tensor>>;
  /** The least and greatest numbers of every channel of blobs, lent as those of `run` are: a fraction of the work of handing the blobs out. */
  extremes(inputs: Record<string, Tensor>, blobs: readonly string[]): Promise<Record<string, Extremes>>;
  /**
   * What makes the only input blob of 8-bit pixels, without a tensor in between where the backend can do that: for others, and for graphs of
   * several inputs, `tensor` is asked for. The same numbers either way.
   */
  lookFor(source: PixelInput): Look;
  /** Times every step on one thread, `loops` rounds (default 50). Throws UnsupportedError where the backend has no steps. */
  profile(inputs: Record<string, Tensor>, loops?: number): Promise<Profile>;
  /** What is done for such inputs, step by step, as text. Throws UnsupportedError where the backend has no steps. */
  plan(inputs: Record<string, Tensor>): Promise<string>;
  /** Bytes of WebAssembly or GPU memory held at present. */
  readonly memoryBytes: number;
  /** Frees memory and threads. A closed session cannot run again. */
  close(): void;
}

/**
 * A session over `graph`, which must not change as long as it lives. Throws UsageError for a wrong option, UnsupportedError where
 * the backend, or what the options ask for, cannot be had.
 */
export async function createSession(
  graph: Graph,
  { backend: name = backends[0].name, ...options }: SessionOptions = {},
): Promise<Session> {
  expectKind("threads", options.threads ?? 1, "a whole number above 0");
  const { compile, fallback, ...first } = await prepared(name, options);
  let { backend } = first;
  const networks = new Networks(graph, async (...what) => {
    const made = await compile(...what);
    backend = made.name; // as found for this size
    return made.network;
  });
  return {
    graph,
    get backend() {
      return backend;
    },
    options: { backend: name, ...options },
    fallback,
    run: async (inputs, outputs, lent) => (await networks.for(inputs, outputs)).run(inputs, lent),
    extremes: (inputs, blobs) => networks.extremes(inputs, blobs),
    lookFor: (source) => networks.lookFor(source),
    profile: async (inputs, loops = 50) => {
      const network = await networks.for(inputs);
      if (!network.profile) throw new UnsupportedError(`the ${backend} backend makes no profiles`);
      return network.profile(inputs, loops);
    },
    plan: async (inputs) => {
      const network = await networks.for(inputs);
      if (!network.plan) throw new UnsupportedError(`the ${backend} backend makes no plans`);
      return network.plan();
    },
    get memoryBytes() {
      return networks.memoryBytes;
    },
    close: () => networks.close(),
  };
}

interface Prepared {
  readonly backend: BackendName;
  readonly compile: Race;
  readonly fallback: string | undefined;
}

/** The backend, or the default where one that falls back cannot be had, and why. */
async function prepared(name: BackendChoice, options: BackendOptions): Promise<Prepared> {
  if (name === "auto") {
    const { race, missing } = await prepareRace(options);
    return { backend: backends[0].name, compile: race, fallback: missing };
  }
  const wanted: NamedBackend | undefined = backends.find((one) => one.name === name);
  if (!wanted) {
    const names = backendChoices.map((one) => `"${one}"`);
    throw new UsageError(
      `backend ${described(name)}: expected ${names.slice(0, -1).join(", ")} or ${names.at(-1)}`,
    );
  }
  try {
    await wanted.prepare(options);
    return only(wanted, options);
  } catch (error) {
    if (!wanted.fallsBack || !(error instanceof UnsupportedError)) throw error;
    const [backend] = backends;
    backend.prepare(options);
    return only(backend, options, `${error.message}: ${backend.name} computes instead`);
  }
}

type NamedBackend = Backend & { readonly name: BackendName };

const only = (backend: NamedBackend, options: BackendOptions, fallback?: string): Prepared => ({
  backend: backend.name,
  compile: async (graph, shapes, outputs, source) => {
    return { network: await backend.compile(graph, shapes, outputs, options, source), name: backend.name };
  },
  fallback,
});

/** A look by way of tensors, which keeps what it saw. */
async function lookedAt(network: Compiled, inputs: Record<string, Tensor>, placing = 0): Promise<Looked> {
  const start = performance.now();
  const blobs = await network.run(inputs);
  return { blobs, sieve, turn: 0, milliseconds: { placing, running: performance.now() - start } };
}

/** Networks kept at a time; the least recently used goes first. */
const cacheSize = 4;

type Shapes = ReturnType<typeof checkInputs>;
type Compile = (
  graph: Graph,
  shapes: Shapes,
  outputs: readonly string[],
  source?: PixelInput,
) => Promise<Compiled>;

/** The networks of a session, one for each input size and list of outputs. */
class Networks {
  /** Bytes of memory of all that are ready. */
  memoryBytes = 0;
  private readonly graph: Graph;
  private readonly compile: Compile;
  private readonly made = new Map<string, Promise<Compiled>>();
  private readonly looks = new Map<string, ExtremesGraph>();
  private closed = false;
  private sources = 0;

  constructor(graph: Graph, compile: Compile) {
    this.graph = graph;
    this.compile = compile;
  }

  /**
   * The network for such inputs, made once. Throws GraphError when they do not fit the graph. It may be dropped as soon as others
   * are asked for: whoever awaits it has it before it is closed.
   */
  for(inputs: Record<string, Tensor>, outputs: readonly string[] = this.graph.outputs): Promise<Compiled> {
    if (this.closed) throw new GraphError("the session is closed");
    expectKind("run: outputs", outputs, "a list of strings");
    const shapes = checkInputs(this.graph, inputs);
    return this.find(JSON.stringify([shapes, outputs]), () => this.compile(this.graph, shapes, outputs));
  }

  /** See `Session.extremes`. */
  async extremes(
    inputs: Record<string, Tensor>,
    blobs: readonly string[],
  ): Promise<Record<string, Extremes>> {
    if (this.closed) throw new GraphError("the session is closed");
    const shapes = checkInputs(this.graph, inputs);
    const key = JSON.stringify([shapes, blobs, "extremes"]);
    const look = this.looks.get(key) ?? withExtremes(this.graph, shapes, blobs);
    this.looks.set(key, look);
    const network = await this.find(key, () => this.compile(look.graph, shapes, look.outputs));
    return look.read(await network.run(inputs, true));
  }

  /** See `Session.lookFor`. */
  lookFor(source: PixelInput): Look {
    const number = ++this.sources;
    const isSole = this.graph.inputs.length === 1;
    // A stream of frames asks for the same again and again.
    let last: { placement: Placement; outputs: readonly string[]; key: string; shapes: Shapes } | undefined;
    return async (pixels, tensor, outputs, read) => {
      const { placement } = pixels;
      if (!isSole) {
        const inputs = { [source.blob]: tensor() };
        return read(await lookedAt(await this.for(inputs, outputs), inputs));
      }
      if (this.closed) throw new GraphError("the session is closed");
      if (last?.placement !== placement || last.outputs !== outputs) {
        const shapes = { [source.blob]: [source.levels.mix.length, placement.height, placement.width] };
        last = { placement, outputs, shapes, key: JSON.stringify([shapes, outputs, number]) };
      }
      const { key, shapes } = last;
      const network = await this.find(key, () => this.compile(this.graph, shapes, outputs, source));
      if (network.look) return network.look(pixels, read);
      const start = performance.now();
      const inputs = { [source.blob]: tensor() };
      return read(await lookedAt(network, inputs, performance.now() - start));
    };
  }

  /** The network of this key, made where there is none. */
  private find(key: string, make: () => Promise<Compiled>): Promise<Compiled> {
    const known = this.made.get(key);
    const network = known ?? make();
    this.made.delete(key);
    this.made.set(key, network);
    if (!known) {
      network.then(
        ({ memoryBytes }) => {
          this.memoryBytes += memoryBytes;
        },
        () => this.made.delete(key),
      );
    }
    for (const oldest of this.made.keys()) {
      if (this.made.size <= cacheSize) break;
      this.drop(oldest);
    }
    return network;
  }

  private drop(key: string): void {
    this.looks.delete(key);
    void this.made.get(key)?.then(
      (network) => {
        this.memoryBytes -= network.memoryBytes;
        network.close();
      },
      () => {},
    );
    this.made.delete(key);
  }

  close(): void {
    this.closed = true;
    for (const key of [...this.made.keys()]) this.drop(key);
  }
}
