/**
 * Constant evaluation: what shape arithmetic, anchor grids and masks are made of. Every function takes all inputs as
 * constants and gives all outputs. Results are limited in size, since a few bytes can ask for any amount.
 */

import { GraphError } from "../../base/errors.ts";
import { roundHalfEven, sigmoid } from "../../base/maths.ts";
import { elementCount } from "../../ir/tensor.ts";
import { erf } from "../../ops/error-function.ts";
import {
  axesOf,
  broadcastStrides,
  flattenDims,
  normalizeAxis,
  reshapeDims,
  rowMajor,
  sliceArguments,
  sliceRange,
  splitSizes,
  squeezeDims,
  transposePerm,
  unsqueezeDims,
  wholeNumbers,
} from "./arguments.ts";
import { broadcastDims } from "./dims.ts";
import { type ElementType, elementTypeOf, isInteger } from "./elements.ts";
import {
  floatAttribute,
  intAttribute,
  makeTensor,
  type OnnxNode,
  type OnnxTensor,
  tensorAttribute,
  tensorNumbers,
  tensorSize,
} from "./model.ts";

/** Elements that a folded constant may have unless its inputs are that large already. */
export const foldLimit = 2 ** 22;

type Inputs = readonly (OnnxTensor | undefined)[];
export type Evaluate = (node: OnnxNode, inputs: Inputs, opset: number) => OnnxTensor[];

/** Legal, but folding it would cost more memory than the file that asks for it pays for. */
export class FoldRefused extends GraphError {}

function checkSize(dims: readonly number[], inputs: Inputs): void {
  const largest = Math.max(foldLimit, ...inputs.map((t) => (t ? tensorSize(t) : 0)));
  if (dims.some((d) => !(Number.isSafeInteger(d) && d >= 0))) throw new GraphError(`extents [${dims}]`);
  if (elementCount(dims) > largest)
    throw new FoldRefused(`a constant of shape [${dims}] is too large to fold`);
}

function need(inputs: Inputs, index: number): OnnxTensor {
  const input = inputs[index];
  if (!input) throw new GraphError(`input ${index} is missing`);
  return input;
}

/** Calls `visit(offset)` for the offsets given by `strides` in row-major order over `dims`. */
function walk(
  dims: readonly number[],
  strides: readonly number[],
  start: number,
  visit: (at: number) => void,
): void {
  const total = elementCount(dims);
  const index = new Array<number>(dims.length).fill(0);
  let at = start;
  for (let n = 0; n < total; n++) {
    visit(at);
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < dims[axis]) break;
      at -= strides[axis] * dims[axis];
      index[axis] = 0;
    }
  }
}

function gatherBy(
  input: OnnxTensor,
  dims: readonly number[],
  strides: readonly number[],
  start: number,
): OnnxTensor {
  const out = input.data.slice(0, 0).constructor as new (n: number) => OnnxTensor["data"];
  const data = new out(elementCount(dims));
  let n = 0;
  walk(dims, strides, start, (at) => {
    data[n++] = input.data[at];
  });
  return { type: input.type, dims, data };
}

export function broadcastTo(input: OnnxTensor, dims: readonly number[]): OnnxTensor {
  return gatherBy(input, dims, broadcastStrides(input.dims, dims), 0);
}

export function transposeTensor(input: OnnxTensor, perm: readonly number[]): OnnxTensor {
  const strides = rowMajor(input.dims);
  return gatherBy(
    input,
    perm.map((axis) => input.dims[axis]),
    perm.map((axis) => strides[axis]),
    0,
  );
}

const unary =
  (f: (x: number) => number): Evaluate =>
  (_, inputs) => {
    const x = need(inputs, 0);
    return [makeTensor(x.type, x.dims, Array.from(tensorNumbers(x), f))];
  };

const binary =
  (f: (a: number, b: number, type: ElementType) => number, result?: ElementType): Evaluate =>
  (_, inputs) => {
    let acc = need(inputs, 0);
    for (let i = 1; i < Math.max(inputs.length, 2); i++)
      acc = combine(acc, need(inputs, i), f, result, inputs);
    return [acc];
  };

function combine(
  a: OnnxTensor,
  b: OnnxTensor,
  f: (a: number, b: number, type: ElementType) => number,
  result: ElementType | undefined,
  inputs: Inputs,
): OnnxTensor {
  const dims = broadcastDims(a.dims, b.dims) as number[] | undefined;
  if (!dims) throw new GraphError(`shapes [${a.dims}] and [${b.dims}] do not broadcast`);
  checkSize(dims, inputs);
  const x = tensorNumbers(broadcastTo(a, dims));
  const y = tensorNumbers(broadcastTo(b, dims));
  return makeTensor(
    result ?? a.type,
    dims,
    Array.from(x, (v, i) => f(v, y[i], a.type)),
  );
}

const reduce =
  (
    start: number,
    step: (acc: number, x: number) => number,
    end: (acc: number, n: number) => number,
  ): Evaluate =>
  (node, inputs) => {
    const x = need(inputs, 0);
    const rank = x.dims.length;
    const given = axesOf(node, inputs[1]);
    if (!given?.length && intAttribute(node, "noop_with_empty_axes", 0)) return [x];
    const axes = new Set(
      (given?.length ? given : x.dims.map((_, i) => i)).map((a) => normalizeAxis(a, rank)),
    );
    const kept = x.dims.map((_, i) => i).filter((i) => !axes.has(i));
    const moved = tensorNumbers(transposeTensor(x, [...kept, ...axes]));
    const inner = elementCount([...axes].map((a) => x.dims[a]));
    const outer = elementCount(kept.map((a) => x.dims[a]));
    const out: number[] = [];
    for (let o = 0; o < outer; o++) {
      let acc = start;
      for (let i = 0; i < inner; i++) acc = step(acc, moved[o * inner + i]);
      out.push(end(acc, inner));
    }
    const keep = intAttribute(node, "keepdims", 1);
    const dims = keep ? x.dims.map((d, i) => (axes.has(i) ? 1 : d)) : kept.map((a) => x.dims[a]);
    return [makeTensor(x.type, dims, out)];
  };

const slice: Evaluate = (node, inputs) => {
  const x = need(inputs, 0);
  const given = sliceArguments(node, (i) => inputs[i] && wholeNumbers(inputs[i]), x.dims.length);
  if (!given) throw new GraphError("bounds are missing");
  const strides = rowMajor(x.dims);
  const dims = [...x.dims];
  let start = 0;
  given.axes.forEach((axis, i) => {
    const range = sliceRange(x.dims[axis], given.starts[i], given.ends[i], given.steps[i]);
    start += range.start * strides[axis];
    strides[axis] *= range.step;
    dims[axis] = range.length;
  });
  return [gatherBy(x, dims, strides, start)];
};

const gather: Evaluate = (node, inputs) => {
  const x = need(inputs, 0);
  const indices = need(inputs, 1);
  const axis = normalizeAxis(intAttribute(node, "axis", 0), x.dims.length);
  const outer = elementCount(x.dims.slice(0, axis));
  const inner = elementCount(x.dims.slice(axis + 1));
  const dims = [...x.dims.slice(0, axis), ...indices.dims, ...x.dims.slice(axis + 1)];
  checkSize(dims, inputs);
  const extent = x.dims[axis];
  const picked = wholeNumbers(indices).map((i) => {
    if (i < -extent || i >= extent) throw new GraphError(`index ${i} is outside of extent ${extent}`);
    return i < 0 ? i + extent : i;
  });
  const from = tensorNumbers(x);
  const out: number[] = [];
  for (let o = 0; o < outer; o++) {
    for (const index of picked) {
      for (let i = 0; i < inner; i++) out.push(from[(o * extent + index) * inner + i]);
    }
  }
  return [makeTensor(x.type, dims, out)];
};

const concat: Evaluate = (node, inputs) => {
  const parts = inputs.map((_, i) => need(inputs, i));
  const axis = normalizeAxis(intAttribute(node, "axis", 0), parts[0].dims.length);
  const dims = [...parts[0].dims];
  dims[axis] = parts.reduce((sum, part) => sum + part.dims[axis], 0);
  const outer = elementCount(dims.slice(0, axis));
  const out: number[] = [];
  const rows = parts.map((part) => ({
    inner: elementCount(part.dims.slice(axis)),
    numbers: tensorNumbers(part),
  }));
  for (let o = 0; o < outer; o++) {
    for (const { inner, numbers } of rows) {
      for (let i = 0; i < inner; i++) out.push(numbers[o * inner + i]);
    }
  }
  if (out.length !== elementCount(dims)) throw new GraphError("shapes to concatenate do not fit");
  return [makeTensor(parts[0].type, dims, out)];
};

const split: Evaluate = (node, inputs) => {
  const x = need(inputs, 0);
  const axis = normalizeAxis(intAttribute(node, "axis", 0), x.dims.length);
  const strides = rowMajor(x.dims);
  let start = 0;
  return splitSizes(node, inputs[1], x.dims[axis]).map((size) => {
    const part = gatherBy(
      x,
      x.dims.map((d, i) => (i === axis ? size : d)),
      strides,
      start * strides[axis],
    );
    start += size;
    return part;
  });
};

const range: Evaluate = (_, inputs) => {
  const [start, limit, delta] = [0, 1, 2].map((i) => tensorNumbers(need(inputs, i))[0]);
  const n = Math.max(Math.ceil((limit - start) / delta), 0);
  if (!(n <= foldLimit)) throw new FoldRefused(`a Range of ${n} elements is too large to fold`);
  return [
    makeTensor(
      need(inputs, 0).type,
      [n],
      Array.from({ length: n }, (_, i) => start + i * delta),
    ),
  ];
};

const constantOfShape: Evaluate = (node, inputs) => {
  const dims = wholeNumbers(need(inputs, 0));
  if (dims.some((d) => d < 0)) throw new GraphError(`negative extent in [${dims}]`);
  checkSize(dims, inputs);
  const value = tensorAttribute(node, "value");
  const fill = value ? tensorNumbers(value)[0] : 0;
  return [makeTensor(value?.type ?? "float32", dims, new Array<number>(elementCount(dims)).fill(fill))];
};

const expand: Evaluate = (_, inputs) => {
  const x = need(inputs, 0);
  const dims = broadcastDims(x.dims, wholeNumbers(need(inputs, 1))) as number[] | undefined;
  if (!dims) throw new GraphError("shapes do not broadcast");
  checkSize(dims, inputs);
  return [broadcastTo(x, dims)];
};

const tile: Evaluate = (_, inputs) => {
  const x = need(inputs, 0);
  const repeats = wholeNumbers(need(inputs, 1));
  const dims = x.dims.map((d, i) => d * (repeats[i] ?? 1));
  checkSize(dims, inputs);
  // [d] repeated r times is [r, d] broadcast from [1, d], seen as [r·d].
  const source = x.dims.flatMap((d) => [1, d]);
  const target = x.dims.flatMap((d, i) => [repeats[i] ?? 1, d]);
  return [{ ...broadcastTo({ ...x, dims: source }, target), dims }];
};

const cast =
  (target: (node: OnnxNode, inputs: Inputs) => ElementType): Evaluate =>
  (node, inputs) => {
    const x = need(inputs, 0);
    const to = target(node, inputs);
    const numbers = tensorNumbers(x);
    const truncates = isInteger(to) && to !== "bool" && !isInteger(x.type);
    return [makeTensor(to, x.dims, truncates ? Array.from(numbers, Math.trunc) : numbers)];
  };

const where: Evaluate = (_, inputs) => {
  const [condition, a, b] = [0, 1, 2].map((i) => need(inputs, i));
  const partial = broadcastDims(a.dims, b.dims);
  const dims = partial && (broadcastDims(partial, condition.dims) as number[] | undefined);
  if (!dims) throw new GraphError("shapes do not broadcast");
  checkSize(dims, inputs);
  const [c, x, y] = [condition, a, b].map((t) => tensorNumbers(broadcastTo(t, dims)));
  return [
    makeTensor(
      a.type,
      dims,
      Array.from(c, (v, i) => (v ? x[i] : y[i])),
    ),
  ];
};

const scatterNd: Evaluate = (_, inputs) => {
  const [x, indices, updates] = [0, 1, 2].map((i) => need(inputs, i));
  const depth = indices.dims.at(-1) ?? 0;
  const strides = rowMajor(x.dims);
  const inner = elementCount(x.dims.slice(depth));
  const data = x.data.slice();
  const at = tensorNumbers(indices);
  for (let n = 0; n < at.length / depth; n++) {
    let offset = 0;
    for (let d = 0; d < depth; d++) {
      const i = at[n * depth + d];
      offset += (i < 0 ? i + x.dims[d] : i) * strides[d];
    }
    for (let i = 0; i < inner; i++) data[offset + i] = updates.data[n * inner + i];
  }
  return [{ ...x, data }];
};

const clip: Evaluate = (node, inputs, opset) => {
  const bound = (i: number): number | undefined => inputs[i] && tensorNumbers(need(inputs, i))[0];
  const low = bound(1) ?? floatAttribute(node, "min", Number.NEGATIVE_INFINITY);
  const high = bound(2) ?? floatAttribute(node, "max", Number.POSITIVE_INFINITY);
  return unary((x) => Math.min(Math.max(x, low), high))(node, inputs, opset);
};

/** Places of the elements that are not 0, an axis a row: how arange was exported before Range. */
const nonZero: Evaluate = (_, inputs) => {
  const x = need(inputs, 0);
  const places = Array.from(tensorNumbers(x), (value, i) => (value === 0 ? -1 : i)).filter((i) => i >= 0);
  const dims = [x.dims.length, places.length];
  checkSize(dims, inputs);
  const data = rowMajor(x.dims).flatMap((stride, axis) =>
    places.map((i) => Math.floor(i / stride) % x.dims[axis]),
  );
  return [makeTensor("int64", dims, data)];
};

const matMul: Evaluate = (_, inputs) => {
  const [a, b] = [need(inputs, 0), need(inputs, 1)];
  if (a.dims.length !== 2 || b.dims.length !== 2 || a.dims[1] !== b.dims[0]) {
    throw new FoldRefused("only constant products of two matrices are folded");
  }
  const [m, k] = a.dims;
  const n = b.dims[1];
  if (m * k * n > foldLimit * 16) throw new FoldRefused("the product is too large to fold");
  const [x, y] = [tensorNumbers(a), tensorNumbers(b)];
  const out = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < k; j++) for (let o = 0; o < n; o++) out[i * n + o] += x[i * k + j] * y[j * n + o];
  }
  return [makeTensor(a.type, [m, n], out)];
};

const withDims =
  (dims: (node: OnnxNode, inputs: Inputs, opset: number) => readonly number[]): Evaluate =>
  (node, inputs, opset) => {
    const x = need(inputs, 0);
    const result = dims(node, inputs, opset);
    if (elementCount(result) !== tensorSize(x)) throw new GraphError(`[${x.dims}] cannot become [${result}]`);
    return [{ ...x, dims: result }];
  };

const compare = (f: (a: number, b: number) => boolean): Evaluate =>
  binary((a, b) => (f(a, b) ? 1 : 0), "bool");

/** Operators that are folded when all their inputs are constant. */
export const evaluators: Record<string, Evaluate> = {
  Abs: unary(Math.abs),
  Add: binary((a, b) => a + b),
  And: compare((a, b) => Boolean(a && b)),
  Cast: cast((node) => {
    const code = intAttribute(node, "to", 0);
    const type = elementTypeOf(code);
    if (!type) throw new GraphError(`element type ${code} is not supported`);
    return type;
  }),
  CastLike: cast((_, inputs) => need(inputs, 1).type),
  Ceil: unary(Math.ceil),
  Clip: clip,
  Concat: concat,
  ConstantOfShape: constantOfShape,
  Cos: unary(Math.cos),
  Div: binary((a, b, type) => (isInteger(type) ? Math.trunc(a / (b || Number.NaN)) : a / b)),
  Equal: compare((a, b) => a === b),
  Erf: unary(erf),
  Exp: unary(Math.exp),
  Expand: expand,
  Flatten: withDims((node, inputs) => flattenDims(need(inputs, 0).dims, intAttribute(node, "axis", 1))),
  Floor: unary(Math.floor),
  Gather: gather,
  Greater: compare((a, b) => a > b),
  GreaterOrEqual: compare((a, b) => a >= b),
  Identity: (_, inputs) => [need(inputs, 0)],
  Less: compare((a, b) => a < b),
  LessOrEqual: compare((a, b) => a <= b),
  Log: unary(Math.log),
  MatMul: matMul,
  Max: binary((a, b) => Math.max(a, b)),
  Min: binary((a, b) => Math.min(a, b)),
  Mod: (node, inputs, opset) => {
    const isFmod = intAttribute(node, "fmod", 0) === 1;
    return binary((a, b) => (isFmod ? a % b : a - b * Math.floor(a / b)))(node, inputs, opset);
  },
  Mul: binary((a, b) => a * b),
  Neg: unary((x) => (x === 0 ? 0 : -x)),
  NonZero: nonZero,
  Not: unary((x) => (x ? 0 : 1)),
  Or: compare((a, b) => Boolean(a || b)),
  Pow: binary((a, b) => a ** b),
  Range: range,
  Reciprocal: unary((x) => 1 / x),
  ReduceMax: reduce(Number.NEGATIVE_INFINITY, Math.max, (v) => v),
  ReduceMean: reduce(
    0,
    (acc, x) => acc + x,
    (v, n) => v / n,
  ),
  ReduceMin: reduce(Number.POSITIVE_INFINITY, Math.min, (v) => v),
  ReduceProd: reduce(
    1,
    (acc, x) => acc * x,
    (v) => v,
  ),
  ReduceSum: reduce(
    0,
    (acc, x) => acc + x,
    (v) => v,
  ),
  Reshape: withDims((node, inputs) =>
    reshapeDims(
      need(inputs, 0).dims,
      wholeNumbers(need(inputs, 1)),
      intAttribute(node, "allowzero", 0) === 1,
    ),
  ),
  Round: unary(roundHalfEven),
  ScatterND: scatterNd,
  Sigmoid: unary(sigmoid),
  Sin: unary(Math.sin),
  Slice: slice,
  Softplus: unary((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  Split: split,
  Sqrt: unary(Math.sqrt),
  Squeeze: withDims((node, inputs) => squeezeDims(need(inputs, 0).dims, axesOf(node, inputs[1]))),
  Sub: binary((a, b) => a - b),
  Sum: binary((a, b) => a + b),
  Tanh: unary(Math.tanh),
  Tile: tile,
  Transpose: (node, inputs) => {
    const x = need(inputs, 0);
    return [transposeTensor(x, transposePerm(node, x.dims.length))];
  },
  Unsqueeze: withDims((node, inputs) =>
    unsqueezeDims(need(inputs, 0).dims, axesOf(node, inputs[1]) ?? [], 1),
  ),
  Where: where,
  LeakyRelu: (node, inputs, opset) => {
    const slope = floatAttribute(node, "alpha", 0.01);
    return unary((x) => (x < 0 ? slope * x : x))(node, inputs, opset);
  },
  Relu: unary((x) => Math.max(x, 0)),
};
