/**
 * A session runs one graph, many times, at any input size that it allows, on one of the backends. This is the only door
 * to the engine: everything above calls `run` and does not know what is behind it.
 */
import { described, expectKind } from "../base/arguments.ts";
import { UnsupportedError, UsageError } from "../base/errors.ts";
import type { Graph } from "../ir/graph.ts";
import type { Tensor } from "../ir/tensor.ts";
import { runReference } from "./reference.ts";
import { detectTarget, enableWideVectors, WasmRunner } from "./wasm.ts";

export type Backend = "reference" | "wasm";

export interface SessionOptions {
  /** Default: wasm. */
  backend?: Backend;
  /** Threads to use; default 1. The results do not depend on it. */
  threads?: number;
  /**
   * EXPERIMENTAL, off by default: in Node on x86 with AVX2, let V8 join 128-bit vector instructions to 256-bit ones
   * (`--experimental-wasm-revectorize`, switched on for the whole process). V8 does not guarantee this feature; check your
   * results with `ncnnkit compare`.
   */
  wideVectors?: boolean;
}

export interface Session {
  readonly graph: Graph;
  readonly backend: Backend;
  /**
   * The requested blobs (default: the graph's outputs) for the given input blobs. Calls wait for each other.
   * Throws GraphError for a missing, unknown or misshapen input, for an unknown output, and after `close`.
   */
  run(inputs: Record<string, Tensor>, outputs?: readonly string[]): Promise<Record<string, Tensor>>;
  /** Bytes of WebAssembly memory held at present. */
  readonly memoryBytes: number;
  /** Frees memory and threads. A closed session cannot run again. */
  close(): void;
}

/** A session over `graph`, which must not change as long as it lives. Throws UnsupportedError without wasm SIMD. */
export async function createSession(graph: Graph, options: SessionOptions = {}): Promise<Session> {
  const { backend = "wasm", threads = 1 } = options;
  if (backend !== "wasm" && backend !== "reference") {
    throw new UsageError(`backend ${described(backend)}: expected "wasm" or "reference"`);
  }
  expectKind("threads", threads, "a whole number above 0");
  if (backend === "reference") {
    return {
      graph,
      backend,
      memoryBytes: 0,
      run: async (inputs, outputs) => runReference(graph, inputs, outputs),
      close: () => {},
    };
  }
  if (options.wideVectors && !enableWideVectors()) {
    throw new UnsupportedError("wideVectors: only Node has the switch for it");
  }
  const runner = new WasmRunner(graph, detectTarget(threads, options.wideVectors));
  return {
    graph,
    backend,
    run: (inputs, outputs) => runner.run(inputs, outputs),
    get memoryBytes() {
      return runner.memoryBytes;
    },
    close: () => runner.close(),
  };
}
