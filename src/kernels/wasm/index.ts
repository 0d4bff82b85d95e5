/** The kernel generators: a plain spec record in, a WebAssembly function out. */
export * from "./_epilogue.ts";
export * from "./attention.ts";
export * from "./convolution.ts";
export * from "./copy.ts";
export * from "./depthwise.ts";
export * from "./elementwise.ts";
export * from "./normalize.ts";
export * from "./pooling.ts";
export * from "./resize.ts";
export * from "./softmax.ts";
export * from "./spec.ts";
