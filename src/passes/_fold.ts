/** The frame of all passes that move a factor and an offset into the layer before. */
import { type Graph, match, type Node, opOf } from "../ir/graph.ts";
import type { Op } from "../ir/op.ts";
import { ops } from "../ops/index.ts";
import { innerProduct } from "../ops/inner-product.ts";
import { type Affine, foldAffine, foldObstacle } from "./_linear.ts";
import { num } from "./_params.ts";
import { type Sketch, sketchShapes } from "./_sketch.ts";
import { Wiring } from "./_wiring.ts";
import type { Log, Pass } from "./pass.ts";

/** What is asked about the reader of a linear layer. */
export interface Reading {
  readonly reader: Node;
  /** The linear layer's output. */
  readonly blob: string;
  readonly sketch: Sketch;
  readonly wiring: Wiring;
}

/**
 * A pass that folds into linear layers what their sole readers do, as long as `affineOf` knows it as affine
 * (undefined: it is something else).
 */
export function foldPass(name: string, affineOf: (reading: Reading) => Affine | undefined): Pass {
  return {
    name,
    run(graph, log) {
      const wiring = new Wiring(graph);
      const sketches = sketchShapes(graph);
      for (const node of wiring.nodes()) {
        if (!opOf(node, ops).linear) continue;
        while (foldReader(node, wiring, sketches, affineOf, log));
      }
      return wiring.commit();
    },
  };
}

function foldReader(
  node: Node,
  wiring: Wiring,
  sketches: ReadonlyMap<string, Sketch>,
  affineOf: (reading: Reading) => Affine | undefined,
  log?: Log,
): boolean {
  const [blob] = node.outputs;
  const sketch = sketches.get(blob)!;
  const readers = new Set(wiring.readers(blob));
  for (const reader of readers) {
    const affine = affineOf({ reader, blob, sketch, wiring });
    if (!affine) continue;
    const obstacle =
      wiring.soleReader(node) !== reader
        ? `has ${wiring.readers(blob).length} readers`
        : (foldObstacle(node) ?? channelObstacle(node, affine, sketch));
    if (!obstacle) {
      foldAffine(node, affine);
      wiring.absorb(node, reader);
      return true;
    }
    log?.(`${reader.type} "${reader.name}" stays: ${node.type} "${node.name}" before it ${obstacle}`);
  }
  return false;
}

/** The outermost extent of the result must be the layer's output channels, which it is not for a list of vectors. */
function channelObstacle(node: Node, { channels }: Affine, { rank }: Sketch): string | undefined {
  if (channels === undefined) return undefined;
  const outputs = num(node, "num_output");
  if (channels !== outputs) return `has ${outputs} output channels, not ${channels}`;
  if (match(node, innerProduct) && rank !== 1) return "may work on rows";
  return undefined;
}

/** Runs `rewrite` on every node of the given types. */
export function eachNode(
  graph: Graph,
  types: readonly Op[],
  rewrite: (node: Node, wiring: Wiring, sketches: ReadonlyMap<string, Sketch>) => void,
): number {
  const wanted = new Set(types.map(({ type }) => type));
  if (!graph.nodes.some((node) => wanted.has(node.type))) return 0;
  const wiring = new Wiring(graph);
  const sketches = sketchShapes(graph);
  for (const node of wiring.nodes()) if (wanted.has(node.type)) rewrite(node, wiring, sketches);
  return wiring.commit();
}
