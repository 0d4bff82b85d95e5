import { conv, picture, testLayers } from "./_layers.ts";

testLayers([
  ["padding around", "Padding p 1 1 x y 0=1 1=2 2=0 3=3", picture],
  [
    "padding behind channels",
    `${conv("c", "x", "p", 5)}\nPadding b 1 1 p q 7=0 8=3\nBinaryOp s 2 1 q x y`,
    picture,
  ],
  [
    "padding before a convolution with padding",
    `Padding p 1 1 x q 1=2 3=2\n${conv("c", "q", "y", 3, "1=3 4=1")}`,
    picture,
  ],
]);
