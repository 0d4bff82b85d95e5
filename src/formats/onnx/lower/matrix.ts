/** Matrix products, softmax, reductions and normalization over axes. */
import type { Params } from "../../../ir/op.ts";
import { elementCount, type Shape } from "../../../ir/tensor.ts";
import type { Weights } from "../../../ir/weight.ts";
import { axesOf, epsilonOf, normalizeAxis } from "../arguments.ts";
import { transposeTensor } from "../evaluate.ts";
import { floatAttribute, intAttribute, type OnnxNode, type OnnxTensor, tensorNumbers } from "../model.ts";
import type { Lower, Lowering, Value } from "./context.ts";
import { axisInBlob, blobShapeOf } from "./layout.ts";
import { floatsOf, weightOf } from "./picture.ts";

/** A fully connected layer over the last axis; `weight` is [outputs, inputs]. */
function innerProduct(
  l: Lowering,
  value: Value,
  weight: OnnxTensor,
  bias: readonly number[] | undefined,
): void {
  const [outputs, inputs] = weight.dims;
  const rows = elementCount(value.shape) / inputs;
  const blob = l.as(value, rows === 1 ? [inputs] : [rows, inputs]);
  const weights: Weights = { weight: weightOf(weight) };
  if (bias) weights.bias = floatsOf(bias);
  const params: Params = { num_output: outputs };
  if (bias) params.bias_term = 1;
  params.weight_data_size = weight.data.length;
  l.result("InnerProduct", [blob], params, weights);
}

function scaled(tensor: OnnxTensor, factor: number): OnnxTensor {
  if (factor === 1) return tensor;
  return { ...tensor, type: "float32", data: Float32Array.from(tensorNumbers(tensor), (v) => v * factor) };
}

const gemm: Lower = (l, node) => {
  const alpha = floatAttribute(node, "alpha", 1);
  const beta = floatAttribute(node, "beta", 1);
  const [transA, transB] = [intAttribute(node, "transA", 0), intAttribute(node, "transB", 0)];
  const weight = l.constant(node.inputs[1]);
  const value = l.value(node.inputs[0]);
  const [rows, columns] = l.shapeOf(node.outputs[0]);
  const biasTensor = node.inputs[2] ? l.constant(node.inputs[2]) : undefined;
  const isRowBias =
    !node.inputs[2] || (biasTensor && [1, columns].includes(biasTensor.data.length) && rows >= 1);
  const isColumnShape = biasTensor && biasTensor.dims.length === 2 && biasTensor.dims[0] !== 1;
  if (weight && isRowBias && !isColumnShape && (!transA || rows === 1)) {
    const list = biasTensor && Array.from(tensorNumbers(biasTensor), (v) => v * beta);
    const bias = list?.length === 1 ? new Array<number>(columns).fill(list[0]) : list;
    innerProduct(l, value, scaled(transB ? weight : transposeTensor(weight, [1, 0]), alpha), bias);
    return;
  }
  if (node.inputs[2])
    l.unsupported("Gemm with an addend that is not one constant row", "a constant bias per column");
  const right = l.value(node.inputs[1], weight?.dims);
  const params: Params = { alpha, transA, transB };
  const inputs = [l.as(value, value.shape), l.as(right, right.shape)];
  l.result("Gemm", inputs, params);
};

const matMul =
  (isTransposed: boolean): Lower =>
  (l, node) => {
    const weight = l.constant(node.inputs[1]);
    if (weight?.dims.length === 2) {
      innerProduct(
        l,
        l.value(node.inputs[0]),
        isTransposed ? weight : transposeTensor(weight, [1, 0]),
        undefined,
      );
      return;
    }
    const [shapeA, shapeB] = [l.shapeOf(node.inputs[0]), l.shapeOf(node.inputs[1])];
    const [a, b] = matrixShapes(l, shapeA, shapeB);
    const blobs = [l.as(l.value(node.inputs[0], a), a), l.as(l.value(node.inputs[1], b), b)];
    l.result("MatMul", blobs, isTransposed ? { transB: 1 } : {});
  };

/** Shapes of rank 2 to 4 with the batch axes that are not 1 in both. */
function matrixShapes(l: Lowering, a: readonly number[], b: readonly number[]): [Shape, Shape] {
  if (a.length < 2 || b.length < 2) return [a, b];
  const rank = Math.max(a.length, b.length) - 2;
  const outer = (shape: readonly number[]): number[] => [
    ...new Array<number>(rank - (shape.length - 2)).fill(1),
    ...shape.slice(0, -2),
  ];
  const [outerA, outerB] = [outer(a), outer(b)];
  const used = outerA.map((d, i) => d !== 1 || outerB[i] !== 1);
  if (used.filter(Boolean).length > 2)
    l.unsupported("a product with more than two batch axes", "at most two");
  const keep = (dims: number[]): number[] => dims.filter((_, i) => used[i]);
  return [
    [...keep(outerA), ...a.slice(-2)],
    [...keep(outerB), ...b.slice(-2)],
  ];
}

const linear: Lower = (l, node) => {
  const weight =
    l.constant(node.inputs[1]) ?? l.unsupported("weights computed at run time", "constant weights");
  innerProduct(
    l,
    l.value(node.inputs[0]),
    transposeTensor(weight, [1, 0]),
    l.numbers(node.inputs[2], "bias"),
  );
};

/** The blob with ONNX axis `axis` as an axis of its own, and which one that is. */
function withAxis(l: Lowering, value: Value, axis: number): { blob: string; axis: number } {
  const found = axisInBlob(value.shape, value.blobShape, axis);
  if (found >= 0) return { blob: value.blob, axis: found };
  const before = elementCount(value.shape.slice(0, axis));
  const after = elementCount(value.shape.slice(axis + 1));
  const shape = [before, value.shape[axis], after].filter((d, i) => i === 1 || d !== 1);
  return { blob: l.as(value, shape), axis: before === 1 ? 0 : 1 };
}

const softmax: Lower = (l, node) => {
  const value = l.value(node.inputs[0]);
  const rank = value.shape.length;
  const isOld = l.opset < 13 && node.domain === "";
  const given = normalizeAxis(intAttribute(node, "axis", isOld ? 1 : -1), rank);
  // Before opset 13 everything from the axis on is one axis.
  const tail = value.shape.slice(given);
  const seen =
    isOld && tail.filter((d) => d !== 1).length > 1
      ? { ...value, shape: [...value.shape.slice(0, given), elementCount(tail)] }
      : value;
  const axis = isOld && seen === value ? Math.max(given + tail.findIndex((d) => d !== 1), given) : given;
  const place = withAxis(l, seen, axis);
  const params: Params = { ...(place.axis ? { axis: place.axis } : {}), fixbug0: 1 };
  if (node.opType === "LogSoftmax") {
    const [blob] = l.layer("Softmax", [place.blob], params);
    l.result("UnaryOp", [blob], { op_type: 8 });
  } else l.result("Softmax", [place.blob], params);
};

const layerNorm: Lower = (l, node) => {
  const value = l.value(node.inputs[0]);
  const axis = normalizeAxis(intAttribute(node, "axis", -1), value.shape.length);
  const size = elementCount(value.shape.slice(axis));
  const gamma = l.optionalNumbers(node.inputs[1]);
  const beta = l.optionalNumbers(node.inputs[2]);
  const isLast =
    value.blobShape.at(-1) === size &&
    elementCount(value.blobShape.slice(0, -1)) === elementCount(value.shape) / size;
  const rows = elementCount(value.shape) / size;
  const blob = isLast ? value.blob : l.as(value, rows === 1 ? [size] : [rows, size]);
  if (gamma && gamma.length !== size)
    l.unsupported(`a scale of ${gamma.length} elements`, `${size} elements`);
  const params: Params = { affine_size: size, eps: Math.fround(epsilonOf(node)) };
  const weights: Weights = {};
  if (gamma) {
    weights.gamma = floatsOf(gamma);
    weights.beta = floatsOf(beta ?? new Array<number>(size).fill(0));
  } else params.affine = 0;
  l.result("LayerNorm", [blob], params, weights);
};

const reductions: Record<string, number> = {
  ReduceSum: 0,
  ReduceSumSquare: 2,
  ReduceMean: 3,
  ReduceMax: 4,
  ReduceMin: 5,
  ReduceProd: 6,
  ReduceL1: 7,
  ReduceL2: 8,
  ReduceLogSum: 9,
  ReduceLogSumExp: 10,
};

const reduce: Lower = (l, node) => {
  const value = l.value(node.inputs[0]);
  const axes = reducedAxes(l, node, value);
  const { shape } = value;
  if (axes.size === 0) {
    l.alias(node.outputs[0], value);
    return;
  }
  const isGlobal = shape.length === 4 && shape[0] === 1 && !axes.has(1) && axes.has(2) && axes.has(3);
  if (isGlobal && (node.opType === "ReduceMean" || node.opType === "ReduceMax")) {
    const { blob } = l.picture(node.inputs[0]);
    l.result("Pooling", [blob], {
      ...(node.opType === "ReduceMean" ? { pooling_type: 1 } : {}),
      global_pooling: 1,
    });
    return;
  }
  const { blob, places } = locateAxes(l, value, axes);
  l.result("Reduction", [blob], {
    operation: reductions[node.opType],
    reduce_all: 0,
    axes: places,
    fixbug0: 1,
  });
};

/** Axes that are reduced and are not 1, which reducing does not change (but for its function). */
function reducedAxes(l: Lowering, node: OnnxNode, value: Value): Set<number> {
  const rank = value.shape.length;
  const list = axesOf(node, node.inputs[1] ? l.constant(node.inputs[1]) : undefined);
  if (node.inputs[1] && !l.constant(node.inputs[1]))
    l.unsupported("axes computed at run time", "constant axes");
  if (!list?.length && intAttribute(node, "noop_with_empty_axes", 0)) return new Set();
  return new Set(
    (list?.length ? list : value.shape.map((_, i) => i)).map((axis) => normalizeAxis(axis, rank)),
  );
}

function locateAxes(
  l: Lowering,
  value: Value,
  axes: ReadonlySet<number>,
): { blob: string; places: number[] } {
  const matter = [...axes].filter((axis) => value.shape[axis] !== 1);
  const found = matter.map((axis) => axisInBlob(value.shape, value.blobShape, axis));
  if (found.length > 0 && !found.includes(-1))
    return { blob: value.blob, places: found.sort((a, b) => a - b) };
  // Neighbours that are all reduced, or all kept, are one axis.
  const groups: { extent: number; reduced: boolean }[] = [];
  value.shape.forEach((extent, axis) => {
    const reduced = axes.has(axis);
    const last = groups.at(-1);
    if (extent === 1 && (last || matter.length > 0)) return;
    if (last?.reduced === reduced) last.extent *= extent;
    else groups.push({ extent, reduced });
  });
  if (groups.length > 4)
    l.unsupported(`reducing axes [${[...axes]}] of [${value.shape}]`, "fewer alternating axes");
  const blob = l.as(
    value,
    groups.map(({ extent }) => extent),
  );
  return { blob, places: groups.flatMap(({ reduced }, i) => (reduced ? [i] : [])) };
}

/** x / max(‖x‖, eps) stays composed: Reduction, Clip, division. */
const lpNormalization: Lower = (l, node) => {
  const p = intAttribute(node, "p", 2);
  const value = l.value(node.inputs[0]);
  const axis = normalizeAxis(intAttribute(node, "axis", -1), value.shape.length);
  const shape = blobShapeOf(value.shape, new Set([axis]));
  const blob = l.as(value, shape);
  const place = axisInBlob(value.shape, shape, axis);
  const params: Params = {
    operation: p === 1 ? 7 : 8,
    reduce_all: 0,
    axes: [place],
    keepdims: 1,
    fixbug0: 1,
  };
  const [norm] = l.layer("Reduction", [blob], params);
  l.result("BinaryOp", [blob, norm], { op_type: 3 });
};

export const matrix: Record<string, Lower> = {
  Gemm: gemm,
  LayerNormalization: layerNorm,
  Linear: linear,
  LogSoftmax: softmax,
  LpNormalization: lpNormalization,
  MatMul: matMul(false),
  MatMulTransposed: matMul(true),
  Softmax: softmax,
  ...Object.fromEntries(Object.keys(reductions).map((name) => [name, reduce])),
};
