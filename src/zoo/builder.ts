/**
 * Graphs written as code: each call adds a layer, infers its shape and hands out its blob, so that a network reads like the
 * table of its paper. Weights come later (`weights.ts`).
 */
import { Graph } from "../ir/graph.ts";
import { type Op, type Params, resolveParams } from "../ir/op.ts";
import { elementCount, type Shape } from "../ir/tensor.ts";
import { activationTypes } from "../ops/activations.ts";
import { binaryOpTypes } from "../ops/binary-op.ts";
import { eltwiseTypes } from "../ops/eltwise.ts";
import { ops } from "../ops/index.ts";
import { padModes, poolingTypes } from "../ops/pooling.ts";
import { padSameUpper } from "../ops/windows.ts";

/** A blob of the graph being built. Shapes are `[c, h, w]` or of lower rank. */
export interface Blob {
  readonly name: string;
  readonly shape: Shape;
}

/** An activation that a convolution or fully connected layer does itself. */
export type Fused = "relu" | "sigmoid" | { readonly leakyRelu: number };

export interface ConvolutionOptions {
  /** Side of the square kernel; default 1. */
  readonly kernel?: number;
  readonly stride?: number;
  /** Zeros on each side; default half the kernel, which keeps the size. `same`: as TensorFlow pads. */
  readonly pad?: number | "same";
  readonly group?: number;
  readonly activation?: Fused;
  /** Default true: batch normalisation is folded into the layer. */
  readonly bias?: boolean;
}

export interface PoolingOptions {
  readonly stride?: number;
  readonly pad?: number;
  /** Caffe's rule: a window may hang over the far edge. Default false. */
  readonly ceil?: boolean;
}

export class Builder {
  readonly graph = new Graph();
  private readonly counts = new Map<string, number>();

  /** The network's input: a square picture of three channels. */
  input(size: number): Blob {
    this.graph.add({ type: "Input", name: "data", outputs: ["data"], params: { w: size, h: size, c: 3 } });
    return { name: "data", shape: [3, size, size] };
  }

  /** Any layer with one output. Floats of `params` are rounded to float32, as files hold them. */
  layer(type: string, inputs: Blob | readonly Blob[], params: Params = {}): Blob {
    return this.layers(type, inputs, params, 1)[0];
  }

  /** Any layer with `outputs` outputs. */
  layers(type: string, inputs: Blob | readonly Blob[], params: Params, outputs: number): Blob[] {
    const op = ops.get(type)!;
    const from = "name" in inputs ? [inputs] : inputs;
    const number = (this.counts.get(type) ?? 0) + 1;
    this.counts.set(type, number);
    const name = `${type.toLowerCase()}${number}`;
    const names = Array.from({ length: outputs }, (_, i) => (outputs > 1 ? `${name}.${i}` : name));
    const stored = withFloat32(op, params);
    const shapes = op.shape(
      from.map((blob) => blob.shape),
      resolveParams(op, stored),
      outputs,
    );
    this.graph.add({ type, name, inputs: from.map((blob) => blob.name), outputs: names, params: stored });
    return names.map((blob, i) => ({ name: blob, shape: shapes[i] }));
  }

  conv(x: Blob, outputs: number, options: ConvolutionOptions = {}): Blob {
    const { kernel = 1, stride = 1, pad = Math.floor(kernel / 2), group = 1, bias = true } = options;
    return this.layer(group > 1 ? "ConvolutionDepthWise" : "Convolution", x, {
      num_output: outputs,
      kernel_w: kernel,
      ...(stride > 1 && { stride_w: stride }),
      ...(pad !== 0 && { pad_left: pad === "same" ? padSameUpper : pad }),
      ...(bias && { bias_term: 1 }),
      weight_data_size: (outputs * x.shape[0] * kernel * kernel) / group,
      ...(group > 1 && { group }),
      ...activationParams(options.activation),
    });
  }

  /** One kernel for each channel. */
  depthwise(x: Blob, kernel: number, options: Omit<ConvolutionOptions, "kernel" | "group"> = {}): Blob {
    return this.conv(x, x.shape[0], { ...options, kernel, group: x.shape[0] });
  }

  /** A transposed convolution in as many groups as there are outputs, without bias. */
  transposed(x: Blob, outputs: number, kernel: number, stride: number, pad = 0): Blob {
    return this.layer("DeconvolutionDepthWise", x, {
      num_output: outputs,
      kernel_w: kernel,
      stride_w: stride,
      ...(pad > 0 && { pad_left: pad }),
      weight_data_size: x.shape[0] * kernel * kernel,
      group: outputs,
    });
  }

  fullyConnected(x: Blob, outputs: number, activation?: Fused): Blob {
    return this.layer("InnerProduct", x, {
      num_output: outputs,
      bias_term: 1,
      weight_data_size: outputs * elementCount(x.shape),
      ...activationParams(activation),
    });
  }

  maxPool(x: Blob, kernel: number, options: PoolingOptions = {}): Blob {
    return this.pool(x, "max", kernel, options);
  }
  averagePool(x: Blob, kernel: number, options: PoolingOptions = {}, params: Params = {}): Blob {
    return this.pool(x, "average", kernel, options, params);
  }
  private pool(
    x: Blob,
    type: "max" | "average",
    kernel: number,
    { stride = 1, pad = 0, ceil = false }: PoolingOptions,
    params: Params = {},
  ): Blob {
    return this.layer("Pooling", x, {
      ...(type === "average" && { pooling_type: poolingTypes.average }),
      kernel_w: kernel,
      ...(stride > 1 && { stride_w: stride }),
      ...(pad > 0 && { pad_left: pad }),
      ...(!ceil && { pad_mode: padModes.valid }),
      ...params,
    });
  }
  /** The mean of each channel, as rank 1. */
  globalPool(x: Blob): Blob {
    return this.layer("Pooling", x, { pooling_type: poolingTypes.average, global_pooling: 1 });
  }

  relu(x: Blob): Blob {
    return this.layer("ReLU", x);
  }
  swish(x: Blob): Blob {
    return this.layer("Swish", x);
  }
  hardSwish(x: Blob): Blob {
    return this.layer("HardSwish", x);
  }
  hardSigmoid(x: Blob): Blob {
    return this.layer("HardSigmoid", x);
  }
  softmax(x: Blob, axis = 0): Blob {
    return this.layer("Softmax", x, x.shape.length === 1 ? {} : { axis, fixbug0: 1 });
  }

  /** a + b and a · b with ncnn's broadcasting: a vector meets the channels of a picture. */
  add(a: Blob, b: Blob): Blob {
    return this.layer("BinaryOp", [a, b]);
  }
  multiply(a: Blob, b: Blob): Blob {
    return this.layer("BinaryOp", [a, b], { op_type: binaryOpTypes.indexOf("mul") });
  }
  /** The sum of two blobs of one shape, as Caffe's converters spell it. */
  eltwiseSum(a: Blob, b: Blob): Blob {
    return this.layer("Eltwise", [a, b], { op_type: eltwiseTypes.sum });
  }

  concat(blobs: readonly Blob[], axis = 0): Blob {
    return this.layer("Concat", blobs, axis ? { axis } : {});
  }
  /** Interleaves `groups` groups of channels; `reverse` undoes it. */
  shuffle(x: Blob, groups: number, reverse = false): Blob {
    return this.layer("ShuffleChannel", x, { group: groups, ...(reverse && { reverse: 1 }) });
  }
  /** Channels [start, end). */
  crop(x: Blob, start: number, end: number): Blob {
    return this.layer("Crop", x, { starts: [start], ends: [end], axes: [0] });
  }
  /** Nearest-neighbour enlargement by 2. */
  upsample(x: Blob): Blob {
    return this.layer("Interp", x, { resize_type: 1, height_scale: 2, width_scale: 2 });
  }
  /** Zeros around a picture. */
  pad(
    x: Blob,
    sides: { top?: number; bottom?: number; left?: number; right?: number; behind?: number },
  ): Blob {
    return this.layer("Padding", x, { ...sides, front: 0, behind: sides.behind ?? 0 });
  }
  permute(x: Blob, order: number): Blob {
    return this.layer("Permute", x, { order_type: order });
  }
  /** A learnt tensor; the shape has rank 1 or 2. */
  constant(shape: Shape): Blob {
    const [w, h] = [...shape].reverse();
    return this.layer("MemoryData", [], h === undefined ? { w } : { w, h });
  }
}

function activationParams(activation: Fused | undefined): Params {
  if (activation === undefined) return {};
  if (typeof activation === "string") return { activation_type: activationTypes[activation] };
  return { activation_type: activationTypes.leakyRelu, activation_params: [activation.leakyRelu] };
}

function withFloat32(op: Op, params: Params): Params {
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => {
      const { kind } = op.params[name];
      if (kind === "float") return [name, Math.fround(value as number)];
      return [name, kind === "floats" ? (value as readonly number[]).map(Math.fround) : value];
    }),
  );
}
