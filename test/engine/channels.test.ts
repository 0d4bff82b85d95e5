import { conv, describeNetworks, type Network, shuffleNet, small } from "./_layers.ts";

const parts = `${conv("c", "x", "p", 5)}\n${conv("d", "x", "q", 3)}\n${conv("e", "x", "r", 12)}`;
describeNetworks("channels moved by name only", [
  ...[1, 3, 4, 5, 8, 15].flatMap((half) =>
    [1, 2, 5].map(
      (units): Network => ({
        title: `${units + 1} shuffle units of ${half} channels`,
        text: shuffleNet(half, units),
        shapes: { x: [3, 9, 11] },
      }),
    ),
  ),
  {
    title: "concatenation into convolutions",
    text: `${parts}\nConcat k 3 1 p q r m\n${conv("f", "m", "y", 7, "1=3 4=1")}\n${conv("g", "m", "z", 6)}`,
    shapes: small,
  },
  {
    title: "concatenation of concatenations",
    text: `${parts}\nConcat k 2 1 p q m\nConcat l 3 1 m r p n\n${conv("f", "n", "y", 7, "1=3 3=2 4=1")}`,
    shapes: small,
  },
  {
    title: "one blob twice",
    text: `${conv("c", "x", "p", 5)}\nConcat k 2 1 p p m\n${conv("f", "m", "y", 7)}`,
    shapes: small,
  },
  {
    title: "concatenation into pooling",
    text: `${parts}\nConcat k 3 1 p q r m\nPooling f 1 1 m y 0=0 1=3 2=1 3=1 5=1`,
    shapes: small,
  },
  {
    title: "concatenation into depthwise",
    text: `${parts}\nConcat k 3 1 p q r m\nConvolutionDepthWise f 1 1 m y 0=20 7=20 1=3 4=1`,
    shapes: small,
  },
  {
    title: "concatenation that is an output and read",
    text: `${parts}\nConcat k 3 1 p q r m\n${conv("f", "m", "y", 7)}`,
    shapes: small,
    outputs: ["m", "y", "q"],
  },
  {
    title: "shuffle of three groups",
    text: `${conv("c", "x", "p", 9)}\nShuffleChannel h 1 1 p q 0=3\n${conv("f", "q", "y", 4, "1=3 4=1")}`,
    shapes: small,
  },
  {
    title: "reversed shuffle",
    text: `${conv("c", "x", "p", 10)}\nShuffleChannel h 1 1 p q 0=2 1=1\n${conv("f", "q", "y", 4)}`,
    shapes: small,
  },
  {
    title: "shuffle that is an output",
    text: `${conv("c", "x", "p", 10)}\nShuffleChannel h 1 1 p y 0=5`,
    shapes: small,
  },
  {
    title: "shuffle added to its source",
    text: `${conv("c", "x", "p", 8)}\nShuffleChannel h 1 1 p q 0=2\nBinaryOp s 2 1 p q y`,
    shapes: small,
  },
  {
    title: "slices of one, two and the rest",
    text: `${conv("c", "x", "p", 11)}\nSlice h 1 3 p q r s -23300=3,1,2,-233\n${conv("f", "q", "t", 4)}\n${conv("g", "r", "u", 4, "1=3 4=1")}\nConvolutionDepthWise d 1 1 s v 0=8 7=8 1=3 4=1\n${conv("l", "v", "w", 4)}\nEltwise e 2 1 t u z 0=1\nBinaryOp b 2 1 z w y`,
    shapes: small,
  },
  {
    title: "overlapping crops",
    text: `${conv("c", "x", "p", 11)}\nCrop h 1 1 p q -23309=1,2 -23310=1,9 -23311=1,0\nCrop i 1 1 p r -23309=1,5 -23310=1,-233 -23311=1,0\n${conv("f", "q", "t", 4)}\n${conv("g", "r", "u", 4, "1=3 4=1")}\n${conv("l", "p", "v", 4)}\nBinaryOp e 2 1 t u z\nBinaryOp b 2 1 z v y`,
    shapes: small,
  },
  {
    title: "crop by offset",
    text: `${conv("c", "x", "p", 11)}\nCrop h 1 1 p q 0=0 1=0 2=3 3=-233 4=-233 5=5\n${conv("f", "q", "y", 4)}`,
    shapes: small,
  },
  {
    title: "slice of the input",
    text: `Slice h 1 2 x q r -23300=2,2,-233\n${conv("f", "q", "t", 4)}\n${conv("g", "r", "u", 4, "1=3 4=1")}\nBinaryOp e 2 1 t u y`,
    shapes: small,
  },
  {
    title: "concatenation of vectors",
    text: `Concat k 2 1 x z m\nInnerProduct f 1 1 m y 0=5 1=1`,
    shapes: { x: [5], z: [6] },
  },
  {
    title: "concatenation with an upsampled picture",
    text: `${conv("c", "x", "p", 5, "1=3 3=2 4=1")}\nInterp u 1 1 p q 0=1 1=2.0 2=2.0\nConcat k 2 1 q x m\n${conv("f", "m", "y", 6, "1=3 4=1")}`,
    shapes: { x: [5, 6, 8] },
  },
  {
    title: "along rows, not channels",
    text: "Concat k 2 1 x z y 0=1",
    shapes: { x: [5, 3, 4], z: [5, 2, 4] },
    inJavaScript: ["Concat"],
  },
  {
    title: "crop of rows and columns",
    text: "Crop k 1 1 x y 0=1 1=2 2=1 3=3 4=2 5=3",
    shapes: small,
    inJavaScript: ["Crop"],
  },
  {
    title: "layers that change nothing",
    text: `${conv("c", "x", "p", 5)}\nNoop n 1 1 p q\nDropout d 1 1 q r\n${conv("f", "r", "y", 6)}`,
    shapes: small,
  },
]);
