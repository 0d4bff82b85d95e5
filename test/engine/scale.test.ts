import { conv, describeNetworks, picture, small, testLayers } from "./_layers.ts";

testLayers([
  ["scale with bias", "Scale s 1 1 x y 0=8 1=1", picture],
  ["scale without bias", "Scale s 1 1 x p 0=8\nReLU r 1 1 p y", picture],
]);

describeNetworks("a scale a channel", [
  {
    title: "behind the activation of a convolution",
    text: `${conv("c", "x", "p", 9, "1=3 4=1")}\nSwish a 1 1 p q\nScale s 1 1 q y 0=9 1=1`,
    shapes: small,
  },
  {
    title: "behind a convolution that Winograd does",
    text: `${conv("c", "x", "p", 40, "1=3 4=1 9=1")}\nScale s 1 1 p q 0=40 1=1\n${conv("d", "q", "r", 40, "1=3 4=1")}\nSwish a 1 1 r t\nScale u 1 1 t y 0=40 1=1`,
    shapes: { x: [36, 15, 14] },
  },
  {
    title: "behind the activation of a depthwise convolution, with a residual after it",
    text: `${conv("c", "x", "p", 9)}\nConvolutionDepthWise d 1 1 p q 0=9 7=9 1=3 4=1 5=1\nHardSwish a 1 1 q r\nScale s 1 1 r t 0=9 1=1\nBinaryOp b 2 1 t p y`,
    shapes: small,
  },
  {
    title: "two in a row, and a clip behind",
    text: `${conv("c", "x", "p", 6)}\nScale s 1 1 p q 0=6 1=1\nScale t 1 1 q r 0=6\nClip k 1 1 r y 0=-0.5 1=0.5`,
    shapes: small,
  },
  {
    title: "behind pooling and resizing",
    text: "Pooling p 1 1 x p 0=0 1=2 2=2\nScale s 1 1 p q 0=5 1=1\nInterp i 1 1 q r 0=2 1=2.0 2=2.0\nScale t 1 1 r y 0=5 1=1",
    shapes: small,
  },
  {
    title: "of part of a concatenation",
    text: `${conv("c", "x", "p", 3)}\n${conv("d", "x", "q", 4)}\nScale s 1 1 p r 0=3 1=1\nConcat k 2 1 r q t\n${conv("e", "t", "y", 6)}`,
    shapes: small,
  },
  {
    title: "of a blob with another reader",
    text: `${conv("c", "x", "p", 9)}\nScale s 1 1 p q 0=9 1=1\nBinaryOp b 2 1 p q y`,
    shapes: small,
  },
]);
