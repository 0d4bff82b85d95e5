/**
 * ONNX to ncnn layers. Input is a simplified model with concrete shapes and fused patterns; output a `Graph` of plain
 * layers that `passes/` then fuses further. The batch axis must be 1 and disappears.
 */

import { UnsupportedError } from "../../base/errors.ts";
import { brief } from "../../base/text.ts";
import { type Graph, type Node, verify } from "../../ir/graph.ts";
import type { Shape } from "../../ir/tensor.ts";
import { open } from "../../ops/crop.ts";
import { ops } from "../../ops/index.ts";
import { share } from "../../ops/slice.ts";
import type { ElementType } from "./elements.ts";
import { ncnnDomain } from "./fuse.ts";
import type { OnnxShape } from "./infer.ts";
import { type Lower, Lowering } from "./lower/context.ts";
import { elementwise } from "./lower/elementwise.ts";
import { matrix } from "./lower/matrix.ts";
import { move } from "./lower/move.ts";
import { picture } from "./lower/picture.ts";
import { describeNode, type OnnxModel, type OnnxNode } from "./model.ts";

const rules: Record<string, Lower> = { ...elementwise, ...picture, ...move, ...matrix };

/** Operators that lower, for documentation and messages. */
export const supportedOperators: readonly string[] = Object.keys(rules).sort();

export interface Lowered {
  readonly graph: Graph;
  /** Blob of every graph output, by ONNX name, in the order of the model. */
  readonly outputs: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/**
 * Throws UnsupportedError that names node, operator and opset and the nearest supported form, GraphError for shapes
 * that contradict each other.
 */
export function lowerNodes(
  model: OnnxModel,
  shapes: ReadonlyMap<string, OnnxShape>,
  types: ReadonlyMap<string, ElementType>,
): Lowered {
  const l = new Lowering(model, shapes, types);
  for (const input of model.graph.inputs) l.input(input.name);
  for (const node of model.graph.nodes) l.run(node, ruleOf(node, l.opset));
  const outputs = new Map<string, string>();
  for (const { name } of model.graph.outputs) outputs.set(name, finishOutput(l, name, outputs));
  cropsToSlices(l);
  verify(l.graph, ops);
  return { graph: l.graph, outputs, warnings: l.warnings };
}

function ruleOf(node: OnnxNode, opset: number): Lower {
  const isKnownDomain = node.domain === "" || node.domain === ncnnDomain;
  const rule = isKnownDomain && Object.hasOwn(rules, node.opType) ? rules[node.opType] : undefined;
  if (rule) return rule;
  const hint = hints[node.opType] ?? `the operators that are supported are ${supportedOperators.join(", ")}`;
  throw new UnsupportedError(
    `${describeNode(node, opset)}: ${brief(node.opType)} cannot be lowered to ncnn; ${hint}`,
  );
}

const hints: Record<string, string> = {
  ArgMax: "export the scores and choose outside of the graph (usual builds of ncnn leave ArgMax out)",
  NonMaxSuppression: "export without NMS: boxes are chosen outside of the graph",
  TopK: "export without post-processing: boxes are chosen outside of the graph",
  NonZero: "export without post-processing: results of varying size have no form in ncnn",
  ScatterND:
    "export the detection head without decoding (raw outputs), or with a newer version that concatenates",
  Where: "use arithmetic with masks, or compute it from constants",
  If: "export with a fixed input size, so that the condition is constant",
  Loop: "export with the loop unrolled",
  GridSample: "use Resize",
  QuantizeLinear: "export the float model and quantize with ncnnkit",
  DequantizeLinear: "export the float model and quantize with ncnnkit",
};

/** Brings an output into the shape that ONNX gives it, apart from extents of 1, and under its name where it can. */
function finishOutput(l: Lowering, name: string, done: ReadonlyMap<string, string>): string {
  const value = l.value(name);
  const plain = (shape: Shape): number[] => shape.filter((d) => d !== 1);
  const [wanted, found] = [plain(value.shape), plain(value.blobShape)];
  const differs = wanted.length !== found.length || wanted.some((d, i) => d !== found[i]);
  let blob = differs && wanted.length <= 3 ? l.as(value, wanted.length ? wanted : [1]) : value.blob;
  const producer = l.graph.producers().get(blob);
  const isInput = producer?.type === "Input";
  const target = name.replace(/\s+/g, "_");
  // ncnn's outputs are blobs that nobody reads, and an input keeps its name.
  const isRead = l.graph.nodes.some((node) => node.inputs.includes(blob));
  if (blob === target) {
    if (!isRead || isInput) return blob;
    blob = `${target}_read`;
    l.renameBlob(target, blob);
  }
  const keepsName = [...done.values(), ...l.graph.inputs];
  if (keepsName.includes(target)) return blob;
  const isFree = !isInput && !isRead && !keepsName.includes(blob);
  const own = isFree
    ? blob
    : l.layer("Noop", [blob], {}, {}, { name: target, outputs: [`${target}_copy`] })[0];
  l.renameBlob(own, target);
  return target;
}

/** Crops that together are a whole blob, in order, are one Slice. */
function cropsToSlices(l: Lowering): void {
  const { graph } = l;
  const gone = new Set<Node>();
  for (const [blob, readers] of graph.consumers()) {
    const parts = readers.flatMap((node) => cropOfOneAxis(node) ?? []);
    const [{ axis } = { axis: -1 }] = parts;
    const along = parts.filter((part) => part.axis === axis).sort((a, b) => a.start - b.start);
    const extent = l.blobShape(blob)[axis];
    const ends = along.map(({ end }) => (end === open ? extent : end));
    const isWhole =
      along.length > 1 &&
      along.every(({ start }, i) => start === (i === 0 ? 0 : ends[i - 1]) && ends[i] > start) &&
      ends[ends.length - 1] === extent;
    if (!isWhole) continue;
    const sizes = along.map(({ start }, i) => ends[i] - start);
    const isEqual = sizes.every((size) => size === sizes[0]);
    // The Slice stands where the first of them stood, before all readers of its parts.
    const place = along
      .map((part) => part.node)
      .reduce((a, b) => (readers.indexOf(a) < readers.indexOf(b) ? a : b));
    place.type = "Slice";
    place.outputs = along.map((part) => part.node.outputs[0]);
    place.params = {
      slices: sizes.map((size, i) => (isEqual || i === sizes.length - 1 ? share : size)),
      ...(axis ? { axis } : {}),
    };
    for (const { node } of along) if (node !== place) gone.add(node);
  }
  graph.remove(gone);
}

function cropOfOneAxis(node: Node): { node: Node; start: number; end: number; axis: number } | undefined {
  const { starts, ends, axes } = node.params;
  if (node.type !== "Crop" || !Array.isArray(starts) || !Array.isArray(ends) || !Array.isArray(axes))
    return undefined;
  return axes.length === 1 ? { node, start: starts[0], end: ends[0], axis: axes[0] } : undefined;
}
