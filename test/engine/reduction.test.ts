import { picture, testLayers } from "./_layers.ts";

testLayers([
  ["means of channels", "Reduction r 1 1 x y 0=3 1=0 -23303=2,1,2 4=1 5=1", picture],
  ["means of channels, rank 1", "Reduction r 1 1 x y 0=3 1=0 -23303=2,-1,-2 5=1", picture],
]);
