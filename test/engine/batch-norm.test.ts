import { picture, testLayers } from "./_layers.ts";

testLayers([["batch normalisation", `BatchNorm b 1 1 x p 0=8 1=1e-5\nReLU r 1 1 p y`, picture]]);
