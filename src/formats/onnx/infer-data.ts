/** Values of small whole-number tensors: what shape arithmetic computes, on numbers and on names of open extents. */
import { sliceArguments, sliceRange } from "./arguments.ts";
import { addDims, divideDims, multiplyDims, symbolFor } from "./dims.ts";
import { elementTypeOf } from "./elements.ts";
import { type InferContext, numbers, shapeData } from "./infer.ts";
import { type Dim, intAttribute } from "./model.ts";

type DataRule = (c: InferContext) => Dim[] | undefined;

/** Integer arithmetic on extents; `f` gets numbers, `symbolic` what to do with names. */
const arithmetic =
  (f: (a: number, b: number) => number, symbolic: (a: Dim, b: Dim) => Dim): DataRule =>
  (c) => {
    const [a, b] = [c.data(0), c.data(1)];
    if (!a || !b || (a.length !== b.length && a.length !== 1 && b.length !== 1)) return undefined;
    return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => {
      const [x, y] = [a[a.length === 1 ? 0 : i], b[b.length === 1 ? 0 : i]];
      return typeof x === "number" && typeof y === "number" ? f(x, y) : symbolic(x, y);
    });
  };

const isWholeData = (c: InferContext): boolean => c.type(0) === undefined || /int/.test(c.type(0) ?? "");
const passData: DataRule = (c) => c.data(0)?.slice();

/** Rules for the values of small integer tensors. */
export const dataRules: Record<string, DataRule> = {
  Add: arithmetic((a, b) => a + b, addDims),
  Cast: (c) => {
    const type = elementTypeOf(intAttribute(c.node, "to", 0));
    const data = c.data(0);
    // A name cast to float stays the same quantity; rounding back to a whole number changes nothing.
    return type === "bool" ? undefined : data?.slice();
  },
  Concat: (c) => {
    const parts = c.node.inputs.map((_, i) => c.data(i));
    return parts.includes(undefined) ? undefined : parts.flatMap((part) => part ?? []);
  },
  Div: (c) =>
    isWholeData(c)
      ? arithmetic(
          (a, b) => Math.trunc(a / (b || Number.NaN)),
          (a, b) => divideDims(a, b) ?? symbolFor(`(${a}/${b})`),
        )(c)
      : undefined,
  Floor: passData,
  Gather: (c) => {
    const [data, indices] = [c.data(0), c.data(1)];
    if (!data || !indices || c.shape(0)?.length !== 1) return undefined;
    const picked = indices.map((i) =>
      typeof i === "number" ? data[i < 0 ? i + data.length : i] : undefined,
    );
    return picked.includes(undefined) ? undefined : (picked as Dim[]);
  },
  Identity: passData,
  Max: arithmetic(Math.max, (a, b) => symbolFor(`max(${a},${b})`)),
  Min: arithmetic(Math.min, (a, b) => symbolFor(`min(${a},${b})`)),
  Mul: arithmetic(
    (a, b) => a * b,
    (a, b) => multiplyDims([a, b]),
  ),
  ReduceProd: (c) => {
    const data = c.data(0);
    return data && [multiplyDims(data)];
  },
  Reshape: passData,
  Shape: shapeData,
  Size: (c) => {
    const x = c.shape(0);
    return x && [multiplyDims(x)];
  },
  Slice: (c) => {
    const data = c.data(0);
    if (!data || c.shape(0)?.length !== 1) return undefined;
    const given = sliceArguments(c.node, (i) => numbers(c.constant(i)), 1);
    if (given?.axes.length !== 1) return undefined;
    const range = sliceRange(data.length, given.starts[0], given.ends[0], given.steps[0]);
    return Array.from({ length: range.length }, (_, i) => data[range.start + i * range.step]);
  },
  Squeeze: passData,
  Sub: arithmetic(
    (a, b) => a - b,
    (a, b) => (a === b ? 0 : typeof b === "number" ? addDims(a, -b) : symbolFor(`(${a}-${b})`)),
  ),
  Unsqueeze: passData,
};
