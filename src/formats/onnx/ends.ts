/**
 * The end of a graph that chooses among results (TopK, ArgMax, NonMaxSuppression), which has no form in ncnn: what it chooses from is
 * what the network computes.
 */
import { allKnown } from "./dims.ts";
import type { OnnxShape } from "./infer.ts";
import type { OnnxGraph, OnnxModel, OnnxNode } from "./model.ts";

export interface Choice {
  /** Values that are chosen from, in place of the graph's outputs; outputs that nothing chooses stay among them. */
  readonly outputs: string[];
  /** Operators that choose, by name. */
  readonly operators: string[];
}

const choosers = new Set(["TopK", "ArgMax", "ArgMin", "NonMaxSuppression", "NonZero"]);
const isChooser = (node: OnnxNode): boolean =>
  node.domain === "" ? choosers.has(node.opType) : /nms|nonmaxsuppression/i.test(node.opType);
/** Behind these a network goes on. */
const weighty = new Set(["Conv", "ConvTranspose", "Gemm", "GRU", "LSTM"]);

/** The choosing end of a graph, if it has one and no layer with weights stands behind it. Nothing is changed. */
export function findChoice({ graph }: OnnxModel): Choice | undefined {
  const chosen = new Set<string>();
  const end: OnnxNode[] = [];
  for (const node of graph.nodes) {
    if (!isChooser(node) && !node.inputs.some((name) => chosen.has(name))) continue;
    if (weighty.has(node.opType)) return undefined;
    end.push(node);
    for (const name of node.outputs) chosen.add(name);
  }
  if (!graph.outputs.some(({ name }) => chosen.has(name))) return undefined;
  const varying = new Set(varyingValues(graph));
  const kept = graph.outputs.map(({ name }) => name).filter((name) => !chosen.has(name));
  const sources = new Set(
    end.flatMap(({ inputs }) => inputs).filter((name) => varying.has(name) && !chosen.has(name)),
  );
  // Without a network before it nothing would be left.
  if ([...sources].every((name) => graph.inputs.some((input) => input.name === name))) return undefined;
  const common = commonSource(graph, [...sources]);
  const operators = [...new Set(end.filter(isChooser).map(({ opType }) => opType))];
  return { outputs: [...new Set([...kept, ...(common ? [common] : sources)])], operators };
}

/** Values that depend on the input. */
function varyingValues({ nodes, inputs }: OnnxGraph): Iterable<string> {
  const varying = new Set(inputs.map(({ name }) => name));
  for (const node of nodes) {
    if (node.inputs.some((name) => varying.has(name))) for (const name of node.outputs) varying.add(name);
  }
  return varying;
}

/** Steps back that are tried: decoding code ends within a few dozen. */
const mostSteps = 64;

/** The last value that all of `values` are made from without weights: the Concat that a choosing end takes apart. */
function commonSource(graph: OnnxGraph, values: readonly string[]): string | undefined {
  if (values.length === 1) return values[0];
  const last = Math.max(
    ...graph.nodes.map((node, i) => (node.outputs.some((name) => values.includes(name)) ? i : -1)),
  );
  for (let i = last; i >= Math.max(0, last - mostSteps); i--) {
    const node = graph.nodes[i];
    if (weighty.has(node.opType)) return undefined;
    if (node.outputs.length !== 1) continue;
    const [source] = node.outputs;
    const made = new Set([source, ...graph.initializers.keys(), ""]);
    for (const next of graph.nodes.slice(i + 1, last + 1)) {
      if (next.inputs.every((name) => made.has(name))) for (const name of next.outputs) made.add(name);
    }
    if (values.every((name) => made.has(name))) return source;
  }
  return undefined;
}

/** `TopK chooses from "scores" [1, 80, 8400]`, for people. */
export function describeChoice(
  { outputs, operators }: Choice,
  shapes: ReadonlyMap<string, OnnxShape>,
): string {
  const list = outputs.map((name) => {
    const shape = shapes.get(name);
    return `"${name}"${shape && allKnown(shape) ? ` [${shape.join(", ")}]` : ""}`;
  });
  return `the graph ends in ${operators.join(" and ")}, which ncnn has no form for: what is chosen is cut off, and the outputs are what it is chosen from, ${list.join(", ")}`;
}
