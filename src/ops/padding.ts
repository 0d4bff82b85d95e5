/** Padding: a border around a blob, constant, replicated or reflected. Source: ncnn src/layer/padding.cpp. */
import { GraphError, UnsupportedError } from "../base/errors.ts";
import { defineOp, float, int, type ParamValues } from "../ir/op.ts";
import { elementCount, type Shape, type Tensor } from "../ir/tensor.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { axisNames, emptyLike, leftPadded, stridesOf } from "./shapes.ts";

export const paddingTypes = { constant: 0, replicate: 1, reflect: 2 } as const;

const paddingParams = {
  top: int(0),
  bottom: int(1),
  left: int(2),
  right: int(3),
  type: int(4),
  value: float(5),
  per_channel_pad_data_size: int(6),
  front: int(7),
  behind: int(8, "front"),
};
type P = ParamValues<typeof paddingParams>;

/** Cells before and after every axis; front and behind are channels of rank 3 and depth of rank 4. */
function padsOf(rank: number, p: P): [number, number][] {
  const pads: Record<string, [number, number]> = {
    w: [p.left, p.right],
    h: [p.top, p.bottom],
    d: [p.front, p.behind],
    c: rank === 3 ? [p.front, p.behind] : [0, 0],
  };
  return [...axisNames(rank)].map((name) => pads[name]);
}

export const padding = defineOp({
  type: "Padding",
  typeIndex: 43,
  int8Inputs: true,
  params: paddingParams,
  weights: ({ per_channel_pad_data_size: count }) =>
    count ? [{ name: "per_channel_pad", count, kind: "raw" }] : [],
  shape: ([input], p) => {
    const pads = padsOf(input.length, p);
    if (pads.flat().some((pad) => pad < 0)) {
      throw new UnsupportedError("Padding by negative or run-time amounts is not supported");
    }
    if (![0, 1, 2].includes(p.type)) {
      throw new GraphError(`type is ${p.type}, expected 0 (constant), 1 (replicate) or 2 (reflect)`);
    }
    const shape = input.map((extent, i) => extent + pads[i][0] + pads[i][1]);
    if (p.type === paddingTypes.reflect) {
      const tooSmall = input.findIndex((extent, i) => Math.max(...pads[i]) >= extent);
      if (tooSmall >= 0) {
        throw new GraphError(
          `cannot reflect ${Math.max(...pads[tooSmall])} cells of an extent of ${input[tooSmall]}`,
        );
      }
    }
    if (p.per_channel_pad_data_size && p.per_channel_pad_data_size !== shape[0]) {
      throw new GraphError(`${p.per_channel_pad_data_size} pad values for ${shape[0]} output channels`);
    }
    return [shape];
  },
  reference: ([input], p, weights, [shape]) => {
    const perChannel = p.per_channel_pad_data_size ? weightToFloat32(weights.per_channel_pad) : undefined;
    return [pad(input, p, shape, (channel) => perChannel?.[channel] ?? p.value)];
  },
});

/** Input positions of an axis's output positions; -1 where the border value goes. */
function sources(n: number, [before, after]: [number, number], type: number): Int32Array {
  return Int32Array.from({ length: before + n + after }, (_, o) => {
    const i = o - before;
    if (i >= 0 && i < n) return i;
    if (type === paddingTypes.constant) return -1;
    if (type === paddingTypes.replicate) return i < 0 ? 0 : n - 1;
    return i < 0 ? -i : 2 * (n - 1) - i;
  });
}

function pad(input: Tensor, p: P, shape: Shape, borderValue: (channel: number) => number): Tensor {
  const data = emptyLike(input.data, elementCount(shape));
  const pads = padsOf(shape.length, p);
  const axes = input.shape.map((extent, i) => sources(extent, pads[i], p.type));
  while (axes.length < 4) axes.unshift(Int32Array.of(0));
  const [s0, s1, s2] = leftPadded(stridesOf(input.shape), 0);
  const perChannel = data.length / shape[0];
  let o = 0;
  for (const i0 of axes[0]) {
    for (const i1 of axes[1]) {
      for (const i2 of axes[2]) {
        const row = Math.min(i0, i1, i2) < 0 ? -1 : i0 * s0 + i1 * s1 + i2 * s2;
        for (const i3 of axes[3]) {
          data[o] = row < 0 || i3 < 0 ? borderValue(Math.floor(o / perChannel)) : input.data[row + i3];
          o++;
        }
      }
    }
  }
  return { shape, data };
}
