/**
 * Fixed sizes that follow from the input's size, in a form that follows it: a converted detector then runs at any size.
 * A Reshape extent becomes -1, or 0 (copied) where two of them depend on the size; an Interp target becomes a scale.
 */
import { GraphError } from "../base/errors.ts";
import { type Graph, inferShapes, match, type Node, opOf, paramsOf } from "../ir/graph.ts";
import { elementCount, formatShape, type Shape } from "../ir/tensor.ts";
import { ops } from "../ops/index.ts";
import { interp } from "../ops/interp.ts";
import { reshape } from "../ops/reshape.ts";
import { num, setParams } from "./_params.ts";
import type { Log, Pass } from "./pass.ts";

type Shapes = ReadonlyMap<string, Shape>;

/**
 * @param inputShapes shapes that the fixed sizes were made for, by input blob; those not given are taken from the Input
 * nodes, and without any the pass does nothing.
 */
export function makeSizesDynamic(inputShapes: Record<string, Shape> = {}): Pass {
  return {
    name: "dynamic-sizes",
    run(graph, log) {
      const candidates = graph.nodes.filter((node) => hasFixedExtents(node) || hasFixedTarget(node));
      if (candidates.length === 0) return 0;
      const shapes = shapesOf(graph, inputShapes, log);
      return shapes ? rewriteSizes(graph, shapes, log) : 0;
    },
  };
}

function hasFixedExtents(node: Node): boolean {
  const p = match(node, reshape);
  if (!p || p.shape_expr) return false;
  return ![p.w, p.h, p.d, p.c].some((extent) => extent === -1 || extent === 0);
}

function hasFixedTarget(node: Node): boolean {
  const p = match(node, interp);
  if (!p || node.inputs.length !== 1 || p.size_expr) return false;
  return p.output_height > 0 && p.output_width > 0;
}

function shapesOf(graph: Graph, inputShapes: Record<string, Shape>, log?: Log): Shapes | undefined {
  try {
    return inferShapes(graph, ops, inputShapes);
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    log?.(`nothing is changed: ${error.message}`);
    return undefined;
  }
}

/**
 * Goes through the nodes with the shapes at the given size and at twice that size (width and height of every picture):
 * extents that change with it are those that may not stay fixed.
 */
function rewriteSizes(graph: Graph, shapes: Shapes, log?: Log): number {
  const larger = new Map<string, Shape>();
  let count = 0;
  for (const node of graph.nodes) {
    const [input] = node.inputs.map((blob) => shapes.get(blob)!);
    const [largeInput] = node.inputs.map((blob) => larger.get(blob)!);
    if (hasFixedTarget(node) && makeScale(node, input, largeInput)) count++;
    if (hasFixedExtents(node) && input.some((extent, i) => extent !== largeInput[i])) {
      const output = shapes.get(node.outputs[0])!;
      if (makeInferred(node, input, largeInput, output)) count++;
      else if (makeReferred(graph, node, shapes, larger) || makeParts(graph, node, shapes, larger, log))
        count++;
      else {
        log?.(
          `"${node.name}" stays: ${formatShape(input)} to ${formatShape(output)} can be scaled in several ways`,
        );
        return count;
      }
    }
    if (!addShapes(node, larger, shapes, log)) return count;
  }
  return count;
}

/** Shapes of a node's outputs at the larger size; false where the graph does not work at that size. */
function addShapes(node: Node, larger: Map<string, Shape>, shapes: Shapes, log?: Log): boolean {
  if (opOf(node, ops).source === "caller") {
    const shape = shapes.get(node.outputs[0])!;
    larger.set(node.outputs[0], shape.length === 3 ? [shape[0], shape[1] * 2, shape[2] * 2] : shape);
    return true;
  }
  try {
    const inputs = node.inputs.map((blob) => larger.get(blob)!);
    const outputs = opOf(node, ops).shape(inputs, paramsOf(node, ops), node.outputs.length);
    node.outputs.forEach((blob, i) => {
      larger.set(blob, outputs[i]);
    });
    return true;
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    log?.(`the graph is bound to its input size by "${node.name}": ${error.message}`);
    return false;
  }
}

/** Interp to a fixed size that is a whole multiple of a size that changes. */
function makeScale(node: Node, input: Shape, large: Shape): boolean {
  const [h, w] = input.slice(-2);
  const height_scale = num(node, "output_height") / h;
  const width_scale = num(node, "output_width") / w;
  const changes = input.length === 3 && (large[1] !== h || large[2] !== w);
  if (!changes || !Number.isInteger(height_scale) || !Number.isInteger(width_scale)) return false;
  setParams(node, { height_scale, width_scale, output_height: 0, output_width: 0 });
  return true;
}

const axisNames = ["w", "hw", "chw", "cdhw"];

/** Marks the extents of a Reshape that depend on the size; false where it is not clear which do. */
function makeInferred(node: Node, input: Shape, large: Shape, output: Shape): boolean {
  const changes = input.map((extent, i) => extent !== large[i]);
  const open = openAxes(input, changes, output);
  const names = [...axisNames[output.length - 1]];
  const inputNames = [...axisNames[input.length - 1]];
  // Several depend on the size: those that keep their name are copied, and at most one is left to be inferred.
  const copied = open.filter((axis) => {
    const from = inputNames.indexOf(names[axis]);
    return open.length > 1 && from >= 0 && changes[from] && input[from] === output[axis];
  });
  const left = open.filter((axis) => !copied.includes(axis));
  const inferred = left.length > 1 ? inferableAxes(input, changes, output, left) : left;
  if (open.length === 0 || inferred.length > 1 || (left.length > 0 && inferred.length === 0)) return false;
  const values = [...copied.map((axis) => [names[axis], 0]), ...inferred.map((axis) => [names[axis], -1])];
  setParams(node, Object.fromEntries(values));
  return true;
}

/** Steps back that are looked at for a blob of the right size. */
const mostSteps = 40;

/** The nearest blob before a node of which `test` holds, given its shapes at both sizes. */
function nearestBefore(
  graph: Graph,
  node: Node,
  shapes: Shapes,
  larger: Shapes,
  test: (shape: Shape, large: Shape) => boolean,
): string | undefined {
  const producers = graph.producers();
  const seen = new Set(node.inputs);
  for (const blob of seen) {
    if (test(shapes.get(blob)!, larger.get(blob)!)) return blob;
    if (seen.size < mostSteps) for (const input of producers.get(blob)?.inputs ?? []) seen.add(input);
  }
  return undefined;
}

/**
 * A Reshape of which rows and columns both come from one axis (attention gives its positions back their places) takes them from the
 * nearest blob before it that has them: `1w,1h,c` or, with channels last, `c,1w,1h`. False where there is none.
 */
function makeReferred(graph: Graph, node: Node, shapes: Shapes, larger: Shapes): boolean {
  const output = shapes.get(node.outputs[0])!;
  if (output.length !== 3 || node.inputs.length !== 1) return false;
  const [input, large] = [shapes, larger].map((at) => at.get(node.inputs[0])!);
  const changes = input.map((extent, i) => extent !== large[i]);
  const open = openAxes(input, changes, output);
  const [rows, columns] = open;
  if (open.length !== 2 || columns !== rows + 1) return false;
  const channels = elementCount(output) / (output[rows] * output[columns]);
  const found = nearestBefore(graph, node, shapes, larger, (shape, other) => {
    const isOfSize = shape.length === 3 && shape[1] === output[rows] && shape[2] === output[columns];
    // At the other size the elements must come out too.
    return isOfSize && channels * other[1] * other[2] === elementCount(large);
  });
  if (found === undefined) return false;
  node.inputs.push(found);
  for (const extent of ["w", "h", "c"]) delete node.params[extent];
  const extents = output.map((extent, i) => (i === rows ? "1h" : i === columns ? "1w" : extent));
  setParams(node, { shape_expr: extents.reverse().join() });
  return true;
}

/**
 * A Reshape that cuts the positions of a picture, row by row in one axis, into some parts of the same length, as attention within areas
 * does: there are as many parts at every size. False where no picture of so many positions is before it, or the parts are its rows.
 */
function makeParts(graph: Graph, node: Node, shapes: Shapes, larger: Shapes, log?: Log): boolean {
  const [input, large] = [shapes, larger].map((at) => at.get(node.inputs[0])!);
  const output = shapes.get(node.outputs[0])!;
  const changes = input.map((extent, i) => extent !== large[i]);
  const [parts, length, ...more] = openAxes(input, changes, output);
  const axis = changes.indexOf(true);
  const isCut = length === parts + 1 && output[parts] * output[length] === input[axis];
  if (more.length || !isCut || changes.lastIndexOf(true) !== axis) return false;
  const picture = nearestBefore(graph, node, shapes, larger, ([_, h, w], other) => {
    const isWhole = h * w === input[axis] && other[1] * other[2] === large[axis];
    return isWhole && other[1] > h && other[2] > w;
  });
  if (picture === undefined || shapes.get(picture)![1] === output[parts]) return false;
  setParams(node, { [axisNames[output.length - 1][length]]: -1 });
  log?.(`"${node.name}" cuts a picture into ${output[parts]} areas, taken for as many at every size`);
  return true;
}

/** Of several candidates those whose other extents can come from extents that stay: of 8x3x4x6 to 96x6, 6 may be 3x2. */
function inferableAxes(
  input: Shape,
  changes: readonly boolean[],
  output: Shape,
  candidates: readonly number[],
): number[] {
  const fixed = elementCount(input.filter((_, i) => !changes[i]));
  return candidates.filter((axis) => fixed % (elementCount(output) / output[axis]) === 0);
}

/**
 * Axes of the output that depend on the size. A view keeps runs of axes together: of 255x20x20 seen as 3x85x400, 255 is
 * 3x85 and 20x20 is 400. Axes of a run in which something changes are open.
 */
function openAxes(input: Shape, changes: readonly boolean[], output: Shape): number[] {
  const open: number[] = [];
  let i = 0;
  let j = 0;
  while (i < input.length && j < output.length) {
    const [firstI, firstJ] = [i, j];
    let from = input[i++];
    let to = output[j++];
    while (from !== to) {
      if (from < to && i < input.length) from *= input[i++];
      else if (to < from && j < output.length) to *= output[j++];
      else break;
    }
    if (!changes.slice(firstI, i).some(Boolean)) continue;
    for (let axis = firstJ; axis < j; axis++) if (output[axis] !== 1) open.push(axis);
  }
  return open;
}
