import { conv, describeNetworks, type Network, picture, small, testLayers } from "./_layers.ts";

describeNetworks("softmax", [
  ...[1, 3, 4, 13, 255].map(
    (channels): Network => ({
      title: `${channels} values`,
      text: "Softmax s 1 1 x y 0=0 1=1",
      shapes: { x: [channels] },
    }),
  ),
  { title: "channels of a picture", text: "Softmax s 1 1 x y 0=0 1=1", shapes: { x: [7, 3, 5] } },
  {
    title: "channels after a convolution",
    text: `${conv("c", "x", "p", 9)}\nSoftmax s 1 1 p y 0=0 1=1`,
    shapes: small,
  },
  { title: "columns", text: "Softmax s 1 1 x y 0=2 1=1", shapes: small, inJavaScript: ["Softmax"] },
  {
    title: "rows of a matrix",
    text: "Softmax s 1 1 x y 0=1 1=1",
    shapes: { x: [3, 7] },
    inJavaScript: ["Softmax"],
  },
]);

testLayers([
  ["softmax of rows", "Softmax s 1 1 x y 0=1 1=1", { x: [6, 21] }],
  [
    "softmax of rows that are channels",
    `${conv("c", "x", "p", 9)}\nPermute p 1 1 p q 0=3\nSoftmax s 1 1 q y 0=2 1=1`,
    picture,
  ],
]);
