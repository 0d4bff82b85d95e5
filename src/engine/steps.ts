/** What the engine does, a record for each piece of work: made by `lower/`, carried out by a backend. */

import type { Activation } from "../base/activation.ts";
import type { Node } from "../ir/graph.ts";
import type { Shape } from "../ir/tensor.ts";
import type { BinaryOperator, PoolingOperator } from "../kernels/operators.ts";
import type { DenseView, PictureView, Value } from "./values.ts";
import type { WindowAxes } from "./windows.ts";

/** Work done to results before they are stored. A residual's value lies in the same channel order as the step's output. */
export type FusedStep =
  | { readonly kind: "activation"; readonly activation: Activation }
  | { readonly kind: "scalar"; readonly operator: BinaryOperator; readonly value: number }
  /** x·factor + bias, rounded once, with one of each for every channel. */
  | { readonly kind: "scale"; readonly factor: Float32Array; readonly bias: Float32Array }
  | { readonly kind: "residual"; readonly value: Value };

interface StepBase {
  /** Names of the graph's nodes that the step carries out. */
  readonly nodes: string[];
  readonly output: Value;
}

/** int8 arithmetic of a convolution. */
export interface Int8Scales {
  readonly bottom: number;
  /** One for each output channel. */
  readonly weight: Float32Array;
  /** The input blob holds integers quantized with this scale already, instead of `bottom`. */
  readonly inputScale: number;
}

export interface ConvolutionStep extends StepBase, WindowAxes {
  readonly kind: "convolution";
  readonly input: PictureView;
  /** `[output channel][input channel][ky][kx]`; integers for int8. */
  readonly weight: Float32Array | Int8Array;
  readonly bias: Float32Array | undefined;
  readonly int8: Int8Scales | undefined;
  /** int8: acc·scale + bias is rounded once; natively a fully connected layer rounds twice. */
  readonly roundOnce: boolean;
  readonly fused: FusedStep[];
}

export interface DepthwiseStep extends StepBase, WindowAxes {
  readonly kind: "depthwise";
  readonly input: Value;
  /** `[channel][ky][kx]` */
  readonly weight: Float32Array | Int8Array;
  readonly bias: Float32Array | undefined;
  readonly int8: Int8Scales | undefined;
  readonly fused: FusedStep[];
}

export interface PoolingStep extends StepBase, WindowAxes {
  readonly kind: "pooling";
  readonly input: Value;
  readonly operator: PoolingOperator;
  readonly divisor: "kernel" | "inside";
  readonly fused: FusedStep[];
}

export type ElementwiseOperand =
  | { readonly kind: "none" }
  | { readonly kind: "constant"; readonly value: number }
  /** `channel`: one value per channel; `pixel`: one value per pixel, from channel 0. */
  | { readonly kind: "value"; readonly value: Value; readonly broadcast: "none" | "channel" | "pixel" };

export interface ElementwiseStep extends StepBase {
  readonly kind: "elementwise";
  readonly operator: BinaryOperator;
  readonly a: Value;
  readonly b: ElementwiseOperand;
  readonly fused: FusedStep[];
}

/** Bilinear. */
export interface ResizeStep extends StepBase {
  readonly kind: "resize";
  readonly input: Value;
  readonly rowTaps: readonly (readonly [number, number, number])[];
  readonly columnTaps: readonly (readonly [number, number, number])[];
  readonly fused: FusedStep[];
}

/** Channels copied into a value of their own, possibly enlarged by whole factors; in every representation asked for. */
export interface GatherStep extends StepBase {
  readonly kind: "gather";
  readonly input: PictureView;
  readonly scaleY: number;
  readonly scaleX: number;
  /**
   * The input's place in an output that is larger by pixels or channels of zeros: pixel (y, x) goes to
   * (top + stepY·y, left + stepX·x).
   */
  readonly frame?: Readonly<Record<"top" | "left" | "stepY" | "stepX", number>>;
}

/** Dense `[c, h, w]` to a picture. */
export interface ImportStep extends StepBase {
  readonly kind: "import";
  readonly input: Value;
}

/** A strided tensor to a dense one. */
export interface CopyStep extends StepBase {
  readonly kind: "copy";
  readonly input: DenseView;
}

/** Strided tensors to parts of a dense one. */
export interface JoinStep extends StepBase {
  readonly kind: "join";
  /** `at`: the first element of the output. */
  readonly parts: readonly { readonly view: DenseView; readonly at: number }[];
}

export interface SoftmaxStep extends StepBase {
  readonly kind: "softmax";
  readonly input: Value;
}

/** Over the channels of every pixel. */
export interface LayerNormStep extends StepBase {
  readonly kind: "layerNorm";
  readonly input: Value;
  readonly eps: number;
  readonly gamma: Float32Array;
  readonly beta: Float32Array;
  readonly fused: FusedStep[];
}

/** Channels that an LRN may sum up. */
export const largestLrnSize = 9;

/** Across channels, with exponent −3/4. */
export interface LrnStep extends StepBase {
  readonly kind: "lrn";
  readonly input: Value;
  /** At most `largestLrnSize`. */
  readonly size: number;
  readonly factor: number;
  readonly bias: number;
  readonly fused: FusedStep[];
}

/** softmax(query·keyᵀ)·value in heads; matrices as pictures of width 1. */
export interface AttentionStep extends StepBase {
  readonly kind: "attention";
  readonly heads: number;
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
}

/** A layer that no backend has a kernel for: runs on the reference kernel, in JavaScript, from and to dense tensors. */
export interface ReferenceStep extends StepBase {
  readonly kind: "reference";
  readonly node: Node;
  readonly inputs: readonly { readonly value: Value; readonly shape: Shape }[];
  readonly outputs: readonly { readonly value: Value; readonly shape: Shape }[];
}

export type Step =
  | ConvolutionStep
  | DepthwiseStep
  | PoolingStep
  | ElementwiseStep
  | ResizeStep
  | GatherStep
  | ImportStep
  | CopyStep
  | JoinStep
  | SoftmaxStep
  | LayerNormStep
  | LrnStep
  | AttentionStep
  | ReferenceStep;

/** Steps that compute in float32 and can take activations and residuals along. */
export type FusableStep = Extract<Step, { fused: FusedStep[] }>;

/** All values that a step makes. */
export function outputsOf(step: Step): Value[] {
  return "outputs" in step ? step.outputs.map(({ value }) => value) : [step.output];
}
