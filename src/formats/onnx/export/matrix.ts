/** Normalization, reduction and products along axes. */
import { float, int, ints, type OnnxAttribute } from "../model.ts";
import { axisAttribute, type ExportRule, input, inputShape } from "./context.ts";

const reductionNames =
  "ReduceSum abs ReduceSumSquare ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp".split(
    " ",
  );
const reduction: ExportRule = (e) => {
  const name = reductionNames[e.number("operation")];
  if (name === undefined || name === "abs" || e.number("coeff") !== 1) e.unsupported("this reduction");
  const rank = inputShape(e).length;
  const all = Array.from({ length: rank }, (_, i) => i);
  const axes = (e.number("reduce_all") ? all : e.list("axes").map((a) => (a < 0 ? a + rank : a))).map(
    (a) => a + 1,
  );
  const keeps = e.number("keepdims") === 1;
  // Opset 17: only ReduceSum takes its axes as an input.
  const isSum = name === "ReduceSum";
  const inputs = isSum ? [input(e), e.ints("axes", axes)] : [input(e)];
  const attributes: Record<string, OnnxAttribute> = { keepdims: int(keeps ? 1 : 0) };
  if (!isSum) attributes.axes = ints(axes);
  const isScalar = axes.length === rank && !keeps;
  if (isScalar) e.reshape(e.add(name, inputs, attributes), [1], e.node.outputs[0]);
  else e.result(name, inputs, attributes);
};

const layerNorm: ExportRule = (e) => {
  const size = e.number("affine_size");
  const shape = inputShape(e);
  let axis = shape.length;
  let covered = 1;
  while (axis > 0 && covered < size) covered *= shape[--axis];
  if (covered !== size) e.unsupported(`an affine_size of ${size}`);
  const dims = shape.slice(axis);
  const isAffine = e.number("affine") === 1;
  const gamma = isAffine ? e.weight("gamma", dims) : e.floats("gamma", dims, new Float32Array(size).fill(1));
  const beta = isAffine ? [e.weight("beta", dims)] : [];
  e.result("LayerNormalization", [input(e), gamma, ...beta], {
    axis: int(axis + 1),
    epsilon: float(e.number("eps")),
  });
};

const instanceNorm: ExportRule = (e) => {
  const [c] = inputShape(e);
  const isAffine = e.number("affine") === 1;
  const gamma = isAffine ? e.weight("gamma", [c]) : e.floats("gamma", [c], new Float32Array(c).fill(1));
  const beta = isAffine ? e.weight("beta", [c]) : e.floats("beta", [c], new Float32Array(c));
  e.result("InstanceNormalization", [input(e), gamma, beta], { epsilon: float(e.number("eps")) });
};

/** Opset 17 has no group normalization: each group is an instance of its own. */
const groupNorm: ExportRule = (e) => {
  const [c] = inputShape(e);
  const groups = e.number("group");
  const ones = e.floats("ones", [groups], new Float32Array(groups).fill(1));
  const zeros = e.floats("zeros", [groups], new Float32Array(groups));
  const split = e.add("Reshape", [input(e), e.ints("groups", [1, groups, -1])]);
  const plain = e.add("InstanceNormalization", [split, ones, zeros], { epsilon: float(e.number("eps")) });
  const isAffine = e.number("affine") === 1;
  const joined = e.add(
    "Reshape",
    [plain, e.add("Shape", [input(e)])],
    {},
    isAffine ? undefined : e.node.outputs[0],
  );
  if (!isAffine) return;
  const dims = [
    c,
    ...inputShape(e)
      .slice(1)
      .map(() => 1),
  ];
  e.result("Add", [e.add("Mul", [joined, e.weight("gamma", dims)]), e.weight("beta", dims)]);
};

const matMul: ExportRule = (e) => {
  const [a, b] = e.node.inputs;
  const rank = inputShape(e, 1).length;
  if (!e.number("transB")) {
    e.result("MatMul", [a, b]);
    return;
  }
  const perm = Array.from({ length: rank + 1 }, (_, i) => i);
  perm.splice(rank - 1, 2, rank, rank - 1);
  e.result("MatMul", [a, e.add("Transpose", [b], { perm: ints(perm) })]);
};

export const matrices: Record<string, ExportRule> = {
  GroupNorm: groupNorm,
  InstanceNorm: instanceNorm,
  LayerNorm: layerNorm,
  MatMul: matMul,
  Reduction: reduction,
  Softmax: (e) => {
    e.result("Softmax", [input(e)], { axis: inputShape(e).length === 1 ? int(1) : axisAttribute(e) });
  },
};
