/** Tile: repeats a blob along one axis, or along every axis as numpy's tile does. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int, ints, type ParamValues } from "../ir/op.ts";
import { elementCount, type Shape } from "../ir/tensor.ts";
import { emptyLike, leftPadded, resolveAxis, stridesOf } from "./shapes.ts";

const tileParams = { axis: int(0), tiles: int(1, 1), repeats: ints(2) };

/** Repeats of every axis of the result, outermost first; may be longer than the input's rank. */
function repeatsOf(input: Shape, p: ParamValues<typeof tileParams>): number[] {
  const ones = input.map(() => 1);
  if (p.repeats.length === 0) return ones.with(resolveAxis(p.axis, input.length), p.tiles);
  return [...ones.slice(p.repeats.length), ...p.repeats];
}

export const tile = defineOp({
  type: "Tile",
  typeIndex: 37,
  int8Inputs: true,
  params: tileParams,
  shape: ([input], p) => {
    const repeats = repeatsOf(input, p);
    if (repeats.length > 4) throw new GraphError(`${repeats.length} repeats, the most is 4`);
    const bad = repeats.find((n) => n < 1);
    if (bad !== undefined) throw new GraphError(`a repeat of ${bad}, expected at least 1`);
    const padded = [...repeats.slice(input.length).map(() => 1), ...input];
    return [padded.map((extent, i) => extent * repeats[i])];
  },
  reference: ([input], _p, _w, [shape]) => {
    const data = emptyLike(input.data, elementCount(shape));
    const from = leftPadded(input.shape, 1);
    const strides = stridesOf(from);
    const [n0, n1, n2, n3] = leftPadded(shape, 1);
    let o = 0;
    for (let i0 = 0; i0 < n0; i0++) {
      for (let i1 = 0; i1 < n1; i1++) {
        for (let i2 = 0; i2 < n2; i2++) {
          const row = (i0 % from[0]) * strides[0] + (i1 % from[1]) * strides[1] + (i2 % from[2]) * strides[2];
          for (let i3 = 0; i3 < n3; i3++) data[o++] = input.data[row + (i3 % from[3])];
        }
      }
    }
    return [{ shape, data }];
  },
});
