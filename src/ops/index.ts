/** The list of all operators. Adding one: its file in this folder and a line here. */
import type { Op, OpTable } from "../ir/op.ts";
import { absVal } from "./abs-val.ts";
import { argMax } from "./arg-max.ts";
import { batchNorm } from "./batch-norm.ts";
import { bias } from "./bias.ts";
import { binaryOp } from "./binary-op.ts";
import { bnll } from "./bnll.ts";
import { cast } from "./cast.ts";
import { celu } from "./celu.ts";
import { clip } from "./clip.ts";
import { concat } from "./concat.ts";
import { convolution } from "./convolution.ts";
import { convolution1D } from "./convolution-1d.ts";
import { convolutionDepthWise } from "./convolution-depthwise.ts";
import { convolutionDepthWise1D } from "./convolution-depthwise-1d.ts";
import { copyTo } from "./copy-to.ts";
import { crop } from "./crop.ts";
import { cumulativeSum } from "./cumulative-sum.ts";
import { deconvolution } from "./deconvolution.ts";
import { deconvolutionDepthWise } from "./deconvolution-depthwise.ts";
import { dequantize } from "./dequantize.ts";
import { detectionOutput } from "./detection-output.ts";
import { diag } from "./diag.ts";
import { dropout } from "./dropout.ts";
import { eltwise } from "./eltwise.ts";
import { elu } from "./elu.ts";
import { embed } from "./embed.ts";
import { erf } from "./erf.ts";
import { exp } from "./exp.ts";
import { expandDims } from "./expand-dims.ts";
import { flatten } from "./flatten.ts";
import { flip } from "./flip.ts";
import { gelu } from "./gelu.ts";
import { gemm } from "./gemm.ts";
import { glu } from "./glu.ts";
import { groupNorm } from "./group-norm.ts";
import { hardSigmoid } from "./hard-sigmoid.ts";
import { hardSwish } from "./hard-swish.ts";
import { innerProduct } from "./inner-product.ts";
import { input } from "./input.ts";
import { instanceNorm } from "./instance-norm.ts";
import { interp } from "./interp.ts";
import { layerNorm } from "./layer-norm.ts";
import { log } from "./log.ts";
import { lrn } from "./lrn.ts";
import { matMul } from "./matmul.ts";
import { memoryData } from "./memory-data.ts";
import { mish } from "./mish.ts";
import { multiHeadAttention } from "./multi-head-attention.ts";
import { noop } from "./noop.ts";
import { normalize } from "./normalize.ts";
import { padding } from "./padding.ts";
import { permute } from "./permute.ts";
import { pixelShuffle } from "./pixel-shuffle.ts";
import { pooling } from "./pooling.ts";
import { pooling1D } from "./pooling-1d.ts";
import { power } from "./power.ts";
import { prelu } from "./prelu.ts";
import { priorBox } from "./prior-box.ts";
import { quantize } from "./quantize.ts";
import { reduction } from "./reduction.ts";
import { relu } from "./relu.ts";
import { reorg } from "./reorg.ts";
import { requantize } from "./requantize.ts";
import { reshape } from "./reshape.ts";
import { rmsNorm } from "./rms-norm.ts";
import { scale } from "./scale.ts";
import { selu } from "./selu.ts";
import { shrink } from "./shrink.ts";
import { shuffleChannel } from "./shuffle-channel.ts";
import { sigmoid } from "./sigmoid.ts";
import { slice } from "./slice.ts";
import { softmax } from "./softmax.ts";
import { softplus } from "./softplus.ts";
import { split } from "./split.ts";
import { squeeze } from "./squeeze.ts";
import { swish } from "./swish.ts";
import { tanh } from "./tanh.ts";
import { threshold } from "./threshold.ts";
import { tile } from "./tile.ts";
import { unaryOp } from "./unary-op.ts";
import { yoloDetectionOutput } from "./yolo-detection-output.ts";
import { yoloV5Focus } from "./yolo-v5-focus.ts";
import { yolov3DetectionOutput } from "./yolov3-detection-output.ts";

export const allOps: readonly Op[] = [
  absVal,
  argMax,
  batchNorm,
  bias,
  binaryOp,
  bnll,
  cast,
  celu,
  clip,
  concat,
  convolution1D,
  convolutionDepthWise1D,
  convolutionDepthWise,
  convolution,
  copyTo,
  crop,
  cumulativeSum,
  deconvolutionDepthWise,
  deconvolution,
  dequantize,
  detectionOutput,
  diag,
  dropout,
  eltwise,
  elu,
  embed,
  erf,
  exp,
  expandDims,
  flatten,
  flip,
  gelu,
  gemm,
  glu,
  groupNorm,
  hardSigmoid,
  hardSwish,
  innerProduct,
  input,
  instanceNorm,
  interp,
  layerNorm,
  log,
  lrn,
  matMul,
  memoryData,
  mish,
  multiHeadAttention,
  noop,
  normalize,
  padding,
  permute,
  pixelShuffle,
  pooling1D,
  pooling,
  power,
  prelu,
  priorBox,
  quantize,
  reduction,
  relu,
  reorg,
  requantize,
  reshape,
  rmsNorm,
  scale,
  selu,
  shrink,
  shuffleChannel,
  sigmoid,
  slice,
  softmax,
  softplus,
  split,
  squeeze,
  swish,
  tanh,
  threshold,
  tile,
  unaryOp,
  yoloDetectionOutput,
  yoloV5Focus,
  yolov3DetectionOutput,
];

export const ops: OpTable = new Map(allOps.map((op) => [op.type, op]));
