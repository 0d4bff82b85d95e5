import { conv, picture, testLayers } from "./_layers.ts";

testLayers([
  ["LRN", "LRN l 1 1 x y 1=5 2=0.5", picture],
  ["LRN of 3 channels with a bias", "LRN l 1 1 x y 1=3 2=1.5 4=2.0", picture],
  [
    "LRN between convolutions",
    `${conv("c", "x", "p", 12)}\nLRN l 1 1 p q\n${conv("d", "q", "y", 5)}`,
    picture,
  ],
]);
