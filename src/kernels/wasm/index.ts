/** The kernel generators: a plain spec record in, a WebAssembly function out. */

import type { ConvolutionSpec } from "./_convolution-spec.ts";
import type { AttentionSpec } from "./attention.ts";
import type { DepthwiseSpec } from "./depthwise.ts";
import type { ElementwiseSpec } from "./elementwise.ts";
import type { GatherSpec, SharedGatherSpec } from "./gather.ts";
import type { ImportSpec } from "./import.ts";
import type { LayerNormSpec } from "./layer-norm.ts";
import type { LrnSpec } from "./lrn.ts";
import type { PoolingSpec } from "./pooling.ts";
import type { ResizeSpec } from "./resize.ts";
import type { SoftmaxSpec } from "./softmax.ts";
import type { StridedCopySpec } from "./strided-copy.ts";
import type { WinogradSpec } from "./winograd.ts";

export * from "./_convolution-spec.ts";
export { Doubles } from "./_double.ts";
export * from "./_epilogue.ts";
export type { PlacedPicture } from "./_placed.ts";
export * from "./_winograd-matrices.ts";
export * from "./attention.ts";
export * from "./convolution.ts";
export * from "./decode.ts";
export * from "./depthwise.ts";
export * from "./elementwise.ts";
export * from "./fit.ts";
export * from "./gather.ts";
export * from "./import.ts";
export * from "./layer-norm.ts";
export * from "./lrn.ts";
export * from "./place.ts";
export * from "./pooling.ts";
export * from "./resize.ts";
export * from "./sieve.ts";
export * from "./softmax.ts";
export * from "./spec.ts";
export * from "./strided-copy.ts";
export * from "./suppress.ts";
export * from "./unpack.ts";
export * from "./winograd.ts";

export type KernelSpec =
  | ConvolutionSpec
  | WinogradSpec
  | DepthwiseSpec
  | PoolingSpec
  | ElementwiseSpec
  | ResizeSpec
  | GatherSpec
  | SharedGatherSpec
  | ImportSpec
  | StridedCopySpec
  | SoftmaxSpec
  | LayerNormSpec
  | LrnSpec
  | AttentionSpec;
