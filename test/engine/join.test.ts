import { conv, matrix, picture, testLayers } from "./_layers.ts";

testLayers([
  [
    "joined vectors",
    "Flatten f 1 1 x p\nPermute q 1 1 x r 0=3\nFlatten g 1 1 r s\nConcat c 2 1 p s y",
    picture,
  ],
  ["joined columns", "Sigmoid a 1 1 x p\nConcat c 3 1 x p x y 0=1", matrix],
  ["joined rows", "Concat c 2 1 x k y", { x: [5, 8], k: [2, 8] }],
  ["joined pictures, one below the other", `${conv("c", "x", "p", 8)}\nConcat k 2 1 x p y 0=1`, picture],
  [
    "cut out of the middle",
    `Crop c 1 1 x p -23309=3,1,2,3 -23310=3,5,6,6 -23311=3,0,1,2\n${conv("d", "p", "y", 3)}`,
    picture,
  ],
  [
    "cut rows, both read",
    "Slice s 1 2 x p q -23300=2,2,-233\nLayerNorm a 1 1 p r 0=8\nSigmoid b 1 1 q t\nConcat c 2 1 t r y",
    matrix,
  ],
  [
    "a row of a linear layer that is read elsewhere too",
    "Gemm g 1 1 x p 3=1 5=1 6=1 8=8 9=8 10=4\nCrop c 1 1 p q -23309=1,1 -23310=1,2 -23311=1,0\nSigmoid s 1 1 p r\nConcat k 2 1 q r y",
    matrix,
  ],
]);
