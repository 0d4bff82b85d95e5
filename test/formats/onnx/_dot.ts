/**
 * Detectors as small ONNX models: a cell that is white gives one box. The decoding is spelled by the test; all logits of boxes are 0, so
 * that YOLOv5 boxes have their anchor's size and stand in the middle of their cell.
 */
import { int, ints, type OnnxModel, type OnnxTensor } from "../../../src/formats/onnx/model.ts";
import { floats, int64s, makeModel, type NodeLine } from "./_model.ts";

export interface DotOptions {
  readonly stride?: number;
  readonly side?: number;
  readonly anchors?: readonly number[];
  readonly classes?: number;
  readonly metadata?: Record<string, string>;
  readonly channels?: number;
}

/** Nodes between the input and the value `x` of the network, with their constants. */
export interface Before {
  readonly nodes: readonly NodeLine[];
  readonly constants?: Record<string, OnnxTensor>;
  readonly shape: readonly number[];
  readonly type?: "uint8" | "float32";
}

/** From the logits `t` `[1, anchors, 5 + classes, height, width]` (`c` before that view) to outputs. */
export interface Decode {
  readonly nodes: readonly NodeLine[];
  readonly outputs: readonly string[];
  readonly constants?: Record<string, OnnxTensor>;
}

/** Names of `before` are apart from those of the decoding. */
const early = (name: string): string => (name === "images" || name === "x" ? name : `early_${name}`);

export function dotModel(decode: Decode, options: DotOptions = {}, before?: Before): OnnxModel {
  const { stride = 8, side = 32, anchors = [10, 13, 16, 30, 33, 23], classes = 2, channels = 3 } = options;
  const count = anchors.length / 2;
  const numbers = 5 + classes;
  const grid = side / stride;
  const weights = new Float32Array(count * numbers * channels * stride * stride);
  const per = channels * stride * stride;
  const bias = new Array<number>(count * numbers).fill(0);
  for (let a = 0; a < count; a++) {
    weights.fill(a === 0 ? 30 / per : 0, (a * numbers + 4) * per, (a * numbers + 5) * per);
    bias[a * numbers + 4] = -20;
    for (let k = 0; k < classes; k++) bias[a * numbers + 5 + k] = k === 0 ? 10 : -10;
  }
  const model = makeModel({
    nodes: [
      ...(before?.nodes ?? []).map(
        ([type, inputs, outputs, attributes]): NodeLine => [
          type,
          inputs.map(early),
          outputs.map(early),
          attributes,
        ],
      ),
      [
        "Conv",
        [before ? "x" : "images", "w", "b"],
        ["c"],
        { kernel_shape: ints([stride, stride]), strides: ints([stride, stride]) },
      ],
      ["Reshape", ["c", "apart"], ["t"]],
      ...decode.nodes,
    ],
    inputs: { images: before?.shape ?? [1, channels, side, side] },
    outputs: decode.outputs,
    constants: {
      w: { type: "float32", dims: [count * numbers, channels, stride, stride], data: weights },
      b: floats([count * numbers], bias),
      apart: int64s(1, count, numbers, grid, grid),
      rows: int64s(1, count * grid * grid, numbers),
      ...Object.fromEntries(
        Object.entries(before?.constants ?? {}).map(([name, tensor]) => [early(name), tensor]),
      ),
      ...decode.constants,
    },
    metadata: options.metadata,
  });
  if (before?.type) model.graph.inputs = [{ name: "images", type: before.type, shape: before.shape }];
  return model;
}

const perm = { perm: ints([0, 1, 3, 4, 2]) };
const scalar = (value: number): OnnxTensor => floats([], [value]);
const axis4 = { axis: int(4) };

/** `[1, 1, grid, grid, 2]`: `factor·cell + offset`. */
export function cells(grid: number, factor: number, offset: number): OnnxTensor {
  const data = Array.from({ length: grid * grid * 2 }, (_, i) => {
    const cell = Math.floor(i / 2);
    return factor * (i % 2 ? Math.floor(cell / grid) : cell % grid) + offset;
  });
  return floats([1, 1, grid, grid, 2], data);
}

export const pairs = (anchors: readonly number[], factor = 1): OnnxTensor =>
  floats(
    [1, anchors.length / 2, 1, 1, 2],
    anchors.map((v) => v * factor),
  );

/** Sigmoid of everything, its three parts, what `code` makes of `xy` and `wh`, and one list of rows. */
function parts(classes: number, code: readonly NodeLine[], constants: Record<string, OnnxTensor>): Decode {
  return {
    nodes: [
      ["Transpose", ["t"], ["r"], perm],
      ["Sigmoid", ["r"], ["s"]],
      ["Split", ["s", "sizes"], ["xy", "wh", "conf"], axis4],
      ...code,
      ["Concat", ["XY", "WH", "conf"], ["all"], axis4],
      ["Reshape", ["all", "rows"], ["y"]],
    ],
    outputs: ["y"],
    constants: { sizes: int64s(2, 2, 1 + classes), ...constants },
  };
}

/** `(2σ − 0.5 + cell)·stride`, `(2σ)²·anchor`, each step an operator. */
export const yolov5 = (anchors: readonly number[], stride = 8, grid = 4): Decode =>
  parts(
    2,
    [
      ["Mul", ["xy", "two"], ["a"]],
      ["Add", ["a", "cells"], ["b1"]],
      ["Mul", ["b1", "stride"], ["XY"]],
      ["Mul", ["wh", "two"], ["d"]],
      ["Pow", ["d", "two"], ["e"]],
      ["Mul", ["e", "anchors"], ["WH"]],
    ],
    { two: scalar(2), cells: cells(grid, 1, -0.5), stride: scalar(stride), anchors: pairs(anchors) },
  );

/** The same with constants merged, times `unit`: `σ·2·stride + (cell − 0.5)·stride`, `σ²·(4·anchor)`. */
export const yolov7 = (anchors: readonly number[], unit = 1, stride = 8, grid = 4): Decode =>
  parts(
    2,
    [
      ["Mul", ["xy", "step"], ["a"]],
      ["Add", ["a", "cells"], ["XY"]],
      ["Pow", ["wh", "two"], ["e"]],
      ["Mul", ["e", "anchors"], ["WH"]],
    ],
    {
      two: scalar(2),
      step: scalar(2 * stride * unit),
      cells: cells(grid, stride * unit, (-stride / 2) * unit),
      anchors: pairs(anchors, 4 * unit),
    },
  );

/** `(slope·σ + offset + cell)·stride` and `exp(t)·anchor` (YOLOv3), or `(2σ)^power·anchor`. */
export function otherDecode(
  anchors: readonly number[],
  { slope = 2, offset = -0.5, power }: { slope?: number; offset?: number; power?: number },
): Decode {
  const size: NodeLine[] = power
    ? [
        ["Mul", ["wh", "two"], ["d"]],
        ["Pow", ["d", "power"], ["e"]],
      ]
    : [
        ["Slice", ["r", "from", "to", "last"], ["raw"]],
        ["Exp", ["raw"], ["e"]],
      ];
  return parts(
    2,
    [
      ["Mul", ["xy", "slope"], ["a"]],
      ["Add", ["a", "cells"], ["b1"]],
      ["Mul", ["b1", "stride"], ["XY"]],
      ...size,
      ["Mul", ["e", "anchors"], ["WH"]],
    ],
    {
      two: scalar(2),
      slope: scalar(slope),
      cells: cells(4, 1, offset),
      stride: scalar(8),
      power: scalar(power ?? 1),
      from: int64s(2),
      to: int64s(4),
      last: int64s(4),
      anchors: pairs(anchors),
    },
  );
}

/** Logits as they are, in rows or in the view of YOLOv5. */
export const raw = (rows: boolean): Decode => ({
  nodes: [
    ["Transpose", ["t"], ["r"], perm],
    ...(rows ? [["Reshape", ["r", "rows"], ["y"]] as NodeLine] : []),
  ],
  outputs: [rows ? "y" : "r"],
});
