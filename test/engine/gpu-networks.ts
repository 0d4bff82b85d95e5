/** Small networks that have every kind of step, for the webgpu backend wherever it runs. */
import type { Shape } from "../../src/ir/tensor.ts";
import { shuffleNet } from "./_layers.ts";

/** Title, `.param` lines without header and Input, and the inputs' shapes. */
export const gpuNetworks: readonly (readonly [title: string, text: string, shapes: Record<string, Shape>])[] =
  [
    ["1x1", "Convolution a 1 1 x y 0=9 1=1 5=1 9=1", { x: [7, 5, 6] }],
    ["3x3, padded with a number", "Convolution a 1 1 x y 0=5 1=3 4=1 5=1 18=0.5", { x: [6, 7, 5] }],
    ["5x5, dilated, of stride 2", "Convolution a 1 1 x y 0=4 1=5 2=2 3=2 4=4 5=1", { x: [3, 13, 12] }],
    ["groups", "ConvolutionDepthWise a 1 1 x y 0=8 7=2 1=3 4=1 5=1", { x: [6, 6, 6] }],
    ["depthwise", "ConvolutionDepthWise a 1 1 x y 0=6 7=6 1=3 3=2 4=1 5=1 9=1", { x: [6, 9, 11] }],
    ["wide depthwise", "ConvolutionDepthWise a 1 1 x y 0=5 7=5 1=11 4=5 5=1", { x: [5, 12, 12] }],
    ["fully connected", "InnerProduct a 1 1 x y 0=10 1=1", { x: [5, 3, 3] }],
    ["pooling", "Pooling a 1 1 x m 0=0 1=3 2=2 3=1\nPooling b 1 1 m y 0=1 1=3 2=1 3=1 5=1", { x: [6, 9, 9] }],
    ["mean of all", "Pooling a 1 1 x y 0=1 4=1", { x: [9, 6, 7] }],
    ["largest of all", "Pooling a 1 1 x y 0=0 4=1", { x: [9, 9, 8] }],
    ["mean of large windows", "Pooling a 1 1 x y 0=1 1=7 2=3 3=3 5=1", { x: [6, 9, 10] }],
    [
      "residual",
      "Convolution a 1 1 x b 0=6 1=3 4=1 5=1\nBinaryOp c 2 1 b x d 0=0\nReLU e 1 1 d y",
      { x: [6, 5, 5] },
    ],
    ["broadcast", "Pooling a 1 1 x b 0=1 4=1\nSigmoid c 1 1 b d\nBinaryOp e 2 1 x d y 0=2", { x: [8, 5, 5] }],
    [
      "a quotient, read by lanes",
      "BinaryOp a 2 1 x z b 0=3\nConvolution c 1 1 b y 0=8 1=1 5=1 6=48",
      { x: [6, 4, 5], z: [6, 4, 5] },
    ],
    ["resized", "Interp a 1 1 x b 0=2 1=1.5 2=1.5\nInterp c 1 1 b y 0=1 1=2.0 2=2.0", { x: [5, 4, 6] }],
    ["permuted", "Permute a 1 1 x b 0=3\nReshape c 1 1 b y 0=5 1=-1", { x: [5, 4, 6] }],
    ["joined", "Convolution a 1 1 x b 0=3 1=1 5=1\nConcat c 2 1 x b y 0=1", { x: [3, 4, 6] }],
    ["softmax", "Softmax a 1 1 x y 0=0", { x: [11, 4, 5] }],
    ["softmax of many", "Softmax a 1 1 x y 0=0", { x: [203] }],
    ["LayerNorm", "LayerNorm a 1 1 x y 0=70 1=0.001 2=1", { x: [9, 70] }],
    ["LRN", "LRN a 1 1 x y 0=0 1=5 2=0.1", { x: [10, 4, 4] }],
    ["attention", "MultiHeadAttention a 1 1 x y 0=32 1=2 2=1024", { x: [70, 32] }],
    ["deconvolution", "Deconvolution a 1 1 x y 0=4 1=4 3=2 4=1 5=1", { x: [5, 4, 4] }],
    ["padding", "Padding a 1 1 x b 0=1 1=2 2=0 3=1\nTanH c 1 1 b y", { x: [5, 4, 4] }],
    [
      "a layer without a kernel",
      "CumulativeSum a 1 1 x b 0=0\nConvolution c 1 1 b y 0=4 1=3 4=1 5=1",
      { x: [5, 4, 4] },
    ],
    ["ShuffleNet", shuffleNet(14, 3), { x: [3, 16, 16] }],
    [
      "int8",
      "Convolution a 1 1 x b 0=12 1=3 4=1 5=1 8=102 9=1\nConvolution c 1 1 b y 0=5 1=1 5=1 8=2",
      { x: [5, 8, 9] },
    ],
    [
      "int8 depthwise",
      "ConvolutionDepthWise a 1 1 x b 0=6 7=6 1=3 3=2 4=1 5=1 8=102\nConvolution c 1 1 b y 0=5 1=1 5=1 8=2",
      { x: [6, 8, 9] },
    ],
    ["int8 of long sums", "InnerProduct a 1 1 x y 0=9 1=1 8=2", { x: [40, 8, 8] }],
  ];
