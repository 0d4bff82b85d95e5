/** Layers that only move data. */
import { elementCount } from "../../../ir/tensor.ts";
import { cropBox } from "../../../ops/crop.ts";
import { permutation } from "../../../ops/permute.ts";
import { ints, type OnnxAttribute } from "../model.ts";
import { axisAttribute, type ExportRule, input, inputShape, outputShape, simple } from "./context.ts";

const slice: ExportRule = (e) => {
  const axis = axisAttribute(e);
  const at = axis.kind === "int" ? axis.value - 1 : 0;
  const sizes = e.node.outputs.map((blob) => e.shape(blob)[at]);
  e.addMany("Split", [input(e), e.ints("sizes", sizes)], { axis }, e.node.outputs);
};

const crop: ExportRule = (e) => {
  if (e.dynamic && e.node.params.ends_expr) e.unsupported("a size expression with open sizes");
  const shape = inputShape(e);
  const shapes = e.node.inputs.map((blob) => e.shape(blob));
  const box = cropBox(shapes, e.params() as unknown as Parameters<typeof cropBox>[1]);
  const axes = shape.map((_, i) => i).filter((i) => box.shape[i] !== shape[i]);
  if (axes.length === 0) {
    e.result("Identity", [input(e)]);
    return;
  }
  const ends = axes.map((i) => {
    const end = box.starts[i] + box.shape[i];
    return end === shape[i] ? 2 ** 31 - 1 : end;
  });
  const starts = axes.map((i) => box.starts[i]);
  const bounds = [e.ints("starts", starts), e.ints("ends", ends)];
  const where = e.ints(
    "axes",
    axes.map((i) => i + 1),
  );
  e.result("Slice", [input(e), ...bounds, where]);
};

const reshape: ExportRule = (e) => {
  if (e.dynamic && e.node.params.shape_expr) e.unsupported("a size expression with open sizes");
  const shape = outputShape(e);
  const names = ["w", "hw", "chw", "cdhw"][shape.length - 1];
  const from = inputShape(e);
  const given = [...names].map((name) => e.number(name));
  const wanted = shape.map((extent, i) => {
    if (given[i] !== 0) return given[i] === -1 ? -1 : extent;
    // ncnn copies the extent of the same name, ONNX the one at the same place.
    return from.length === shape.length ? 0 : extent;
  });
  e.reshape(input(e), wanted, e.node.outputs[0]);
};

const view: ExportRule = (e) => {
  if (e.dynamic && elementCount(outputShape(e)) !== outputShape(e)[0])
    e.unsupported("a change of rank with open sizes");
  e.reshape(input(e), outputShape(e).length === 1 ? [-1] : outputShape(e), e.node.outputs[0]);
};

const permute: ExportRule = (e) => {
  const perm = permutation(e.number("order_type"), inputShape(e).length);
  e.result("Transpose", [input(e)], { perm: ints([0, ...perm.map((axis) => axis + 1)]) });
};

const memoryData: ExportRule = (e) => {
  const shape = outputShape(e);
  const value = {
    kind: "tensor",
    value: { type: "float32", dims: [1, ...shape], data: e.weightValues("data") },
  };
  e.addMany("Constant", [], { value: value as OnnxAttribute }, e.node.outputs);
};

const noop: ExportRule = (e) => {
  e.node.outputs.forEach((output, i) => {
    e.add("Identity", [input(e, i)], {}, output);
  });
};

const tile: ExportRule = (e) => {
  const [from, to] = [inputShape(e), outputShape(e)];
  const value =
    from.length === to.length
      ? input(e)
      : e.reshape(input(e), [...to.slice(from.length).map(() => 1), ...from]);
  const padded = [...to.slice(from.length).map(() => 1), ...from];
  e.result("Tile", [value, e.ints("repeats", [1, ...to.map((extent, i) => extent / padded[i])])]);
};

export const moves: Record<string, ExportRule> = {
  Concat: (e) => {
    e.result("Concat", e.node.inputs, { axis: axisAttribute(e) });
  },
  Crop: crop,
  ExpandDims: view,
  Flatten: simple("Flatten"),
  MemoryData: memoryData,
  Noop: noop,
  Permute: permute,
  Reshape: reshape,
  Slice: slice,
  Squeeze: view,
  Tile: tile,
};
