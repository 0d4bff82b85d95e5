import { conv, matrix, picture, testLayers } from "./_layers.ts";

testLayers([
  ["a constant vector", "MemoryData m 0 1 c 0=8\nBinaryOp s 2 1 x c y", picture],
  ["a constant matrix", "MemoryData m 0 1 c 0=8 1=5\nBinaryOp s 2 1 x c y 0=2", matrix],
  [
    "default boxes",
    `${conv("c", "x", "p", 4)}\nPriorBox b 2 1 p x y -23300=1,3.0 -23302=1,2.0 9=-233 10=-233 13=0.5`,
    picture,
  ],
]);
