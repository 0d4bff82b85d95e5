/** Layers that change nothing. */
import type { Node } from "../ir/graph.ts";
import { binaryOpTypes } from "../ops/binary-op.ts";
import { eachNode } from "./_fold.ts";
import { list, num } from "./_params.ts";
import type { Sketch } from "./_sketch.ts";
import type { Pass } from "./pass.ts";

type Test = (node: Node, input: Sketch | undefined) => boolean;

const all = (node: Node, names: readonly string[], value: number): boolean =>
  names.every((name) => num(node, name) === value);

/** x+0, x-0, x·1, x/1, x^1. */
const neutral: Record<string, number> = { add: 0, sub: 0, mul: 1, div: 1, pow: 1 };

/** A start at 0 and an end that is open or where exporters write "as far as it goes". */
function cropsNothing(node: Node): boolean {
  const [starts, ends] = [list(node, "starts"), list(node, "ends")];
  if (starts.length > 0 && ends.length > 0) {
    const isOpen = (end: number): boolean => end === -233 || end >= 0x7fffffff;
    return starts.every((start) => start === 0 || start === -233) && ends.every(isOpen);
  }
  const sides = ["w", "h", "d", "c"];
  return (
    node.inputs.length === 1 &&
    sides.every(
      (side) => all(node, [`${side}offset`, `${side}offset2`], 0) && num(node, `out${side}`) === -233,
    )
  );
}

/** Extents that are all copied, or a vector of a vector. */
function reshapesNothing(node: Node, input: Sketch | undefined): boolean {
  if (node.params.shape_expr) return false;
  const given = ["w", "h", "d", "c"].filter((name) => num(node, name) !== -233);
  if (given.length === 1) return input?.rank === 1 && given[0] === "w";
  return given.length === input?.rank && all(node, given, 0);
}

const tests: Record<string, Test> = {
  Dropout: (node) => num(node, "scale") === 1,
  Noop: (node) => node.inputs.length === 1,
  Pooling: (node) =>
    all(node, ["kernel_w", "kernel_h", "stride_w", "stride_h"], 1) &&
    all(node, ["global_pooling", "adaptive_pooling", "pad_left", "pad_right", "pad_top", "pad_bottom"], 0),
  Concat: (node) => node.inputs.length === 1,
  Slice: (node) => node.outputs.length === 1 && (list(node, "slices")[0] ?? -233) === -233,
  Interp: (node, input) =>
    input?.rank === 3 &&
    node.inputs.length === 1 &&
    !node.params.size_expr &&
    all(node, ["height_scale", "width_scale"], 1) &&
    !(num(node, "output_height") && num(node, "output_width")),
  Permute: (node, input) => num(node, "order_type") === 0 || input?.rank === 1,
  ShuffleChannel: (node) => num(node, "group") === 1 && !num(node, "reverse"),
  Padding: (node) => all(node, ["top", "bottom", "left", "right", "front", "behind"], 0),
  Crop: cropsNothing,
  Reshape: reshapesNothing,
  Flatten: (_, input) => input?.rank === 1,
  BinaryOp: (node) =>
    num(node, "with_scalar") !== 0 && neutral[binaryOpTypes[num(node, "op_type")]] === num(node, "b"),
  ReLU: (node) => num(node, "slope") === 1,
};

function dropping(name: string, types: readonly string[]): Pass {
  return {
    name,
    run: (graph, log) =>
      eachNode(graph, types, (node, wiring, sketches) => {
        if (node.outputs.length !== 1 || node.inputs.length === 0) return;
        if (!tests[node.type](node, sketches.get(node.inputs[0]))) return;
        if (!wiring.bypass(node)) {
          log?.(`${node.type} "${node.name}" stays: it gives the output "${node.outputs[0]}" its name`);
        }
      }),
  };
}

export const dropIdentities = dropping("drop-identities", Object.keys(tests));

/** Those that ncnnoptimize knows, in its order. */
export const dropDropout = dropping("drop-dropout", ["Dropout"]);
export const dropUnitPooling = dropping("drop-unit-pooling", ["Pooling"]);
export const dropNoop = dropping("drop-noop", ["Noop"]);
/** Flatten or Reshape of what is a vector already: behind global pooling and fully connected layers. */
export const dropFlatten = dropping("drop-flatten", ["Flatten", "Reshape"]);
