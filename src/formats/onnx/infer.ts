/**
 * Shape inference: one rule per operator, from the shapes of its inputs (extents may be names) and from the integers
 * that flow through shape arithmetic. A rule gives `undefined` where a result cannot be told.
 */
import { GraphError } from "../../base/errors.ts";
import {
  axesOf,
  normalizeAxis,
  sliceArguments,
  sliceRange,
  splitSizes,
  squeezeDims,
  transposePerm,
  unsqueezeDims,
} from "./arguments.ts";
import { addDims, allKnown, broadcastDims, divideDims, multiplyDims, symbolFor } from "./dims.ts";
import { type ElementType, elementTypeOf } from "./elements.ts";
import {
  type Dim,
  intAttribute,
  intsAttribute,
  type OnnxNode,
  type OnnxTensor,
  stringAttribute,
  tensorNumbers,
} from "./model.ts";
import { isOldResize, resizedShape } from "./resize.ts";

export type OnnxShape = readonly Dim[];

/** What a rule may ask. Inputs that are absent give undefined. */
export interface InferContext {
  readonly node: OnnxNode;
  readonly opset: number;
  shape(input: number): OnnxShape | undefined;
  constant(input: number): OnnxTensor | undefined;
  /** The elements of an integer scalar or list, some of them only by name. */
  data(input: number): readonly Dim[] | undefined;
  type(input: number): ElementType | undefined;
}

type Rule = (c: InferContext) => (OnnxShape | undefined)[] | undefined;

export const numbers = (tensor: OnnxTensor | undefined): number[] | undefined =>
  tensor && Array.from(tensorNumbers(tensor));

const same: Rule = (c) => {
  const shape = c.shape(0);
  return c.node.outputs.map(() => shape);
};

const broadcast: Rule = (c) => {
  let result: OnnxShape | undefined = [];
  for (let i = 0; i < c.node.inputs.length; i++) {
    const next = c.shape(i);
    if (!next) return undefined;
    const joined: Dim[] | undefined = broadcastDims(result, next);
    if (!joined) throw new GraphError(`shapes [${result}] and [${next}] do not broadcast`);
    result = joined;
  }
  return [result];
};

/** Padding of a sliding window, per spatial axis. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Before each axis, then after each. */
  readonly pads: readonly number[];
  readonly autoPad: string;
}

/** Attributes of Conv and pooling with defaults for `rank` spatial axes. */
export function windowOf(node: OnnxNode, kernel: readonly number[]): Window {
  const ones = kernel.map(() => 1);
  const window = {
    kernel,
    strides: intsAttribute(node, "strides") ?? ones,
    dilations: intsAttribute(node, "dilations") ?? ones,
    pads: intsAttribute(node, "pads") ?? kernel.flatMap(() => [0, 0]),
    autoPad: stringAttribute(node, "auto_pad", "NOTSET"),
  };
  const { strides, dilations, pads } = window;
  const legal = [...kernel, ...strides, ...dilations].every((v) => v >= 1) && pads.every((v) => v >= 0);
  const n = kernel.length;
  if (!legal || strides.length !== n || dilations.length !== n || pads.length !== 2 * n) {
    throw new GraphError(
      `kernel [${kernel}], strides [${strides}], dilations [${dilations}], pads [${pads}]`,
    );
  }
  return window;
}

function windowExtent(input: Dim, w: Window, axis: number, ceil: boolean): Dim {
  const extent = w.dilations[axis] * (w.kernel[axis] - 1) + 1;
  const stride = w.strides[axis];
  const before = w.pads[axis];
  const after = w.pads[axis + w.kernel.length];
  const isSame = w.autoPad.startsWith("SAME");
  const pads = w.autoPad === "VALID" ? 0 : before + after;
  if (typeof input === "string") {
    if (stride === 1 && (isSame || pads === extent - 1)) return input;
    return symbolFor(`win(${input},${extent},${stride},${isSame ? "same" : pads}${ceil ? ",ceil" : ""})`);
  }
  if (isSame) return Math.ceil(input / stride);
  const steps = (input + pads - extent) / stride;
  let output = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
  // A last window must start inside the input or its padding before.
  if (ceil && (output - 1) * stride >= input + before) output--;
  if (output < 1) throw new GraphError(`input extent ${input} is smaller than the window`);
  return output;
}

/** The group of a convolution whose weights have `extent` along the axis that is grouped. */
function groupOf(node: OnnxNode, extent: number): number {
  const group = intAttribute(node, "group", 1);
  if (group < 1 || extent % group) throw new GraphError(`${extent} channels in ${group} groups`);
  return group;
}

const conv: Rule = (c) => {
  const [x, w] = [c.shape(0), c.shape(1)];
  if (!x || !w || !allKnown(w)) return undefined;
  if (x.length !== w.length || x.length < 3)
    throw new GraphError(`input [${x}] and weights [${w}] do not fit`);
  const group = groupOf(c.node, w[0]);
  if (typeof x[1] === "number" && x[1] !== w[1] * group) {
    throw new GraphError(
      `${x[1]} input channels, the weights [${w}] in ${group} groups need ${w[1] * group}`,
    );
  }
  const window = windowOf(c.node, intsAttribute(c.node, "kernel_shape") ?? w.slice(2));
  return [[x[0], w[0], ...x.slice(2).map((d, i) => windowExtent(d, window, i, false))]];
};

const convTranspose: Rule = (c) => {
  const [x, w] = [c.shape(0), c.shape(1)];
  if (!x || !w || !allKnown(w)) return undefined;
  if (x.length !== w.length || x.length < 3)
    throw new GraphError(`input [${x}] and weights [${w}] do not fit`);
  const group = groupOf(c.node, w[0]);
  if (typeof x[1] === "number" && x[1] !== w[0]) {
    throw new GraphError(`${x[1]} input channels, the weights [${w}] need ${w[0]}`);
  }
  const window = windowOf(c.node, intsAttribute(c.node, "kernel_shape") ?? w.slice(2));
  const outputPadding = intsAttribute(c.node, "output_padding");
  const outputShape = intsAttribute(c.node, "output_shape");
  const n = window.kernel.length;
  const spatial = x.slice(2).map((d, i): Dim => {
    if (outputShape) return outputShape[i + outputShape.length - n];
    const stride = window.strides[i];
    if (window.autoPad.startsWith("SAME")) return multiplyDims([d, stride]);
    const pads = window.autoPad === "VALID" ? 0 : window.pads[i] + window.pads[i + n];
    const extra =
      window.dilations[i] * (window.kernel[i] - 1) + 1 + (outputPadding?.[i] ?? 0) - pads - stride;
    return addDims(multiplyDims([d, stride]), extra);
  });
  return [[x[0], w[1] * group, ...spatial]];
};

const pool: Rule = (c) => {
  const x = c.shape(0);
  const kernel = intsAttribute(c.node, "kernel_shape");
  if (!x || !kernel) return undefined;
  if (x.length !== kernel.length + 2) throw new GraphError(`input [${x}] and kernel [${kernel}] do not fit`);
  const window = windowOf(c.node, kernel);
  const ceil = intAttribute(c.node, "ceil_mode", 0) === 1;
  const result = [x[0], x[1], ...x.slice(2).map((d, i) => windowExtent(d, window, i, ceil))];
  return c.node.outputs.map(() => result);
};

const globalPool: Rule = (c) => {
  const x = c.shape(0);
  return x && [x.map((d, i) => (i < 2 ? d : 1))];
};

const concat: Rule = (c) => {
  const shapes = c.node.inputs.map((_, i) => c.shape(i));
  const [first] = shapes;
  if (!first) return undefined;
  const axis = normalizeAxis(intAttribute(c.node, "axis", 0), first.length);
  const result = [...first];
  for (const shape of shapes.slice(1)) {
    if (!shape) return undefined;
    if (shape.length !== first.length) throw new GraphError(`ranks of [${first}] and [${shape}] differ`);
    shape.forEach((d, i) => {
      if (i === axis) result[i] = addDims(result[i], d);
      else if (typeof result[i] === "string" && typeof d === "number") result[i] = d;
      else if (typeof d === "number" && d !== result[i]) {
        throw new GraphError(`shapes [${first}] and [${shape}] differ outside of axis ${axis}`);
      }
    });
  }
  return [result];
};

const split: Rule = (c) => {
  const x = c.shape(0);
  if (!x) return undefined;
  const axis = normalizeAxis(intAttribute(c.node, "axis", 0), x.length);
  const extent = x[axis];
  if (c.node.inputs[1] && !c.constant(1)) return undefined;
  let sizes: readonly Dim[];
  if (typeof extent === "number") sizes = splitSizes(c.node, c.constant(1), extent);
  else {
    const given = numbers(c.constant(1)) ?? intsAttribute(c.node, "split");
    const parts = c.node.outputs.length;
    const each = divideDims(extent, parts) ?? symbolFor(`${extent}/${parts}`);
    sizes = given ?? c.node.outputs.map(() => each);
  }
  return sizes.map((size) => x.map((d, i) => (i === axis ? size : d)));
};

const slice: Rule = (c) => {
  const x = c.shape(0);
  if (!x) return undefined;
  // Ends are often computed from the shape; starts, axes and steps are constants.
  const end = c.node.inputs[2] ? c.data(2) : undefined;
  const given = sliceArguments(
    c.node,
    (i) =>
      i === 2 && end ? end.map((d) => (typeof d === "number" ? d : Number.NaN)) : numbers(c.constant(i)),
    x.length,
  );
  if (!given) return undefined;
  const result = [...x];
  given.axes.forEach((axis, i) => {
    const [start, step] = [given.starts[i], given.steps[i]];
    const to = end?.[i] ?? given.ends[i];
    const extent = result[axis];
    if (typeof extent === "number" && typeof to === "number") {
      result[axis] = sliceRange(extent, start, to, step).length;
    } else if (start === 0 && step === 1 && typeof to === "number" && to >= 2 ** 31 - 1) {
      result[axis] = extent;
    } else result[axis] = symbolFor(`slice(${extent},${start},${to},${step})`);
  });
  return [result];
};

const gather: Rule = (c) => {
  const [x, indices] = [c.shape(0), c.shape(1)];
  if (!x || !indices) return undefined;
  const axis = normalizeAxis(intAttribute(c.node, "axis", 0), x.length);
  return [[...x.slice(0, axis), ...indices, ...x.slice(axis + 1)]];
};

const reshape: Rule = (c) => {
  const x = c.shape(0);
  const wanted = c.data(1);
  if (!wanted) {
    const rank = c.shape(1)?.[0];
    // At least the rank is known.
    if (typeof rank !== "number" || rank > 16) return undefined;
    return [Array.from({ length: rank }, (_, i) => symbolFor(`${c.node.outputs[0]}_${i}`))];
  }
  const allowZero = intAttribute(c.node, "allowzero", 0) === 1;
  const result = wanted.map((d, i): Dim | undefined => {
    if (d === 0 && !allowZero) return x?.[i];
    if (typeof d === "number" && d < -1) throw new GraphError(`extent ${d} in the shape [${wanted}]`);
    return d;
  });
  const open = result.indexOf(-1);
  if (result.lastIndexOf(-1) !== open) throw new GraphError(`more than one -1 in the shape [${wanted}]`);
  if (open >= 0) {
    const rest = result.filter((_, i) => i !== open);
    const exact =
      x && !rest.includes(undefined) ? divideDims(multiplyDims(x), multiplyDims(rest as Dim[])) : undefined;
    if (exact === undefined && x && allKnown(x) && rest.every((d) => typeof d === "number")) {
      throw new GraphError(`[${x}] cannot be reshaped to [${wanted}]`);
    }
    result[open] = exact ?? symbolFor(`${c.node.outputs[0]}_${open}`);
  }
  const dims = result.map((d, i) => d ?? symbolFor(`${c.node.outputs[0]}_${i}`));
  if (x && allKnown(x) && allKnown(dims) && multiplyDims(x) !== multiplyDims(dims)) {
    throw new GraphError(`[${x}] cannot be reshaped to [${wanted}]`);
  }
  return [dims];
};

const flatten: Rule = (c) => {
  const x = c.shape(0);
  if (!x) return undefined;
  const axis = intAttribute(c.node, "axis", 1);
  const at = axis < 0 ? axis + x.length : axis;
  return [[multiplyDims(x.slice(0, at)), multiplyDims(x.slice(at))]];
};

const pad: Rule = (c) => {
  const x = c.shape(0);
  const pads = numbers(c.constant(1)) ?? intsAttribute(c.node, "pads");
  if (!x || !pads) return undefined;
  const axes = numbers(c.constant(3))?.map((a) => normalizeAxis(a, x.length)) ?? x.map((_, i) => i);
  if (pads.length !== 2 * axes.length) throw new GraphError(`pads [${pads}] for ${axes.length} axes`);
  const result = [...x];
  axes.forEach((axis, i) => {
    result[axis] = addDims(result[axis], pads[i] + pads[i + axes.length]);
  });
  return [result];
};

const resize: Rule = (c) => {
  const x = c.shape(0);
  if (!x) return undefined;
  const isOld = isOldResize(c.node, c.opset);
  const sizes = isOld ? undefined : c.data(3);
  if (sizes?.length) return [resizedShape(c.node, x, sizes, undefined).shape];
  if (!isOld && c.node.inputs[3] && !sizes) return undefined;
  const scales = numbers(c.constant(isOld ? 1 : 2));
  return scales?.length ? [resizedShape(c.node, x, undefined, scales).shape] : undefined;
};

const matMul: Rule = (c) => {
  const [a, b] = [c.shape(0), c.shape(1)];
  if (!a?.length || !b?.length) return undefined;
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  const [k1, k2] = [left[left.length - 1], right[right.length - 2]];
  if (typeof k1 === "number" && typeof k2 === "number" && k1 !== k2) {
    throw new GraphError(`inner extents of [${a}] and [${b}] differ`);
  }
  const outer = broadcastDims(left.slice(0, -2), right.slice(0, -2));
  if (!outer) throw new GraphError(`shapes [${a}] and [${b}] do not broadcast`);
  const m = a.length === 1 ? [] : [left[left.length - 2]];
  const n = b.length === 1 ? [] : [right[right.length - 1]];
  return [[...outer, ...m, ...n]];
};

const gemm: Rule = (c) => {
  const [a, b] = [c.shape(0), c.shape(1)];
  if (a?.length !== 2 || b?.length !== 2) return undefined;
  const [m, k1] = intAttribute(c.node, "transA", 0) ? [a[1], a[0]] : a;
  const [k2, n] = intAttribute(c.node, "transB", 0) ? [b[1], b[0]] : b;
  if (typeof k1 === "number" && typeof k2 === "number" && k1 !== k2) {
    throw new GraphError(`inner extents of [${a}] and [${b}] differ`);
  }
  return [[m, n]];
};

const reduce: Rule = (c) => {
  const x = c.shape(0);
  if (!x || (c.node.inputs[1] && !c.constant(1))) return undefined;
  const given = axesOf(c.node, c.constant(1));
  if (!given?.length && intAttribute(c.node, "noop_with_empty_axes", 0)) return [x];
  const axes = new Set((given?.length ? given : x.map((_, i) => i)).map((a) => normalizeAxis(a, x.length)));
  const keep = intAttribute(c.node, "keepdims", 1);
  return [keep ? x.map((d, i) => (axes.has(i) ? 1 : d)) : x.filter((_, i) => !axes.has(i))];
};

const argReduce: Rule = (c) => {
  const x = c.shape(0);
  if (!x) return undefined;
  const axis = normalizeAxis(intAttribute(c.node, "axis", 0), x.length);
  const keep = intAttribute(c.node, "keepdims", 1);
  return [keep ? x.map((d, i) => (i === axis ? 1 : d)) : x.filter((_, i) => i !== axis)];
};

const spaceToDepth =
  (up: boolean): Rule =>
  (c) => {
    const x = c.shape(0);
    if (x?.length !== 4) return undefined;
    const s = intAttribute(c.node, "blocksize", 1);
    const divided = (d: Dim, by: number): Dim => divideDims(d, by) ?? symbolFor(`${d}/${by}`);
    return up
      ? [[x[0], divided(x[1], s * s), multiplyDims([x[2], s]), multiplyDims([x[3], s])]]
      : [[x[0], multiplyDims([x[1], s * s]), divided(x[2], s), divided(x[3], s)]];
  };

const fromData =
  (input: number): Rule =>
  (c) => {
    const data = c.data(input);
    if (data?.some((d) => typeof d === "number" && d < 0))
      throw new GraphError(`negative extent in [${data}]`);
    return data && [data];
  };

const topK: Rule = (c) => {
  const x = c.shape(0);
  const k = c.data(1)?.[0];
  if (!x || k === undefined) return undefined;
  const axis = normalizeAxis(intAttribute(c.node, "axis", -1), x.length);
  const result = x.map((d, i) => (i === axis ? k : d));
  return [result, result];
};

/** Shape rules by operator type. */
export const shapeRules: Record<string, Rule> = {
  ...Object.fromEntries(
    `Abs Acos Acosh Asin Asinh Atan Atanh BatchNormalization Cast CastLike Ceil Celu Clip Cos Cosh CumSum Elu Erf Exp
    Floor Gelu GroupNormalization HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN
    LeakyRelu Log LogSoftmax LpNormalization MeanVarianceNormalization Mish Neg Not PRelu RMSNormalization
    Reciprocal Relu Round ScatterElements ScatterND Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt
    Swish Tan Tanh ThresholdedRelu Trilu`
      .split(/\s+/)
      .map((name) => [name, same]),
  ),
  ...Object.fromEntries(
    `Add And BitShift Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or Pow Sub Sum Where Xor`
      .split(" ")
      .map((name) => [name, broadcast]),
  ),
  ...Object.fromEntries(
    `ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare`
      .split(/\s+/)
      .map((name) => [name, reduce]),
  ),
  ArgMax: argReduce,
  ArgMin: argReduce,
  AveragePool: pool,
  Concat: concat,
  ConstantOfShape: fromData(0),
  Conv: conv,
  ConvTranspose: convTranspose,
  DepthToSpace: spaceToDepth(true),
  Dropout: same,
  Expand: (c) => {
    const [x, target] = [c.shape(0), c.data(1)];
    const result = x && target && broadcastDims(x, target);
    return result && [result];
  },
  Flatten: flatten,
  Gather: gather,
  GatherElements: (c) => [c.shape(1)],
  Gemm: gemm,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  GlobalLpPool: globalPool,
  LayerNormalization: (c) => [c.shape(0)],
  LpPool: pool,
  MatMul: matMul,
  MaxPool: pool,
  Pad: pad,
  Reshape: reshape,
  Resize: resize,
  Shape: (c) => {
    const data = shapeData(c);
    return data && [[data.length]];
  },
  Size: () => [[]],
  Slice: slice,
  SpaceToDepth: spaceToDepth(false),
  Split: split,
  Squeeze: (c) => {
    const x = c.shape(0);
    if (!x || (c.node.inputs[1] && !c.constant(1))) return undefined;
    const axes = axesOf(c.node, c.constant(1));
    return axes || allKnown(x) ? [squeezeDims(x, axes)] : undefined;
  },
  Tile: (c) => {
    const [x, repeats] = [c.shape(0), c.data(1)];
    if (!x || !repeats) return undefined;
    if (repeats.length !== x.length || repeats.some((n) => typeof n === "number" && n < 0)) {
      throw new GraphError(`repeats [${repeats}] for the shape [${x}]`);
    }
    return [x.map((d, i) => multiplyDims([d, repeats[i]]))];
  },
  TopK: topK,
  Transpose: (c) => {
    const x = c.shape(0);
    return x && [transposePerm(c.node, x.length).map((axis) => x[axis])];
  },
  Unsqueeze: (c) => {
    const x = c.shape(0);
    const axes = axesOf(c.node, c.constant(1));
    return x && axes && [unsqueezeDims<Dim>(x, axes, 1)];
  },
  Upsample: resize,
};

/** Extents of input 0 that Shape gives, from its `start` to its `end`. */
export function shapeData(c: InferContext): Dim[] | undefined {
  const x = c.shape(0);
  if (!x) return undefined;
  const at = (v: number): number => Math.min(Math.max(v < 0 ? v + x.length : v, 0), x.length);
  return x.slice(at(intAttribute(c.node, "start", 0)), at(intAttribute(c.node, "end", x.length)));
}

/** Element types of results; those of input 0 where nothing is listed. */
export function inferType(c: InferContext, output: number): ElementType | undefined {
  const { opType } = c.node;
  if (opType === "Cast") return elementTypeOf(intAttribute(c.node, "to", 0));
  if (opType === "CastLike" || opType === "Where") return c.type(1);
  if (["Shape", "Size", "ArgMax", "ArgMin", "NonMaxSuppression", "NonZero"].includes(opType)) return "int64";
  if (/^(Equal|Less|Greater|LessOrEqual|GreaterOrEqual|Not|And|Or|Xor|IsNaN|IsInf)$/.test(opType))
    return "bool";
  if (output > 0 && opType === "TopK") return "int64";
  if (output > 0 && opType === "Dropout") return "bool";
  if (output > 0 && opType === "MaxPool") return "int64";
  if (opType === "ConstantOfShape") {
    const value = c.node.attributes.value;
    return value?.kind === "tensor" ? value.value.type : "float32";
  }
  return c.type(0);
}
