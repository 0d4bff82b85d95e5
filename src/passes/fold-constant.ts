/**
 * conv(x) with a constant added, subtracted, multiplied or divided by, one value or one per channel: moves into the
 * weights and the bias. The constant is a scalar parameter or a MemoryData blob.
 */
import { match, type Node } from "../ir/graph.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { binaryOp, binaryOpTypes } from "../ops/binary-op.ts";
import { memoryData } from "../ops/memory-data.ts";
import { foldPass, type Reading } from "./_fold.ts";
import type { Affine } from "./_linear.ts";

/** What x becomes, for the constant k; the `r` forms have the operands swapped. */
const affines: Record<string, (k: number) => readonly [scale: number, shift: number]> = {
  add: (k) => [1, k],
  sub: (k) => [1, -k],
  rsub: (k) => [-1, k],
  mul: (k) => [k, 0],
  div: (k) => [1 / k, 0],
};
const whenSwapped: Record<string, string> = { add: "add", sub: "rsub", rsub: "sub", mul: "mul", div: "rdiv" };

function affineOfBlob({ reader, blob, sketch, wiring }: Reading): Affine | undefined {
  const p = match(reader, binaryOp);
  if (!p || p.with_scalar) return undefined;
  const type = binaryOpTypes[p.op_type];
  const isSwapped = reader.inputs[0] !== blob;
  const memory = wiring.producer(reader.inputs[isSwapped ? 0 : 1]);
  const values = memory && perChannel(memory, sketch.rank);
  return values && affine(isSwapped ? whenSwapped[type] : type, values.length, (c) => values[c]);
}

function affineOfScalar({ reader }: Reading): Affine | undefined {
  const p = match(reader, binaryOp);
  return p?.with_scalar ? affine(binaryOpTypes[p.op_type], undefined, () => p.b) : undefined;
}

function affine(
  type: string,
  channels: number | undefined,
  value: (c: number) => number,
): Affine | undefined {
  const rule = affines[type];
  if (!rule) return undefined;
  return { channels, scale: (c) => rule(value(c))[0], shift: (c) => rule(value(c))[1] };
}

/** The values of a constant that has only an outermost extent and does not raise the rank of what it meets. */
function perChannel(memory: Node, rank: number | undefined): Float32Array | undefined {
  const p = match(memory, memoryData);
  if (!p) return undefined;
  const shape = [p.c, p.d, p.h, p.w].filter((extent) => extent > 0);
  if (shape.length === 0 || rank === undefined || shape.length > rank) return undefined;
  return shape.slice(1).every((extent) => extent === 1) ? weightToFloat32(memory.weights.data) : undefined;
}

/** Constants that are blobs. */
export const foldConstant = foldPass("fold-constant", affineOfBlob);
/** Constants that are parameters. */
export const foldScalar = foldPass("fold-scalar", affineOfScalar);
