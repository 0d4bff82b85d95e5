/** The list of all operators. Adding one: its file in this folder and a line here. */
import type { Op, OpTable } from "../ir/op.ts";
import { batchNorm } from "./batch-norm.ts";
import { bias } from "./bias.ts";
import { binaryOp } from "./binary-op.ts";
import { cast } from "./cast.ts";
import { clip } from "./clip.ts";
import { concat } from "./concat.ts";
import { convolution } from "./convolution.ts";
import { convolutionDepthWise } from "./convolution-depthwise.ts";
import { crop } from "./crop.ts";
import { dequantize } from "./dequantize.ts";
import { dropout } from "./dropout.ts";
import { eltwise } from "./eltwise.ts";
import { elu } from "./elu.ts";
import { expandDims } from "./expand-dims.ts";
import { flatten } from "./flatten.ts";
import { gelu } from "./gelu.ts";
import { hardSigmoid } from "./hard-sigmoid.ts";
import { hardSwish } from "./hard-swish.ts";
import { innerProduct } from "./inner-product.ts";
import { input } from "./input.ts";
import { interp } from "./interp.ts";
import { memoryData } from "./memory-data.ts";
import { mish } from "./mish.ts";
import { noop } from "./noop.ts";
import { padding } from "./padding.ts";
import { permute } from "./permute.ts";
import { pixelShuffle } from "./pixel-shuffle.ts";
import { pooling } from "./pooling.ts";
import { prelu } from "./prelu.ts";
import { quantize } from "./quantize.ts";
import { reduction } from "./reduction.ts";
import { relu } from "./relu.ts";
import { reorg } from "./reorg.ts";
import { requantize } from "./requantize.ts";
import { reshape } from "./reshape.ts";
import { scale } from "./scale.ts";
import { selu } from "./selu.ts";
import { shuffleChannel } from "./shuffle-channel.ts";
import { sigmoid } from "./sigmoid.ts";
import { slice } from "./slice.ts";
import { softmax } from "./softmax.ts";
import { split } from "./split.ts";
import { squeeze } from "./squeeze.ts";
import { swish } from "./swish.ts";
import { tanh } from "./tanh.ts";
import { unaryOp } from "./unary-op.ts";

export const allOps: readonly Op[] = [
  batchNorm,
  bias,
  binaryOp,
  cast,
  clip,
  concat,
  convolutionDepthWise,
  convolution,
  crop,
  dequantize,
  dropout,
  eltwise,
  elu,
  expandDims,
  flatten,
  gelu,
  hardSigmoid,
  hardSwish,
  innerProduct,
  input,
  interp,
  memoryData,
  mish,
  noop,
  padding,
  permute,
  pixelShuffle,
  pooling,
  prelu,
  quantize,
  reduction,
  relu,
  reorg,
  requantize,
  reshape,
  scale,
  selu,
  shuffleChannel,
  sigmoid,
  slice,
  softmax,
  split,
  squeeze,
  swish,
  tanh,
  unaryOp,
];

export const ops: OpTable = new Map(allOps.map((op) => [op.type, op]));
