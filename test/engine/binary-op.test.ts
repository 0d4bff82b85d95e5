import { conv, describeNetworks, type Network, small } from "./_layers.ts";

describeNetworks("sums and products", [
  ...[
    "BinaryOp s 2 1 p q y 0=0",
    "BinaryOp s 2 1 q p y 0=0",
    "Eltwise s 2 1 p q y 0=1",
    "Eltwise s 2 1 q p y 0=1",
  ].flatMap((sum): Network[] => [
    {
      title: `residual of a convolution: ${sum}`,
      text: `${conv("c", "x", "p", 9)}\n${conv("d", "p", "q", 9, "1=3 4=1")}\n${sum}`,
      shapes: small,
    },
    {
      title: `activation before: ${sum}`,
      text: `${conv("c", "x", "p", 9)}\n${conv("d", "p", "q", 9, "1=1 9=1")}\n${sum}`,
      shapes: small,
    },
    {
      title: `activation after: ${sum}`,
      text: `${conv("c", "x", "p", 9)}\n${conv("d", "p", "q", 9)}\n${sum.replace(" y ", " z ")}\nHardSwish a 1 1 z y`,
      shapes: small,
    },
    {
      title: `depthwise: ${sum}`,
      text: `${conv("c", "x", "p", 9)}\nConvolutionDepthWise d 1 1 p q 0=9 7=9 1=3 4=1 5=1 9=1\n${sum}`,
      shapes: small,
    },
    {
      title: `two convolutions of one blob: ${sum}`,
      text: `${conv("c", "x", "p", 10)}\n${conv("d", "x", "q", 10, "1=3 4=1")}\n${sum}`,
      shapes: small,
    },
  ]),
  {
    title: "residual with the input",
    text: `${conv("c", "x", "p", 5, "1=3 4=1")}\nBinaryOp s 2 1 p x y`,
    shapes: small,
  },
  { title: "blob added to itself", text: `${conv("c", "x", "p", 5)}\nBinaryOp s 2 1 p p y`, shapes: small },
  {
    title: "chain of residuals",
    text: [0, 1, 2, 3]
      .map(
        (i) =>
          `${conv(`c${i}`, i ? `r${i - 1}` : "x", `p${i}`, 5, "1=3 4=1 9=1")}\nBinaryOp s${i} 2 1 p${i} ${i ? `r${i - 1}` : "x"} r${i}`,
      )
      .join("\n"),
    shapes: small,
  },
  {
    title: "residual of a padded source that is read once more",
    text: `${conv("c", "x", "p", 6)}\n${conv("d", "p", "q", 6, "1=5 4=2")}\nBinaryOp s 2 1 q p r\n${conv("e", "p", "t", 6, "1=3 4=1")}\nBinaryOp u 2 1 r t y`,
    shapes: small,
  },
  {
    title: "sum of a concatenation",
    text: `${conv("c", "x", "p", 3)}\n${conv("d", "x", "q", 4)}\nConcat k 2 1 p q r\n${conv("e", "x", "t", 7)}\nBinaryOp s 2 1 r t y`,
    shapes: small,
  },
  ...[0, 1, 2, 3, 4, 5, 7, 8].flatMap((operator): Network[] => [
    {
      title: `operator ${operator} of pictures`,
      text: `BinaryOp s 2 1 x z y 0=${operator}`,
      shapes: { x: [5, 3, 4], z: [5, 3, 4] },
    },
    {
      title: `operator ${operator} of vectors`,
      text: `BinaryOp s 2 1 x z y 0=${operator}`,
      shapes: { x: [11], z: [11] },
    },
    {
      title: `operator ${operator} of matrices`,
      text: `BinaryOp s 2 1 x z y 0=${operator}`,
      shapes: { x: [3, 5], z: [3, 5] },
    },
    {
      title: `operator ${operator} with a constant`,
      text: `BinaryOp s 1 1 x y 0=${operator} 1=1 2=0.7`,
      shapes: small,
    },
    {
      title: `operator ${operator} of picture and vector`,
      text: `BinaryOp s 2 1 x z y 0=${operator}`,
      shapes: { x: [6, 3, 4], z: [6] },
    },
    {
      title: `operator ${operator} of vector and picture`,
      text: `BinaryOp s 2 1 z x y 0=${operator}`,
      shapes: { x: [6, 3, 4], z: [6] },
    },
    {
      title: `operator ${operator} of picture and pixel`,
      text: `BinaryOp s 2 1 x z y 0=${operator}`,
      shapes: { x: [6, 3, 4], z: [6, 1, 1] },
    },
    {
      title: `operator ${operator} of plane and picture`,
      text: `BinaryOp s 2 1 z x y 0=${operator}`,
      shapes: { x: [6, 3, 4], z: [1, 3, 4] },
    },
    {
      title: `operator ${operator} of picture and plane`,
      text: `BinaryOp s 2 1 x z y 0=${operator}`,
      shapes: { x: [6, 3, 4], z: [1, 3, 4] },
    },
  ]),
  ...["x z", "z x"].map(
    (inputs): Network => ({
      title: `a vector along w: ${inputs}`,
      text: `BinaryOp s 2 1 ${inputs} y 0=1`,
      shapes: { x: [3, 1, 5], z: [5] },
      inJavaScript: ["BinaryOp"],
    }),
  ),
  { title: "largest of two", text: "Eltwise s 2 1 x z y 0=2", shapes: { x: [5, 3, 4], z: [5, 3, 4] } },
  { title: "product of two", text: "Eltwise s 2 1 x z y 0=0", shapes: { x: [5, 3, 4], z: [5, 3, 4] } },
  {
    title: "a plane that a shuffle has moved",
    text: `${conv("c", "x", "p", 4)}\nShuffleChannel h 1 1 p q 0=2\nCrop k 1 1 q m -23309=1,1 -23310=1,2 -23311=1,0\nBinaryOp s 2 1 p m y 0=2`,
    shapes: small,
  },
  {
    title: "three inputs",
    text: "Eltwise s 3 1 x z w y 0=1",
    shapes: { x: [5, 3, 4], z: [5, 3, 4], w: [5, 3, 4] },
    inJavaScript: ["Eltwise"],
  },
  {
    title: "weighted",
    text: "Eltwise s 2 1 x z y 0=1 -23301=2,0.5,2.0",
    shapes: { x: [5, 3, 4], z: [5, 3, 4] },
    inJavaScript: ["Eltwise"],
  },
  { title: "powers", text: "BinaryOp s 1 1 x y 0=6 1=1 2=2.0", shapes: small, inJavaScript: ["BinaryOp"] },
  {
    title: "a row for every row",
    text: "BinaryOp s 2 1 x z y 0=2",
    shapes: { x: [6, 3, 4], z: [6, 3] },
    inJavaScript: ["BinaryOp"],
  },
]);
