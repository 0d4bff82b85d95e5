/**
 * Crop: a box cut out of a blob. Three ways to say which: offsets with extents, numpy-style starts/ends/axes, or the
 * size of a second input. Source: ncnn src/layer/crop.cpp.
 */
import { GraphError, UnsupportedError } from "../base/errors.ts";
import { defineOp, int, ints, type ParamValues, string } from "../ir/op.ts";
import type { Shape } from "../ir/tensor.ts";
import { evaluateSizes } from "./_expression.ts";
import { axisNames, gather, namedExtents, resolveAxis, stridesOf } from "./shapes.ts";

/** As an extent: all that is left; as a start or end: open. */
export const open = -233;

const cropParams = {
  woffset: int(0),
  hoffset: int(1),
  doffset: int(13),
  coffset: int(2),
  outw: int(3),
  outh: int(4),
  outd: int(14),
  outc: int(5),
  woffset2: int(6),
  hoffset2: int(7),
  doffset2: int(15),
  coffset2: int(8),
  starts: ints(9),
  ends: ints(10),
  axes: ints(11),
  starts_expr: string(19),
  ends_expr: string(20),
  axes_expr: string(21),
};
type P = ParamValues<typeof cropParams>;

export const crop = defineOp({
  type: "Crop",
  typeIndex: 7,
  int8Inputs: true,
  moves: true,
  params: cropParams,
  inputs: [1, 10],
  shape: (inputs, p) => [cropBox(inputs, p).shape],
  reference: (inputs, p) => {
    const [{ shape: from, data }] = inputs;
    const box = cropBox(
      inputs.map((input) => input.shape),
      p,
    );
    const strides = stridesOf(from);
    const offset = box.starts.reduce((sum, start, i) => sum + start * strides[i], 0);
    return [gather(data, box.shape, strides, offset)];
  },
});

export interface Box {
  starts: number[];
  shape: number[];
}

export function cropBox(inputs: readonly Shape[], p: P): Box {
  const [input, target] = inputs;
  const slices = slicesOf(inputs, p);
  const box = slices ? slicedBox(input, slices) : offsetBox(input, p, target);
  box.shape.forEach((extent, i) => {
    if (extent < 1 || box.starts[i] < 0 || box.starts[i] + extent > input[i]) {
      throw new GraphError(
        `[${box.starts[i]}, ${box.starts[i] + extent}) is not inside axis ${i}, which has extent ${input[i]}`,
      );
    }
  });
  return box;
}

type Slices = Pick<P, "starts" | "ends" | "axes">;

/** Starts, ends and axes in the style of numpy, where they are given: as numbers, or all as expressions. */
function slicesOf(inputs: readonly Shape[], p: P): Slices | undefined {
  if (!p.starts_expr && !p.ends_expr && !p.axes_expr) {
    return p.starts.length > 0 && p.ends.length > 0 ? p : undefined;
  }
  if (!p.starts_expr || !p.ends_expr || p.starts.length || p.ends.length || p.axes.length) {
    throw new GraphError(
      "expressions (19, 20, 21) beside numbers (9, 10, 11): expected starts, ends and axes of one kind",
    );
  }
  const [starts, ends] = [evaluateSizes(p.starts_expr, inputs), evaluateSizes(p.ends_expr, inputs)];
  return { starts, ends, axes: p.axes_expr ? evaluateSizes(p.axes_expr, inputs) : [] };
}

function slicedBox(input: Shape, p: Slices): Box {
  const box = { starts: input.map(() => 0), shape: [...input] };
  const axes = p.axes.length ? p.axes : p.starts.map((_, i) => i);
  if (p.starts.length !== axes.length || p.ends.length !== axes.length) {
    throw new GraphError(
      `${p.starts.length} starts and ${p.ends.length} ends for ${axes.length} axes; their numbers must agree`,
    );
  }
  axes.forEach((given, i) => {
    const axis = resolveAxis(given, input.length);
    const n = input[axis];
    const start = p.starts[i] === open ? 0 : p.starts[i] < 0 ? p.starts[i] + n : p.starts[i];
    const end = p.ends[i] === open ? n : Math.min(p.ends[i] <= 0 ? p.ends[i] + n : p.ends[i], n);
    box.starts[axis] = start;
    box.shape[axis] = end - start;
  });
  return box;
}

function offsetBox(input: Shape, p: P, target: Shape | undefined): Box {
  if (target && p.woffset === open) {
    throw new UnsupportedError("Crop with offsets from its second input (0=-233) is not supported");
  }
  const names = [...axisNames(input.length)] as ("w" | "h" | "d" | "c")[];
  const starts = names.map((name) => p[`${name}offset`]);
  const shape = names.map((name, i) => {
    if (target) {
      const same = target.length === input.length;
      return name === "c" && !same ? input[i] - starts[i] : namedExtents(target)[name];
    }
    const rest = input[i] - starts[i] - p[`${name}offset2`];
    return p[`out${name}`] === open ? rest : Math.min(p[`out${name}`], rest);
  });
  return { starts, shape };
}
