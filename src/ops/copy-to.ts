/** CopyTo: a copy of the first input with the second written into it at an offset. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int, ints, type ParamValues } from "../ir/op.ts";
import { formatShape, type Shape } from "../ir/tensor.ts";
import { axisNames, leftPadded, requireOneType, resolveAxis, stridesOf } from "./shapes.ts";

const copyToParams = {
  woffset: int(0),
  hoffset: int(1),
  doffset: int(13),
  coffset: int(2),
  starts: ints(9),
  axes: ints(11),
};
type P = ParamValues<typeof copyToParams>;

/** Where the second input begins on every axis. */
function startsOf(shape: Shape, p: P): number[] {
  const names = [...axisNames(shape.length)] as ("w" | "h" | "d" | "c")[];
  if (p.starts.length === 0) return names.map((name) => p[`${name}offset`]);
  const starts = shape.map(() => 0);
  const axes = p.axes.length ? p.axes : p.starts.map((_, i) => i);
  axes.forEach((given, i) => {
    const axis = resolveAxis(given, shape.length);
    starts[axis] = p.starts[i] < 0 ? p.starts[i] + shape[axis] : p.starts[i];
  });
  return starts;
}

export const copyTo = defineOp({
  type: "CopyTo",
  typeIndex: 99,
  int8Inputs: true,
  params: copyToParams,
  inputs: [2, 2],
  shape: ([self, source], p) => {
    const starts = startsOf(self, p);
    if (source.length !== self.length || source.some((n, i) => starts[i] < 0 || starts[i] + n > self[i])) {
      throw new GraphError(
        `${formatShape(source)} at ${[...starts].reverse().join(",")} is not inside ${formatShape(self)}`,
      );
    }
    return [self];
  },
  reference: ([self, source], p) => {
    requireOneType([self, source]);
    const data = self.data.slice();
    const strides = stridesOf(self.shape);
    const first = startsOf(self.shape, p).reduce((sum, start, i) => sum + start * strides[i], 0);
    const [n0, n1, n2, n3] = leftPadded(source.shape, 1);
    const [s0, s1, s2] = leftPadded(strides, 0);
    let row = 0;
    for (let i0 = 0; i0 < n0; i0++) {
      for (let i1 = 0; i1 < n1; i1++) {
        for (let i2 = 0; i2 < n2; i2++, row += n3) {
          data.set(source.data.subarray(row, row + n3), first + i0 * s0 + i1 * s1 + i2 * s2);
        }
      }
    }
    return [{ shape: self.shape, data }];
  },
});
