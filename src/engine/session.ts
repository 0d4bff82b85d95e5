/**
 * A session runs one graph, many times, at any input size that it allows, on one of the backends. This is the only door
 * to the engine: everything above calls `run` and does not know what is behind it.
 */
import { described, expectKind } from "../base/arguments.ts";
import { GraphError, UnsupportedError, UsageError } from "../base/errors.ts";
import type { Graph } from "../ir/graph.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { BackendOptions, Compiled, Profile } from "./backend.ts";
import { type BackendName, backendNames, backends } from "./backends.ts";
import { checkInputs } from "./inputs.ts";

export type { Profile, StepProfile } from "./backend.ts";
export { type BackendName, backendNames } from "./backends.ts";

/** What computes, and with how many threads. */
export interface SessionOptions extends BackendOptions {
  /** Default: wasm. */
  backend?: BackendName;
}

/** A network ready to run. */
export interface Session {
  readonly graph: Graph;
  readonly backend: BackendName;
  /**
   * The requested blobs (default: the graph's outputs) for the given input blobs. Calls wait for each other.
   * Throws GraphError for a missing, unknown or misshapen input, for an unknown output, and after `close`.
   */
  run(inputs: Record<string, Tensor>, outputs?: readonly string[]): Promise<Record<string, Tensor>>;
  /** Times every step on one thread, `loops` rounds (default 50). Throws UnsupportedError where the backend has no steps. */
  profile(inputs: Record<string, Tensor>, loops?: number): Promise<Profile>;
  /** What is done for such inputs, step by step, as text. Throws UnsupportedError where the backend has no steps. */
  plan(inputs: Record<string, Tensor>): Promise<string>;
  /** Bytes of WebAssembly memory held at present. */
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
  const backend = backends.find((one) => one.name === name);
  if (!backend) {
    const names = backendNames.map((one) => `"${one}"`);
    throw new UsageError(`backend ${described(name)}: expected ${names.join(" or ")}`);
  }
  expectKind("threads", options.threads ?? 1, "a whole number above 0");
  backend.prepare(options);
  const networks = new Networks(graph, (shapes, outputs) => backend.compile(graph, shapes, outputs, options));
  return {
    graph,
    backend: name,
    run: async (inputs, outputs) => (await networks.for(inputs, outputs)).run(inputs),
    profile: async (inputs, loops = 50) => {
      const network = await networks.for(inputs);
      if (!network.profile) throw new UnsupportedError(`the ${name} backend makes no profiles`);
      return network.profile(inputs, loops);
    },
    plan: async (inputs) => {
      const network = await networks.for(inputs);
      if (!network.plan) throw new UnsupportedError(`the ${name} backend makes no plans`);
      return network.plan();
    },
    get memoryBytes() {
      return networks.memoryBytes;
    },
    close: () => networks.close(),
  };
}

/** Networks kept at a time; the least recently used goes first. */
const cacheSize = 4;

type Compile = (shapes: ReturnType<typeof checkInputs>, outputs: readonly string[]) => Promise<Compiled>;

/** The networks of a session, one for each input size and list of outputs. */
class Networks {
  /** Bytes of memory of all that are ready. */
  memoryBytes = 0;
  private readonly graph: Graph;
  private readonly compile: Compile;
  private readonly made = new Map<string, Promise<Compiled>>();
  private closed = false;

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
    const key = JSON.stringify([shapes, outputs]);
    const known = this.made.get(key);
    const network = known ?? this.compile(shapes, outputs);
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
