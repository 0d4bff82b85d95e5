import { matrix, testLayers } from "./_layers.ts";

testLayers([
  ["linear rows", "Gemm g 1 1 x y 3=1 5=1 6=1 8=12 9=8 10=4", matrix],
  ["linear rows, B not transposed, no C", "Gemm g 1 1 x y 5=1 8=6 9=8 10=-1", matrix],
  [
    "linear rows of a width that is no multiple of 4",
    "Gemm g 1 1 x y 3=1 5=1 6=1 8=5 9=7 10=4",
    { x: [3, 7] },
  ],
  ["fully connected on rows, with activation", "InnerProduct i 1 1 x y 0=6 1=1 2=48 9=1", matrix],
  [
    "a transformer layer",
    `LayerNorm a 1 1 x n 0=8 1=1e-6
     MultiHeadAttention m 3 1 n n n o 0=8 1=2 2=64
     BinaryOp s 2 1 x o p
     LayerNorm b 1 1 p q 0=8 1=1e-5 2=1
     Gemm g 1 1 q r 3=1 5=1 6=1 8=16 9=8 10=4
     GELU u 1 1 r t 0=1
     Gemm h 1 1 t v 3=1 5=1 6=1 8=8 9=16 10=4
     BinaryOp z 2 1 p v y`,
    matrix,
  ],
  [
    "attention with keys from elsewhere, not a multiple of 4 of them",
    "MultiHeadAttention m 2 1 x k y 0=16 1=2 2=128",
    { x: [3, 8], k: [7, 16] },
  ],
  ["attention over a single key", "MultiHeadAttention m 1 1 x y 0=8 1=1 2=64", { x: [1, 8] }],
]);
