/** What a rewrite is. One rewrite is one file; `index.ts` puts them in order. */
import type { Graph } from "../ir/graph.ts";

/** Takes one line about a rewrite that nearly happened, which node, and what stood in the way; or what one took for granted. */
export type Log = (message: string) => void;

/**
 * A rewrite that keeps what the graph computes, up to float rounding. Input and output blobs keep their names.
 * Weights are replaced, never written into, so a cloned graph is safe. Weights that change become float32.
 */
export interface Pass {
  /** Verb and object, as in `fold-batch-norm`. */
  readonly name: string;
  /** Rewrites the graph in place and returns how many rewrites it made; 0 means that the graph is as before. */
  run(graph: Graph, log?: Log): number;
}
