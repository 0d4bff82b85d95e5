/** Float graphs marked as int8, the way ncnn2int8 leaves them, before there are weights. */
import type { Graph, Node } from "../ir/graph.ts";
import { requantizable } from "../quantize/rewrite.ts";

/**
 * Gives every convolution of `graph`, and if asked every fully connected layer, its int8 parameters: their output is int8
 * where only int8 convolutions read it. Changes the graph and returns it.
 */
export function markInt8(graph: Graph, fullyConnected: boolean): Graph {
  const terms: Record<string, number> = { Convolution: 2, ConvolutionDepthWise: 1 };
  if (fullyConnected) terms.InnerProduct = 2;
  for (const node of graph.nodes) if (terms[node.type]) setTerm(node, terms[node.type]);
  for (const node of requantizable(graph)) setTerm(node, 100 + terms[node.type]);
  return graph;
}

function setTerm(node: Node, term: number): void {
  node.params = { ...node.params, int8_scale_term: term };
}
