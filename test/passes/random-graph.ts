/** Small random legal graphs, built from a list of numbers so that a failing one can be shrunk. */
import { Graph, inferShapes } from "../../src/ir/graph.ts";
import type { Params } from "../../src/ir/op.ts";
import type { Shape } from "../../src/ir/tensor.ts";
import { ops } from "../../src/ops/index.ts";
import { fillWeights } from "./helpers.ts";

/** One choice: which block, on which blobs, with which variant. */
export type Choice = readonly [block: number, blob: number, variant: number];

export const inputShape: Shape = [4, 8, 8];

class Builder {
  readonly graph = new Graph();
  private readonly shapes = new Map<string, Shape>();
  /** Blobs of rank 3, which every block can read. */
  pictures: string[] = ["x"];
  private count = 0;

  constructor() {
    this.graph.add({ type: "Input", name: "x", outputs: ["x"], params: { w: 8, h: 8, c: 4 } });
    this.shapes.set("x", inputShape);
  }
  shape(blob: string): Shape {
    return this.shapes.get(blob)!;
  }
  node(type: string, inputs: string[], params: Params = {}, outputCount = 1): string {
    return this.nodes(type, inputs, params, outputCount)[0];
  }
  nodes(type: string, inputs: string[], params: Params, outputCount: number): string[] {
    const name = `n${this.count++}`;
    const outputs = Array.from({ length: outputCount }, (_, i) => (outputCount > 1 ? `${name}_${i}` : name));
    this.graph.add({ type, name, inputs, outputs, params });
    for (const [blob, shape] of inferShapes(this.graph, ops, {})) this.shapes.set(blob, shape);
    return outputs;
  }
  conv(x: string, kernel: number, extra: Params = {}, outputs = 4): string {
    const inputs = this.shape(x)[0];
    const pad = (kernel - 1) / 2;
    const params = { num_output: outputs, kernel_w: kernel, pad_left: pad, bias_term: kernel === 1 ? 1 : 0 };
    return this.node("Convolution", [x], {
      ...params,
      weight_data_size: outputs * inputs * kernel * kernel,
      ...extra,
    });
  }
  depthwise(x: string, kernel: number): string {
    const [channels] = this.shape(x);
    const params = { num_output: channels, kernel_w: kernel, pad_left: (kernel - 1) / 2, group: channels };
    return this.node("ConvolutionDepthWise", [x], {
      ...params,
      weight_data_size: channels * kernel * kernel,
    });
  }
  norm(x: string): string {
    return this.node("BatchNorm", [x], { channels: this.shape(x)[0], eps: Math.fround(1e-3) });
  }
  activation(x: string, variant: number): string {
    const [type, params] = activations[variant % activations.length];
    return this.node(type, [x], params);
  }
  /** A picture with the shape of `x`, of those that there are. */
  sibling(x: string, variant: number): string {
    const same = this.pictures.filter((blob) => String(this.shape(blob)) === String(this.shape(x)));
    return same[variant % same.length];
  }
}

const activations: readonly (readonly [string, Params])[] = [
  ["ReLU", {}],
  ["ReLU", { slope: 0.25 }],
  ["Clip", { min: 0, max: 0.5 }],
  ["Clip", { min: -0.5 }],
  ["Sigmoid", {}],
  ["Mish", {}],
  ["HardSwish", { alpha: 0.25 }],
  ["HardSigmoid", {}],
  ["Swish", {}],
  ["PReLU", { num_slope: 1 }],
  ["Dropout", { scale: 0.5 }],
  ["Dropout", {}],
  ["BinaryOp", { op_type: 4, with_scalar: 1, b: 0 }],
  ["BinaryOp", { op_type: 2, with_scalar: 1, b: 0.5 }],
  ["BinaryOp", { op_type: 0, with_scalar: 1, b: -0.25 }],
  ["BinaryOp", { op_type: 7, with_scalar: 1, b: 0.75 }],
];

type Block = (b: Builder, x: string, variant: number) => string[];

const blocks: readonly Block[] = [
  (b, x, v) => [b.activation(x, v)],
  (b, x, v) => [b.conv(x, v & 1 ? 3 : 1)],
  (b, x, v) => [b.activation(b.conv(x, v & 1 ? 3 : 1), v >> 1)],
  (b, x, v) => [b.activation(b.norm(b.conv(x, 3, { stride_w: (v & 1) + 1 })), v >> 1)],
  (b, x, v) => [b.activation(b.norm(b.depthwise(x, 3)), v)],
  (b, x, v) => {
    const y = b.conv(x, 1);
    const scaled = b.node("Scale", [v & 1 ? b.norm(y) : y], { scale_data_size: 4, bias_term: 1 });
    return [v & 2 ? b.node("Bias", [scaled], { bias_data_size: 4 }) : scaled];
  },
  (b, x, v) => [b.node("BinaryOp", [x, b.sibling(x, v)])],
  (b, x, v) => [b.node("Eltwise", [x, b.sibling(x, v), b.sibling(x, v >> 1)], { op_type: 1 })],
  (b, x, v) => [
    b.node("BinaryOp", [b.node("BinaryOp", [x], { op_type: 2, with_scalar: 1, b: 0.5 }), b.sibling(x, v)]),
  ],
  // A constant per channel or of one value, on either side.
  (b, x, v) => {
    const y = v & 1 ? b.conv(x, 1) : x;
    const constant = b.node("MemoryData", [], { w: v & 2 ? 1 : b.shape(y)[0] });
    return [b.node("BinaryOp", v & 4 ? [y, constant] : [constant, y], { op_type: [0, 1, 2][(v >> 3) % 3] })];
  },
  // Self gates.
  (b, x, v) => {
    const gate = b.node(v & 1 ? "Sigmoid" : "HardSigmoid", [x]);
    return [b.node("BinaryOp", v & 2 ? [x, gate] : [gate, x], { op_type: 2 })];
  },
  // Squeeze and excite, through pooling or means, on vectors or pictures of one pixel.
  (b, x, v) => {
    const [channels] = b.shape(x);
    const pooled =
      v & 1
        ? b.node("Reduction", [x], { operation: 3, reduce_all: 0, axes: [1, 2], keepdims: 1, fixbug0: 1 })
        : b.node("Reshape", [b.node("Pooling", [x], { pooling_type: 1, global_pooling: 1 })], {
            w: 1,
            h: 1,
            c: -1,
          });
    const gate = b.activation(b.conv(b.activation(b.conv(pooled, 1), 0), 1, {}, channels), 7);
    return [b.node("BinaryOp", [x, gate], { op_type: 2 })];
  },
  // RepVGG and its like.
  (b, x, v) => {
    const y = b.shape(x)[0] === 4 ? x : b.conv(x, 1);
    const branches = [b.norm(b.conv(y, 3)), b.norm(b.conv(y, 1)), v & 1 ? b.norm(y) : y];
    if (v & 2) return [b.node("Eltwise", branches, { op_type: 1 })];
    return [
      b.activation(b.node("BinaryOp", [b.node("BinaryOp", branches.slice(0, 2)), branches[2]]), v >> 2),
    ];
  },
  // Space to depth before a convolution.
  (b, x, v) => {
    const [, h, w] = b.shape(x);
    return h % 2 || w % 2 ? [] : [b.conv(b.node("Reorg", [x], { stride: 2, mode: v & 1 }), v & 2 ? 3 : 1)];
  },
  // ShuffleNet unit.
  (b, x) => {
    const y = b.conv(x, 1);
    const [left, right] = b.nodes("Slice", [y], { slices: [-233, -233] }, 2);
    const joined = b.node("Concat", [left, b.activation(b.conv(right, 1, {}, 2), 0)]);
    return [b.node("ShuffleChannel", [joined], { group: 2 })];
  },
  (b, x, v) => (b.shape(x)[0] > 8 ? [] : [b.node("Concat", [x, b.sibling(x, v)])]),
  (b, x, v) => [
    b.node(
      "Pooling",
      [x],
      [{ kernel_w: 2, stride_w: 2 }, { kernel_w: 1 }, { kernel_w: 3, pad_left: 1, pad_mode: 1 }][v % 3],
    ),
  ],
  (b, x, v) => {
    const [, h, w] = b.shape(x);
    if (h > 8) return [];
    const sized = { resize_type: 1, output_height: h * 2, output_width: w * 2 };
    return [
      b.node("Interp", [x], v & 1 ? sized : { resize_type: 2, height_scale: 1 + (v & 2), width_scale: 1 }),
    ];
  },
  (b, x, v) => {
    const turned = b.node("Permute", [x], { order_type: 3 });
    const between = v & 1 ? b.node("Softmax", [turned], { axis: v % 3 }) : turned;
    return [b.node("Permute", [between], { order_type: 4 })];
  },
  (b, x, v) => {
    const [, h, w] = b.shape(x);
    if (h < 4 || w < 4) return [];
    const rows = b.node("Crop", [x], { starts: [v & 1], ends: [-1], axes: [1] });
    return [b.node("Crop", [rows], { starts: [1], ends: [-233], axes: [v & 2 ? 2 : 1] })];
  },
  // Layers that change nothing.
  (b, x, v) => [
    [
      () => b.node("Noop", [x]),
      () => b.node("Concat", [x]),
      () => b.node("Crop", [x], { starts: [0], ends: [-233] }),
      () => b.node("Padding", [x]),
      () => b.node("Reshape", [x], { w: 0, h: 0, c: 0 }),
      () => b.node("Reshape", [b.node("Flatten", [x])], { w: b.shape(x)[2], h: b.shape(x)[1], c: -1 }),
    ][v % 6](),
  ],
];

/** Heads: what leaves the graph and is read by nothing. */
const heads: readonly ((b: Builder, x: string) => void)[] = [
  (b, x) => {
    const [c, h, w] = b.shape(x);
    b.node("Permute", [b.node("Reshape", [x], { w: w * h, h: c / 2, c: 2 })], { order_type: 1 });
  },
  (b, x) => {
    const [c, h, w] = b.shape(x);
    b.node("Reshape", [b.node("Permute", [x], { order_type: 3 })], { w: c, h: h * w });
  },
  (b, x) => {
    const vector = b.node("Flatten", [b.node("Pooling", [x], { global_pooling: 1 })]);
    const fc = { num_output: 3, bias_term: 1, weight_data_size: 3 * b.shape(x)[0] };
    b.node("Softmax", [b.node("Dropout", [b.norm(b.node("InnerProduct", [vector], fc))])]);
  },
];

/** At least one block and one head; every choice is legal for every list. */
export function randomGraph(choices: readonly Choice[], head: number, seed: number): Graph {
  const b = new Builder();
  b.pictures = [b.conv("x", 3)];
  for (const [block, blob, variant] of choices) {
    const x = b.pictures[b.pictures.length - 1 - (blob % Math.min(b.pictures.length, 3))];
    const made = blocks[block % blocks.length](b, x, variant);
    b.pictures.push(...made.filter((name) => b.shape(name).length === 3 && b.shape(name)[1] > 1));
  }
  const last = b.pictures.at(-1)!;
  heads[head % heads.length](b, b.shape(last)[0] % 2 ? b.conv(last, 1) : last);
  fillWeights(b.graph, seed);
  return b.graph;
}

export const blockCount = blocks.length;
