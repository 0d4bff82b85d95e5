/** Small graphs whose ends are those of families of detectors, with made-up weights. The network is one convolution a level. */
import { Random } from "../../src/base/random.ts";
import { Graph, type Node, opOf, paramsOf } from "../../src/ir/graph.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import { ops } from "../../src/ops/index.ts";

export const side = 64;
export const labels = ["a", "b", "c"];
const classes = labels.length;

export class Builder {
  readonly graph = new Graph();
  private readonly random = new Random(3);

  constructor() {
    this.graph.add({ type: "Input", name: "in0", outputs: ["in0"], params: { w: side, h: side, c: 3 } });
  }
  /** Appends a layer with random weights and gives its output (the first of `outputs`). */
  add(type: string, name: string, inputs: string[], params: Node["params"] = {}, outputs = [name]): string {
    const node = this.graph.add({ type, name, inputs, outputs, params });
    for (const { name: weight, count } of opOf(node, ops).weights?.(paramsOf(node, ops)) ?? []) {
      node.weights[weight] = f32Weight(this.random.floats(count, -1, 1));
    }
    return name;
  }
  /** A convolution to a grid. */
  level(name: string, channels: number, stride: number, activation = 0): string {
    return this.add("Convolution", name, ["in0"], {
      ...{ num_output: channels, kernel_w: 1, stride_w: stride, bias_term: 1 },
      ...{ weight_data_size: 3 * channels, ...(activation && { activation_type: activation }) },
    });
  }
  constant(name: string, params: { w: number; h?: number }, values: number[]): string {
    const node = this.graph.add({ type: "MemoryData", name, outputs: [name], params });
    node.weights = { data: f32Weight(Float32Array.from(values)) };
    return name;
  }
  /** `[channels, cells]` of a grid. */
  flat(name: string, blob: string, channels: number): string {
    return this.add("Reshape", name, [blob], { w: -1, h: channels });
  }
}

const cellsOf = (stride: number): { x: number; y: number }[] =>
  Array.from({ length: (side / stride) ** 2 }, (_, i) => ({
    x: i % (side / stride),
    y: Math.floor(i / (side / stride)),
  }));

/** What ultralytics' exports compute: boxes of two levels in pixels, then σ of classes. `[4 + classes, N]`. */
export function ultralytics(bins: number, corners: boolean): Graph {
  const b = new Builder();
  const strides = [8, 16];
  const parts = strides.map((stride) => {
    const both = [b.level(`box${stride}`, 4 * bins, stride), b.level(`cls${stride}`, classes, stride)];
    return b.flat(`flat${stride}`, b.add("Concat", `cat${stride}`, both), 4 * bins + classes);
  });
  const all = b.add("Concat", "all", parts, { axis: 1 });
  b.add("Slice", "cut", [all], { slices: [4 * bins, -233] }, ["boxes", "classes"]);
  let distances = "boxes";
  if (bins > 1) {
    const apart = b.add("Reshape", "apart", ["boxes"], { w: -1, h: bins, c: 4 });
    const soft = b.add("Softmax", "soft", [b.add("Permute", "turned", [apart], { order_type: 2 })], {
      ...{ axis: 0, fixbug0: 1 },
    });
    const sum = { num_output: 1, kernel_w: 1, weight_data_size: bins };
    const expected = b.add("Convolution", "dfl", [soft], sum);
    b.graph.node("dfl")!.weights.weight = f32Weight(Float32Array.from({ length: bins }, (_, i) => i));
    distances = b.add("Reshape", "sides", [expected], { w: -1, h: 4 });
  }
  b.add("Slice", "halves", [distances], { slices: [2, -233] }, ["lt", "rb"]);
  const cells = strides.flatMap((stride) => cellsOf(stride).map((cell) => ({ ...cell, stride })));
  const points = b.constant("points", { w: cells.length, h: 2 }, [
    ...cells.map(({ x }) => x + 0.5),
    ...cells.map(({ y }) => y + 0.5),
  ]);
  const low = b.add("BinaryOp", "low", [points, "lt"], { op_type: 1 });
  const high = b.add("BinaryOp", "high", [points, "rb"], { op_type: 0 });
  let box = [low, high];
  if (!corners) {
    const center = b.add("BinaryOp", "center", [b.add("BinaryOp", "sum", [low, high])], {
      ...{ op_type: 2, with_scalar: 1, b: 0.5 },
    });
    box = [center, b.add("BinaryOp", "size", [high, low], { op_type: 1 })];
  }
  const strideRow = b.constant(
    "strides",
    { w: cells.length, h: 1 },
    cells.map(({ stride }) => stride),
  );
  const pixels = b.add("BinaryOp", "pixels", [b.add("Concat", "box", box), strideRow], { op_type: 2 });
  b.add("Concat", "out0", [pixels, b.add("Sigmoid", "scores", ["classes"])]);
  return b.graph;
}

/** YOLOX: `[N, 5 + classes]` of raw boxes and sigmoids, in convolutions of their own. */
export function yolox(): Graph {
  const b = new Builder();
  const parts = [8, 16].map((stride) => {
    const object = b.level(`obj${stride}`, 1, stride, 4);
    const score = b.add("Sigmoid", `score${stride}`, [b.level(`cls${stride}`, classes, stride)]);
    const cat = b.add("Concat", `cat${stride}`, [b.level(`box${stride}`, 4, stride), object, score]);
    return b.flat(`flat${stride}`, cat, 5 + classes);
  });
  b.add("Permute", "out0", [b.add("Concat", "all", parts, { axis: 1 })], { order_type: 1 });
  return b.graph;
}

/** NanoDet and PicoDet: for every level scores `[cells, classes]` and bins `[cells, 4·bins]`, from one convolution. */
export function nanodet(strides: readonly number[], bins: number): Graph {
  const b = new Builder();
  for (const stride of strides) {
    const blob = b.level(`conv${stride}`, classes + 4 * bins, stride);
    const [score, box] = [`s${stride}`, `b${stride}`];
    b.add("Slice", `cut${stride}`, [blob], { slices: [classes, -233] }, [score, box]);
    const flat = b.flat(`fs${stride}`, b.add("Sigmoid", `sig${stride}`, [score]), classes);
    b.add("Permute", `cls${stride}`, [flat], { order_type: 1 });
    b.add("Permute", `dis${stride}`, [b.flat(`fb${stride}`, box, 4 * bins)], { order_type: 1 });
  }
  return b.graph;
}

/** Boxes as YOLOv3's exports have them, of one level with two anchors in one convolution: `[N, 5 + classes]` in pixels. */
export function yolov3(): Graph {
  const b = new Builder();
  const [stride, anchors] = [8, [10, 13, 30, 20]];
  const values = 5 + classes;
  const cells = cellsOf(stride);
  const raw = b.level("conv", 2 * values, stride);
  const rows = [0, 1].map((anchor) => {
    const from = b.add("Crop", `anchor${anchor}`, [raw], {
      ...{ coffset: anchor * values, outw: side / stride, outh: side / stride, outc: values },
    });
    const flat = b.flat(`flat${anchor}`, from, values);
    const names = ["xy", "wh", "rest"].map((name) => `${name}${anchor}`);
    b.add("Slice", `cut${anchor}`, [flat], { slices: [2, 2, -233] }, names);
    const grid = b.constant(`grid${anchor}`, { w: cells.length, h: 2 }, [
      ...cells.map(({ x }) => x),
      ...cells.map(({ y }) => y),
    ]);
    const center = b.add("BinaryOp", `moved${anchor}`, [b.add("Sigmoid", `sxy${anchor}`, [names[0]]), grid]);
    const pixels = b.add("BinaryOp", `px${anchor}`, [center], { op_type: 2, with_scalar: 1, b: stride });
    const size = b.constant(`size${anchor}`, { w: 1, h: 2 }, anchors.slice(2 * anchor, 2 * anchor + 2));
    const power = b.add("UnaryOp", `exp${anchor}`, [names[1]], { op_type: 7 });
    const extents = b.add("BinaryOp", `ex${anchor}`, [power, size], { op_type: 2 });
    return b.add("Concat", `row${anchor}`, [pixels, extents, b.add("Sigmoid", `p${anchor}`, [names[2]])]);
  });
  b.add("Permute", "out0", [b.add("Concat", "all", rows, { axis: 1 })], { order_type: 1 });
  return b.graph;
}

/** The same with boxes in an output of their own, and products of scores in another. */
export function yolov3Apart(): Graph {
  const graph = yolov3();
  const parts = ["boxes", "object", "classes"];
  graph.add({
    ...{ type: "Slice", name: "parts", inputs: ["out0"], outputs: parts },
    params: { slices: [4, 1, -233], axis: 1 },
  });
  graph.add({
    ...{ type: "BinaryOp", name: "scores", inputs: ["classes", "object"], outputs: ["scores"] },
    params: { op_type: 2 },
  });
  return graph;
}
