/** What native ncnn's results cannot show: the list, int8 blobs, rounding, and errors. */
import { describe, expect, it } from "vitest";
import { GraphError, UnsupportedError } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import { runReference } from "../../src/engine/reference/index.ts";
import { parseParam } from "../../src/formats/ncnn/index.ts";
import { type Params, resolveParams } from "../../src/ir/op.ts";
import { elementCount, type Shape, type Tensor, tensor } from "../../src/ir/tensor.ts";
import { f32Weight, type Weights } from "../../src/ir/weight.ts";
import { allOps, ops } from "../../src/ops/index.ts";
import { loadCases } from "./_cases.ts";

function shapeOf(type: string, params: Params, inputs: readonly Shape[], outputs = 1): readonly Shape[] {
  const op = ops.get(type)!;
  return op.shape(inputs, resolveParams(op, params), outputs);
}

function run(
  type: string,
  params: Params,
  inputs: readonly Tensor[],
  weights: Weights = {},
  outputs = 1,
): Tensor[] {
  const op = ops.get(type)!;
  const p = resolveParams(op, params);
  const shapes = op.shape(
    inputs.map((input) => input.shape),
    p,
    outputs,
  );
  return op.reference(inputs, p, weights, shapes);
}

describe("the list of operators", () => {
  it("has no type, type index or parameter id twice, and no unknown default", () => {
    expect(new Set(allOps.map((op) => op.type)).size).toBe(allOps.length);
    expect(new Set(allOps.map((op) => op.typeIndex)).size).toBe(allOps.length);
    for (const op of allOps) {
      const specs = Object.values(op.params);
      expect(new Set(specs.map((spec) => spec.id)).size, op.type).toBe(specs.length);
      for (const { id, kind, default: value } of specs) {
        expect(id >= 0 && id < 30, `${op.type} ${id}`).toBe(true);
        if (kind !== "string" && typeof value === "string") expect(op.params, op.type).toHaveProperty(value);
      }
    }
  });
});

describe("int8 blobs", () => {
  const random = new Random(5);
  // Cases of operators that move values: the integers have to arrive as the floats do, and stay int8.
  const moving = loadCases().filter(({ type, inputs, graph }) => {
    const p = graph.node("layer")!.params;
    if (!ops.get(type)!.int8Inputs || inputs.length === 0) return false;
    // A window that lies in the padding has no maximum.
    if (type === "Pooling") return (p.pooling_type ?? 0) === 0 && !p.pad_bottom;
    if (type === "Interp") return p.resize_type === 1;
    if (type === "Padding") return !p.value && !p.per_channel_pad_data_size;
    return !/Convolution|InnerProduct|ReLU|Cast/.test(type);
  });

  it("pass through data movement", () => {
    expect(moving.length).toBeGreaterThan(100);
    const wrong: string[] = [];
    for (const { title, graph, inputs } of moving) {
      const node = graph.node("layer")!;
      const integers = inputs.map(({ shape }) =>
        tensor(
          shape,
          Int8Array.from({ length: elementCount(shape) }, () => random.int(-127, 127)),
        ),
      );
      const floats = integers.map(({ shape, data }) => tensor(shape, new Float32Array(data)));
      const got = run(node.type, node.params, integers, node.weights, node.outputs.length);
      const expected = run(node.type, node.params, floats, node.weights, node.outputs.length);
      got.forEach(({ data }, i) => {
        const same = data instanceof Int8Array && data.every((q, k) => q === expected[i].data[k]);
        if (!same) wrong.push(title);
      });
    }
    expect(wrong).toEqual([]);
  });

  it("are refused where a scale would be needed, or beside floats", () => {
    const q = tensor([1, 2, 2], Int8Array.of(1, 2, 3, 4));
    expect(() => run("Pooling", { pooling_type: 1, kernel_w: 2 }, [q])).toThrow(/average of an int8 blob/);
    expect(() => run("Interp", { resize_type: 2, output_height: 3, output_width: 3 }, [q])).toThrow(
      GraphError,
    );
    expect(() => run("Concat", {}, [q, tensor([1, 2, 2])])).toThrow(/1 of 2 inputs are int8/);
    const graph = parseParam("7767517\n2 2\nInput a 0 1 a\nSigmoid s 1 1 a b\n");
    expect(() => runReference(graph, { a: q })).toThrow(/Sigmoid "s": input "a" is int8/);
  });

  it("come from Quantize and Requantize with ties away from zero and ±127 at most", () => {
    const x = tensor([6], Float32Array.of(0.5, -0.5, 2.49, 1000, -1000, Number.NaN));
    const [q] = run("Quantize", {}, [x], { scale: f32Weight([1]) });
    expect([...q.data]).toEqual([1, -1, 2, 127, -127, -127]);
    const [r] = run(
      "Requantize",
      { bias_data_size: 2, scale_in_data_size: 2, activation_type: 1 },
      [tensor([2, 2], Float32Array.of(10, -10, 10, 1000))],
      { scale_in: f32Weight([0.5, 0.25]), scale_out: f32Weight([2]), bias: f32Weight([1, 0.5]) },
    );
    expect([...r.data]).toEqual([12, 0, 6, 127]);
  });

  it("go back to floats through Dequantize", () => {
    const x = tensor([2, 2], Float32Array.of(4, -8, 12, 16));
    const [y] = run("Dequantize", { scale_data_size: 2, bias_data_size: 1 }, [x], {
      scale: f32Weight([0.5, 0.25]),
      bias: f32Weight([1]),
    });
    expect([...y.data]).toEqual([3, -3, 4, 5]);
  });
});

describe("operators without native results", () => {
  it("Split copies its input to all outputs", () => {
    const x = tensor([3], Float32Array.of(1, 2, 3));
    expect(shapeOf("Split", {}, [[3]], 3)).toEqual([[3], [3], [3]]);
    expect(run("Split", {}, [x], {}, 3).map(({ data }) => [...data])).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });
  it("YoloV5Focus stacks pixels as torch.cat of x[::2, ::2], x[1::2, ::2], x[::2, 1::2], x[1::2, 1::2] does", () => {
    const x = tensor(
      [2, 2, 4],
      Float32Array.from({ length: 16 }, (_, i) => i),
    );
    const [y] = run("YoloV5Focus", {}, [x]);
    expect(y.shape).toEqual([8, 1, 2]);
    expect([...y.data]).toEqual([0, 2, 8, 10, 4, 6, 12, 14, 1, 3, 9, 11, 5, 7, 13, 15]);
  });
  it("ArgMax gives values, then positions", () => {
    const x = tensor([2, 3], Float32Array.of(3, 9, 1, 7, 2, 8));
    expect([...run("ArgMax", { topk: 2 }, [x])[0].data]).toEqual([1, 5]);
    expect([...run("ArgMax", { topk: 2, out_max_val: 1 }, [x])[0].data]).toEqual([9, 8, 1, 5]);
  });
  it("the detection layers give no rows where nothing is found", () => {
    const head = tensor([12, 2, 2], new Float32Array(48).fill(-20));
    const [none] = run("YoloDetectionOutput", { num_class: 1, num_box: 2, biases: [1, 1, 2, 2] }, [head]);
    expect(none).toEqual({ shape: [0, 6], data: new Float32Array(0) });
  });
  it("DetectionOutput skips priors that the background wins", () => {
    const prior = tensor([2, 8], Float32Array.of(0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, ...new Array(8).fill(0.1)));
    const scores = tensor([2, 2], Float32Array.of(0.7, 0.9, 0.2, 0.8));
    const [rows] = run("DetectionOutput", { num_class: 2 }, [tensor([8]), scores, prior]);
    expect(rows.shape).toEqual([1, 6]);
    expect([...rows.data]).toEqual([1, Math.fround(0.8), 0.5, 0.5, 1, 1]);
  });
  it("references do not change their inputs", () => {
    for (const { title, graph, inputs } of loadCases()) {
      const before = inputs.map(({ data }) => data.slice());
      const node = graph.node("layer")!;
      run(node.type, node.params, inputs, node.weights, node.outputs.length);
      expect(
        inputs.every(({ data }, i) => data.every((x, k) => Object.is(x, before[i][k]))),
        title,
      ).toBe(true);
    }
  });
});

describe("shape rules refuse what does not fit, naming both numbers", () => {
  const conv = { num_output: 4, kernel_w: 3, weight_data_size: 108 };
  it.each<[type: string, params: Params, inputs: Shape[], message: RegExp]>([
    ["Convolution", conv, [[2, 8, 8]], /weight_data_size is 108, but 2 input channels call for 72/],
    ["Convolution", { ...conv, activation_type: 9 }, [[3, 8, 8]], /activation_type is 9, expected 0 to 6/],
    ["Convolution", { ...conv, stride_w: 0 }, [[3, 8, 8]], /stride_w is 0/],
    ["ConvolutionDepthWise", { ...conv, group: 2 }, [[3, 8, 8]], /3 channels to 4 cannot be split into 2/],
    [
      "Concat",
      { axis: 1 },
      [
        [3, 4],
        [2, 4],
      ],
      /4x3 and 4x2/,
    ],
    [
      "Concat",
      { axis: 2 },
      [
        [3, 4],
        [3, 4],
      ],
      /axis 2 is outside a blob of rank 2/,
    ],
    ["Slice", { slices: [9] }, [[4, 2, 2]], /part 0 would be \[0, 9\) of an extent of 4/],
    [
      "Crop",
      { starts: [2], ends: [2], axes: [0] },
      [[4, 2]],
      /\[2, 2\) is not inside axis 0, which has extent 4/,
    ],
    ["Crop", { outw: 3, woffset: 5 }, [[4]], /not inside axis 0/],
    ["ShuffleChannel", { group: 4 }, [[6, 2, 2]], /6 channels cannot be split into 4/],
    [
      "BinaryOp",
      {},
      [
        [3, 4],
        [3, 5],
      ],
      /4x3 with 5x3: extents 4 and 5 differ/,
    ],
    ["BinaryOp", { op_type: 40, with_scalar: 1 }, [[3]], /op_type is 40/],
    ["BinaryOp", {}, [[3]], /1 input without with_scalar/],
    ["Reshape", { w: 5, h: -1 }, [[3, 4]], /4x3 has 12 elements, which cannot take the shape 5x-1/],
    ["Permute", { order_type: 6 }, [[2, 3, 4]], /order_type 6 does not exist for rank 3/],
    ["InnerProduct", { num_output: 3, weight_data_size: 30 }, [[12]], /calls for 10 inputs, but 12 has 12/],
    [
      "Eltwise",
      {},
      [
        [3, 4],
        [4, 3],
      ],
      /4x3 and 3x4/,
    ],
    ["BatchNorm", { channels: 5 }, [[4, 2, 2]], /channels is 5, but the input 2x2x4 has 4/],
    ["Padding", { left: 4, type: 2 }, [[4]], /cannot reflect 4 cells of an extent of 4/],
    ["PixelShuffle", { upscale_factor: 2 }, [[6, 2, 2]], /6 channels cannot become blocks of 2x2/],
    [
      "Gemm",
      {},
      [
        [4, 6],
        [5, 6],
      ],
      /A has 6 columns, but B has 5 rows/,
    ],
    [
      "MatMul",
      {},
      [
        [4, 6],
        [5, 6],
      ],
      /inner extents are 6 and 5/,
    ],
    ["LayerNorm", { affine_size: 6 }, [[3, 5]], /affine_size is 6, but 5x3 has runs of 5/],
    [
      "MultiHeadAttention",
      { embed_dim: 8, num_heads: 3, weight_data_size: 64 },
      [[5, 8]],
      /8 cannot be split into 3/,
    ],
    [
      "DetectionOutput",
      { num_class: 3 },
      [[8], [7], [2, 8]],
      /8 offsets and 7 scores do not fit 2 priors and 3/,
    ],
    [
      "YoloDetectionOutput",
      { num_class: 3, num_box: 2 },
      [[17, 2, 2]],
      /17 channels, but 2 boxes of 3 classes take 16/,
    ],
    [
      "Yolov3DetectionOutput",
      { num_class: 3, num_box: 2, mask: [0, 7], biases: [1, 1], anchors_scale: [32] },
      [[16, 2, 2]],
      /mask 7, but there are 1/,
    ],
    [
      "PriorBox",
      { min_sizes: [3], max_sizes: [1], image_width: -233 },
      [[1, 2, 2]],
      /the image size is unknown/,
    ],
    [
      "PriorBox",
      { min_sizes: [0.2, 0.3], image_width: -233, image_height: -233 },
      [[1, 2, 2]],
      /there are no aspect_ratios/,
    ],
    ["Deconvolution", { num_output: 1, kernel_w: 3, output_pad_right: -2 }, [[1, 4, 4]], /at least 0/],
    ["Pooling", { pooling_type: 2, kernel_w: 2 }, [[1, 4, 4]], /pooling_type is 2/],
  ])("%s %o", (type, params, inputs, message) => {
    let error: unknown;
    try {
      shapeOf(type, params, inputs);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(GraphError);
    expect((error as GraphError).message).toMatch(message);
  });

  it.each<[type: string, params: Params, inputs: Shape[]]>([
    ["MultiHeadAttention", { embed_dim: 8, weight_data_size: 64, int8_scale_term: 2 }, [[5, 8]]],
    ["MultiHeadAttention", { embed_dim: 8, weight_data_size: 64, kv_cache: 1 }, [[5, 8]]],
    ["Cast", { type_from: 1, type_to: 3 }, [[5, 8]]],
  ])("%s %o is not supported, and says so", (type, params, inputs) => {
    expect(() => shapeOf(type, params, inputs)).toThrow(UnsupportedError);
  });
});
