/** Resize by factors that miss whole sizes; right values from onnxruntime 1.32. */
import { expect, test } from "vitest";
import { UnsupportedError } from "../../../src/base/errors.ts";
import { createSession } from "../../../src/engine/session.ts";
import { exportOnnx, importOnnx, readOnnx } from "../../../src/formats/onnx/index.ts";
import type { OnnxAttribute, OnnxModel } from "../../../src/formats/onnx/model.ts";
import type { Graph } from "../../../src/ir/graph.ts";
import { floats, int64s, makeModel } from "./_model.ts";

type Modes = Record<string, string>;

function resizeModel(hw: readonly number[], to: readonly number[], modes: Modes, bySize = false): OnnxModel {
  const attributes = Object.entries(modes).map(([name, value]): [string, OnnxAttribute] => [
    name,
    { kind: "string", value },
  ]);
  return makeModel({
    nodes: [["Resize", ["x", "", ...(bySize ? [""] : []), "to"], ["y"], Object.fromEntries(attributes)]],
    inputs: { x: [1, 1, ...hw] },
    constants: { to: bySize ? int64s(1, 1, ...to) : floats([4], [1, 1, ...to]) },
    opset: 18,
  });
}

/** What both backends give for the picture 0, 1, 4, 9, … modulo 17, with its shape in front. */
async function results(graph: Graph, [h, w]: readonly number[]): Promise<number[][]> {
  const data = Float32Array.from({ length: h * w }, (_, i) => i ** 2 % 17);
  const found: number[][] = [];
  for (const backend of ["reference", "wasm"] as const) {
    const session = await createSession(graph, { backend });
    const { y } = await session.run({ x: { shape: [1, h, w], data } });
    found.push([...y.shape.slice(1), ...y.data]);
    session.close();
  }
  return found;
}

const nearest = { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" };
const cases: [number[], number[], Modes, number[]][] = [
  [[1, 7], [1, 1.5], { mode: "linear" }, [0, 0.5, 1.5, 3.5, 6.5, 10.16667, 14.83333, 12, 7, 3]],
  [
    [1, 7],
    [1, 0.5],
    { mode: "linear", coordinate_transformation_mode: "pytorch_half_pixel" },
    [0.5, 6.5, 12],
  ],
  [
    [1, 7],
    [1, 1.5],
    { mode: "linear", coordinate_transformation_mode: "align_corners" },
    [0, 0.66667, 2, 4, 7.33333, 11.33333, 16, 10.66667, 6, 2],
  ],
  [
    [1, 7],
    [1, 1.5],
    { mode: "cubic" },
    [-0.08681, 0.21875, 1.43056, 3.15278, 6.125, 10.57755, 15.77662, 13.21875, 6.44445, 2.72223],
  ],
  [[1, 7], [1, 1.5], nearest, [0, 0, 1, 4, 4, 9, 16, 16, 8, 2]],
  [[1, 7], [1, 0.5], nearest, [0, 4, 16]],
  [
    [1, 20],
    [1, 1.3],
    { mode: "linear" },
    [
      0, 0.65385, 2.26923, 4.96154, 8.80769, 14.11538, 12, 6.38461, 2.5, 12.5, 13.84615, 13, 13.23077,
      14.76923, 6.49999, 4.53847, 9.53847, 15.69231, 10.88461, 6.5, 3.1923, 0.96154, 0.19231, 0.57692,
      2.03847, 4,
    ],
  ],
];

test.each(cases)("%j by %j with %j samples as onnxruntime does", async (hw, factors, modes, expected) => {
  const { graph, report } = importOnnx(resizeModel(hw, factors, modes));
  for (const [h, w, ...values] of await results(graph, hw)) {
    expect([h, w]).toEqual([1, expected.length]);
    values.forEach((v, i) => {
      expect(v).toBeCloseTo(expected[i], 4);
    });
  }
  const dependsOnRelease =
    modes.mode !== "nearest" && modes.coordinate_transformation_mode !== "align_corners" && hw[1] === 7;
  expect(report.warnings.join()).toMatch(
    dependsOnRelease ? /samples at 1\/(1.5|0.5).*20261020.*older ones/ : /^$/,
  );
});

test("a size is met exactly, and survives the export", async () => {
  const expected = [0, 0.55, 1.75, 3.85, 7.25, 11.45, 15.6, 10, 5.3, 2];
  const { graph, report } = importOnnx(resizeModel([1, 7], [1, 10], { mode: "linear" }, true));
  expect(report.warnings).toEqual([]);
  const again = readOnnx(exportOnnx(graph), "again.onnx").graph;
  for (const found of [...(await results(graph, [1, 7])), ...(await results(again, [1, 7]))]) {
    expect(found).toHaveLength(12);
    found.slice(2).forEach((v, i) => {
      expect(v).toBeCloseTo(expected[i], 5);
    });
  }
});

test("sizes with a kept aspect: one factor for all axes, batch and channels among them", () => {
  const paramsWith = (keep_aspect_ratio_policy: string) => {
    const modes = { mode: "linear", keep_aspect_ratio_policy };
    return () => importOnnx(resizeModel([4, 7], [10, 10], modes, true)).graph.nodes[1].params;
  };
  expect(paramsWith("not_larger")()).toEqual({ resize_type: 2 });
  expect(paramsWith("not_smaller")).toThrow(/resizing of channels/);
  expect(paramsWith("crop")).toThrow(/keep_aspect_ratio_policy "crop", expected stretch/);
});

test("a factor that keeps the size: native ncnn copies, ONNX does not", () => {
  expect(() => importOnnx(resizeModel([7, 7], [1.05, 1.05], { mode: "linear" }))).toThrow(UnsupportedError);
});

test("samples that Interp does not take are refused with both positions", () => {
  const failing = (modes: Modes) => () => importOnnx(resizeModel([8, 8], [2, 2], modes));
  expect(failing({ mode: "linear", coordinate_transformation_mode: "asymmetric" })).toThrow(
    /linear resizing of 8x8 to 16x16 \(factors 2 and 2\) with asymmetric \(ncnn's Interp reads 0.25 for row 1, the node asks for 0.5\)/,
  );
  expect(failing({ mode: "nearest", nearest_mode: "ceil" })).toThrow(UnsupportedError);
  expect(failing({ mode: "linear", coordinate_transformation_mode: "tf_crop_and_resize" })).toThrow(
    /resizing with tf_crop_and_resize cannot be lowered/,
  );
});
