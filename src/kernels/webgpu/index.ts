/** Generators of WGSL: a plain record to a shader. */
import { type AttentionSpec, attentionMacs, attentionShader } from "./attention.ts";
import { type ConvolutionSpec, convolutionMacs, convolutionShader } from "./convolution.ts";
import { type DepthwiseSpec, depthwiseMacs, depthwiseShader } from "./depthwise.ts";
import { type ElementwiseSpec, elementwiseShader } from "./elementwise.ts";
import { type GatherSpec, gatherShader } from "./gather.ts";
import { type ImportSpec, importShader } from "./import.ts";
import { type LayerNormSpec, layerNormShader } from "./layer-norm.ts";
import { type LrnSpec, lrnShader } from "./lrn.ts";
import { type PoolingSpec, poolingShader } from "./pooling.ts";
import { type ResizeSpec, resizeShader } from "./resize.ts";
import { type SoftmaxSpec, softmaxShader } from "./softmax.ts";
import type { Shader, Target } from "./spec.ts";
import { type StridedCopySpec, stridedCopyShader } from "./strided-copy.ts";

export { reduceLanes } from "./_reduce.ts";
export { type ConvolutionSpec, paddedDepth, paddedGroups, type Tile } from "./convolution.ts";
export { type DepthwiseSpec, depthwisePixels } from "./depthwise.ts";
export { nowhere } from "./gather.ts";
export { probeShader } from "./probe.ts";
export {
  type EpilogueSpec,
  type EpilogueStep,
  numbersTold,
  type Shader,
  type Storage,
  type Target,
  workgroupsAcross,
} from "./spec.ts";

export type KernelSpec =
  | AttentionSpec
  | ConvolutionSpec
  | DepthwiseSpec
  | ElementwiseSpec
  | GatherSpec
  | ImportSpec
  | LayerNormSpec
  | LrnSpec
  | PoolingSpec
  | ResizeSpec
  | SoftmaxSpec
  | StridedCopySpec;

type Generators = {
  readonly [K in KernelSpec["kind"]]: (spec: Extract<KernelSpec, { kind: K }>, target: Target) => Shader;
};

const generators: Generators = {
  attention: attentionShader,
  convolution: convolutionShader,
  depthwise: depthwiseShader,
  elementwise: elementwiseShader,
  gather: gatherShader,
  import: importShader,
  layerNorm: layerNormShader,
  lrn: lrnShader,
  pooling: poolingShader,
  resize: resizeShader,
  softmax: softmaxShader,
  stridedCopy: stridedCopyShader,
};

export function shaderFor(spec: KernelSpec, target: Target): Shader {
  return (generators[spec.kind] as (spec: KernelSpec, target: Target) => Shader)(spec, target);
}

/** Products of all invocations of such a kernel, idle ones included; undefined: its work is no products. */
export function macsDone(spec: KernelSpec): number | undefined {
  switch (spec.kind) {
    case "convolution":
      return convolutionMacs(spec);
    case "depthwise":
      return depthwiseMacs(spec);
    case "attention":
      return attentionMacs(spec);
    default:
      return undefined;
  }
}
