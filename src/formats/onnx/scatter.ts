/**
 * Assignments to a slice (`y[..., 0:2] = …`), which exporters write as ScatterND with constant indices: they become a Concat of what
 * stays and what is written.
 */
import { elementCount } from "../../ir/tensor.ts";
import { rowMajor, unravel } from "./arguments.ts";
import { allKnown } from "./dims.ts";
import type { ElementType } from "./elements.ts";
import type { OnnxShape } from "./infer.ts";
import {
  int,
  makeTensor,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  stringAttribute,
  tensorNumbers,
} from "./model.ts";

/** Places that a ScatterND writes to, in the order of its updates. */
function scatterPlaces(indices: OnnxTensor, dims: readonly number[]): number[] {
  const depth = indices.dims.at(-1) ?? 0;
  const strides = rowMajor(dims);
  const inner = elementCount(dims.slice(depth));
  const at = tensorNumbers(indices);
  const places: number[] = [];
  for (let n = 0; n < at.length / depth; n++) {
    let offset = 0;
    for (let d = 0; d < depth; d++) {
      const i = at[n * depth + d];
      offset += (i < 0 ? i + dims[d] : i) * strides[d];
    }
    for (let i = 0; i < inner; i++) places.push(offset + i);
  }
  return places;
}

/** The slice of one axis that `places` are, all of it and in order. */
function sliceOf(
  places: readonly number[],
  dims: readonly number[],
): { axis: number; from: number; to: number } | undefined {
  if (places.length === 0) return undefined;
  const strides = rowMajor(dims);
  const [first, last] = [places[0], places[places.length - 1]].map((place) => unravel(place, dims));
  const sizes = dims.map((_, axis) => last[axis] - first[axis] + 1);
  const partial = dims.flatMap((extent, axis) => (sizes[axis] === extent ? [] : [axis]));
  const [axis = 0] = partial;
  if (partial.length > 1 || elementCount(sizes) !== places.length) return undefined;
  const isInOrder = places.every((place, i) => {
    let [rest, expected] = [i, 0];
    for (let d = dims.length - 1; d >= 0; d--) {
      expected += ((rest % sizes[d]) + first[d]) * strides[d];
      rest = Math.floor(rest / sizes[d]);
    }
    return place === expected;
  });
  return isInOrder ? { axis, from: first[axis], to: last[axis] + 1 } : undefined;
}

/** Rewrites them in `model`; `shapes` and `types` follow. */
export function assignToConcat(
  model: OnnxModel,
  shapes: Map<string, OnnxShape>,
  types: Map<string, ElementType>,
): void {
  const { graph } = model;
  graph.nodes = graph.nodes.flatMap((node) => {
    const dims = node.opType === "ScatterND" && node.domain === "" ? shapes.get(node.outputs[0]) : undefined;
    const indices = graph.initializers.get(node.inputs[1]);
    const isPlain = stringAttribute(node, "reduction", "none") === "none";
    if (!dims || !allKnown(dims) || !indices || !isPlain) return [node];
    const slice = sliceOf(scatterPlaces(indices, dims), dims);
    return slice ? concatOf(node, slice, dims, model, shapes, types) : [node];
  });
}

function concatOf(
  node: OnnxNode,
  { axis, from, to }: { axis: number; from: number; to: number },
  dims: readonly number[],
  { graph }: OnnxModel,
  shapes: Map<string, OnnxShape>,
  types: Map<string, ElementType>,
): OnnxNode[] {
  const [data, , updates] = node.inputs;
  const [output] = node.outputs;
  const type = types.get(output);
  const nodes: OnnxNode[] = [];
  const constant = (name: string, values: readonly number[]): string => {
    graph.initializers.set(name, makeTensor("int64", [values.length], values));
    return name;
  };
  const add = (opType: string, inputs: string[], name: string, shape: readonly number[]): string => {
    nodes.push({ name, opType, domain: "", inputs, outputs: [name], attributes: {} });
    shapes.set(name, shape);
    if (type) types.set(name, type);
    return name;
  };
  const part = (name: string, start: number, end: number): string[] => {
    if (start === end) return [];
    const bounds = [`${name}_from`, `${name}_to`, `${name}_axis`];
    [start, end, axis].forEach((value, i) => void constant(bounds[i], [value]));
    return [add("Slice", [data, ...bounds], name, dims.with(axis, end - start))];
  };
  const written = dims.with(axis, to - from);
  const parts = [
    ...part(`${output}_before`, 0, from),
    add("Reshape", [updates, constant(`${output}_written_shape`, written)], `${output}_written`, written),
    ...part(`${output}_behind`, to, dims[axis]),
  ];
  add("Concat", parts, output, dims);
  nodes[nodes.length - 1].attributes = { axis: int(axis) };
  return nodes;
}
