/** Layers that change nothing. */
import { match, type Node } from "../ir/graph.ts";
import type { Op, ParamSpecs, ParamValues } from "../ir/op.ts";
import { binaryOp } from "../ops/binary-op.ts";
import { concat } from "../ops/concat.ts";
import { crop, open } from "../ops/crop.ts";
import { dropout } from "../ops/dropout.ts";
import { flatten } from "../ops/flatten.ts";
import { interp } from "../ops/interp.ts";
import { noop } from "../ops/noop.ts";
import { padding } from "../ops/padding.ts";
import { permute } from "../ops/permute.ts";
import { pooling } from "../ops/pooling.ts";
import { relu } from "../ops/relu.ts";
import { absent, reshape } from "../ops/reshape.ts";
import { shuffleChannel } from "../ops/shuffle-channel.ts";
import { share, slice } from "../ops/slice.ts";
import { eachNode } from "./_fold.ts";
import { arithmetic } from "./_params.ts";
import type { Sketch } from "./_sketch.ts";
import type { Pass } from "./pass.ts";

/** Whether a layer of one type changes nothing. */
interface Identity {
  readonly op: Op;
  test(node: Node, input: Sketch | undefined): boolean;
}

function identity<S extends ParamSpecs>(
  op: Op<S>,
  test: (p: ParamValues<S>, node: Node, input: Sketch | undefined) => boolean,
): Identity {
  return { op, test: (node, input) => test(match(node, op)!, node, input) };
}

const all = (value: number, ...values: readonly number[]): boolean => values.every((each) => each === value);

/** x+0, x-0, x·1, x/1, x^1. */
const neutral: Record<string, number> = { add: 0, sub: 0, mul: 1, div: 1, pow: 1 };

/** A start at 0 and an end that is open or where exporters write "as far as it goes". */
function cropsNothing(p: ParamValues<typeof crop.params>, node: Node): boolean {
  const { starts, ends } = p;
  if (starts.length > 0 && ends.length > 0) {
    const isOpen = (end: number): boolean => end === open || end >= 0x7fffffff;
    return starts.every((start) => start === 0 || start === open) && ends.every(isOpen);
  }
  return (
    node.inputs.length === 1 &&
    all(0, p.woffset, p.hoffset, p.doffset, p.coffset) &&
    all(0, p.woffset2, p.hoffset2, p.doffset2, p.coffset2) &&
    all(open, p.outw, p.outh, p.outd, p.outc)
  );
}

/** Extents that are all copied, or a vector of a vector. */
function reshapesNothing(p: ParamValues<typeof reshape.params>, _: Node, input: Sketch | undefined): boolean {
  if (p.shape_expr) return false;
  const given = [p.w, p.h, p.d, p.c].filter((extent) => extent !== absent);
  if (given.length === 1) return input?.rank === 1 && p.w !== absent;
  return given.length === input?.rank && all(0, ...given);
}

const dropouts = identity(dropout, (p) => p.scale === 1);
const noops = identity(noop, (_, node) => node.inputs.length === 1);
const unitPoolings = identity(
  pooling,
  (p) =>
    all(1, p.kernel_w, p.kernel_h, p.stride_w, p.stride_h) &&
    all(0, p.global_pooling, p.adaptive_pooling, p.pad_left, p.pad_right, p.pad_top, p.pad_bottom),
);
const reshapes = identity(reshape, reshapesNothing);
const flattens = identity(flatten, (_p, _n, input) => input?.rank === 1);

const identities: readonly Identity[] = [
  dropouts,
  noops,
  unitPoolings,
  identity(concat, (_, node) => node.inputs.length === 1),
  identity(slice, ({ slices }, node) => node.outputs.length === 1 && (slices[0] ?? share) === share),
  identity(
    interp,
    (p, node, input) =>
      input?.rank === 3 &&
      node.inputs.length === 1 &&
      !p.size_expr &&
      all(1, p.height_scale, p.width_scale) &&
      !(p.output_height && p.output_width),
  ),
  identity(permute, ({ order_type }, _, input) => order_type === 0 || input?.rank === 1),
  identity(shuffleChannel, ({ group, reverse }) => group === 1 && !reverse),
  identity(padding, (p) => all(0, p.top, p.bottom, p.left, p.right, p.front, p.behind)),
  identity(crop, cropsNothing),
  reshapes,
  flattens,
  identity(binaryOp, (_, node) => {
    const { operator, scalar } = arithmetic(node)!;
    return scalar !== undefined && neutral[operator] === scalar;
  }),
  identity(relu, ({ slope }) => slope === 1),
];

function dropping(name: string, chosen: readonly Identity[]): Pass {
  const tests = new Map(chosen.map((each) => [each.op.type, each.test]));
  return {
    name,
    run: (graph, log) =>
      eachNode(
        graph,
        chosen.map(({ op }) => op),
        (node, wiring, sketches) => {
          if (node.outputs.length !== 1 || node.inputs.length === 0) return;
          if (!tests.get(node.type)?.(node, sketches.get(node.inputs[0]))) return;
          if (!wiring.bypass(node)) {
            log?.(`${node.type} "${node.name}" stays: it gives the output "${node.outputs[0]}" its name`);
          }
        },
      ),
  };
}

export const dropIdentities = dropping("drop-identities", identities);

/** Those that ncnnoptimize knows, in its order. */
export const dropDropout = dropping("drop-dropout", [dropouts]);
export const dropUnitPooling = dropping("drop-unit-pooling", [unitPoolings]);
export const dropNoop = dropping("drop-noop", [noops]);
/** Flatten or Reshape of what is a vector already: behind global pooling and fully connected layers. */
export const dropFlatten = dropping("drop-flatten", [flattens, reshapes]);
