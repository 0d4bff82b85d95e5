/** BatchNormalization after Conv: y = s·(Wx + b − mean)/√(var + eps) + bias is another convolution. */
import { epsilonOf } from "./arguments.ts";
import { makeTensor, type OnnxGraph, type OnnxNode, type OnnxTensor, tensorNumbers } from "./model.ts";

/** Folds where the convolution's result has no other reader; returns how many were folded. */
export function foldBatchNorm(graph: OnnxGraph): number {
  const readers = new Map<string, number>();
  for (const name of graph.nodes.flatMap((node) => node.inputs))
    readers.set(name, (readers.get(name) ?? 0) + 1);
  for (const { name } of graph.outputs) readers.set(name, (readers.get(name) ?? 0) + 1);
  const producer = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const taken = new Set([...producer.keys(), ...graph.inputs.map(({ name }) => name)]);
  const gone = new Set<OnnxNode>();
  for (const norm of graph.nodes) {
    const conv = norm.opType === "BatchNormalization" ? producer.get(norm.inputs[0]) : undefined;
    if (conv?.opType !== "Conv" || readers.get(norm.inputs[0]) !== 1) continue;
    if (!foldInto(graph, conv, norm, taken)) continue;
    conv.outputs = [norm.outputs[0]];
    producer.set(norm.outputs[0], conv);
    gone.add(norm);
  }
  graph.nodes = graph.nodes.filter((node) => !gone.has(node));
  return gone.size;
}

/** `taken` holds the names of values that are no constants. */
function foldInto(graph: OnnxGraph, conv: OnnxNode, norm: OnnxNode, taken: ReadonlySet<string>): boolean {
  const constant = (name: string | undefined): OnnxTensor | undefined => graph.initializers.get(name ?? "");
  const weight = constant(conv.inputs[1]);
  const bias = constant(conv.inputs[2]);
  const [scale, shift, mean, variance] = norm.inputs.slice(1).map(constant);
  if (!weight || (conv.inputs[2] && !bias) || !scale || !shift || !mean || !variance) return false;
  const [s, b, m, v] = [scale, shift, mean, variance].map(tensorNumbers);
  const channels = weight.dims[0];
  if ([s, b, m, v].some((list) => list.length !== channels)) return false;
  const factor = Array.from(s, (value, i) => value / Math.sqrt(v[i] + epsilonOf(norm)));
  const perChannel = weight.data.length / channels;
  const old = bias && tensorNumbers(bias);
  const newBias = factor.map((f, i) => ((old?.[i] ?? 0) - m[i]) * f + b[i]);
  const numbers = Float64Array.from(tensorNumbers(weight), (w, i) => w * factor[Math.floor(i / perChannel)]);
  const [weightName, biasName] = ["weight", "bias"].map((label) => {
    let name = `${norm.outputs[0]}_${label}`;
    while (constant(name) || taken.has(name)) name += "_folded";
    return name;
  });
  graph.initializers.set(weightName, makeTensor(weight.type, weight.dims, numbers));
  graph.initializers.set(biasName, makeTensor(weight.type, [channels], newBias));
  conv.inputs = [conv.inputs[0], weightName, biasName];
  return true;
}
