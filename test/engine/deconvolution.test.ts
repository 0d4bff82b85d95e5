import { conv, picture, testLayers } from "./_layers.ts";

testLayers([
  ["depthwise transposed", "DeconvolutionDepthWise d 1 1 x y 0=8 1=4 3=2 4=1 6=128 7=8 5=1", picture],
  [
    "two inputs a group transposed",
    `${conv("c", "x", "p", 12)}\nDeconvolutionDepthWise d 1 1 p y 0=6 1=4 3=2 4=1 6=192 7=6 5=1 9=1`,
    picture,
  ],
  ["transposed, sides differ", "DeconvolutionDepthWise d 1 1 x y 0=8 1=3 11=2 3=3 13=2 6=48 7=8", picture],
  [
    "transposed, dense, leaky",
    "Deconvolution d 1 1 x y 0=5 1=3 3=2 4=1 6=360 5=1 18=1 9=2 -23310=1,0.2",
    picture,
  ],
  ["transposed, dense, dilated", "Deconvolution d 1 1 x y 0=4 1=3 2=2 4=1 6=288", picture],
  ["transposed to a size", "Deconvolution d 1 1 x y 0=4 1=4 3=2 4=-233 20=14 21=12 6=512", picture],
]);
