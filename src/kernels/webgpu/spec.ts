/**
 * What every WGSL generator is told, and what it gives. Pictures lie in memory as `[row][pixel][group]`, a group being four channels:
 * `vec4` of floats in the buffer `values`, four bytes of a word in the buffer `bytes`. Where things lie are arguments, and sizes
 * come behind them: layers that differ in nothing else share one pipeline.
 */
import type { Activation } from "../../base/activation.ts";
import type { EpilogueShape } from "../epilogue.ts";
import type { BinaryOperator } from "../operators.ts";

/** How float numbers are stored: `packed` is float16 in words, for devices whose shaders have no such type. */
export type Storage = "f32" | "f16" | "packed";

/** What the device offers, as asked and probed. */
export interface Target {
  readonly storage: Storage;
  /** `fma` rounds once; else it is put together. */
  readonly fusedMadd: boolean;
  /** `dot4I8Packed` is part of the language. */
  readonly dot: boolean;
  /** Invocations that go together can add up and compare without memory. */
  readonly subgroups: boolean;
  /** Invocations that wait for each other take long, as they do on a processor: they had better work by themselves. */
  readonly dearBarriers: boolean;
}

/** Done to each result before it is stored, in this order. */
export type EpilogueStep =
  | { readonly kind: "activation"; readonly activation: Activation }
  | { readonly kind: "scalar"; readonly operator: BinaryOperator; readonly value: number }
  /** x·factor + bias with a vector of each for every group. */
  | { readonly kind: "scale" }
  /** Adds a picture of the same size. */
  | { readonly kind: "residual" };

export interface EpilogueSpec extends EpilogueShape {
  /** i32: whether acc·scale + bias is rounded once. */
  readonly roundOnce: boolean;
  readonly steps: readonly EpilogueStep[];
  readonly stores: readonly { readonly dtype: "f32" | "i8" }[];
  /** Groups of a pixel of the output. */
  readonly groups: number;
}

/** A shader, and how many workgroups carry it out. */
export interface Shader {
  readonly code: string;
  readonly workgroups: number;
  /** Behind the step's arguments: what the text calls by name, so that layers of other sizes share it. */
  readonly sizes: readonly number[];
}

/** Most workgroups along one axis of a dispatch; more go to the next. */
export const workgroupsAcross = 32768;

/** Numbers that a shader is told: 0, the arguments and the sizes. */
export const numbersTold = 64;
