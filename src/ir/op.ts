/**
 * What an operator description says. One object per ncnn layer type (`ops/`), from which the `.param` reader and
 * writer, the verifier, shape inference, the reference backend and the documentation tables all derive.
 */
import type { Activation } from "../base/activation.ts";
import type { Shape, Tensor } from "./tensor.ts";
import type { Weights } from "./weight.ts";

/** A parameter of a layer: a number, a text or a list of numbers. */
export type ParamValue = number | string | readonly number[];
/** Parameters by name; on a node only those that were given, in the order in which they are written. */
export type Params = Record<string, ParamValue>;

export type ParamKind = "int" | "float" | "ints" | "floats" | "string";
export interface ParamSpec<K extends ParamKind = ParamKind> {
  /** Number in the `.param` file, 0..31. */
  readonly id: number;
  readonly kind: K;
  /** Value when absent; for numbers, a string names the parameter whose value is taken instead. */
  readonly default: ParamValue;
}
export type ParamSpecs = Record<string, ParamSpec>;
type ValueOf<K extends ParamKind> = K extends "int" | "float"
  ? number
  : K extends "string"
    ? string
    : readonly number[];
/** Every parameter of an operator with its value, defaults filled in. */
export type ParamValues<S extends ParamSpecs> = { readonly [N in keyof S]: ValueOf<S[N]["kind"]> };

export const int = (id: number, value: number | string = 0): ParamSpec<"int"> => ({
  id,
  kind: "int",
  default: value,
});
/** Values in files are float32, so the default is rounded to one: comparing with it tells whether to write it. */
export const float = (id: number, value: number | string = 0): ParamSpec<"float"> => ({
  id,
  kind: "float",
  default: typeof value === "number" ? Math.fround(value) : value,
});
export const ints = (id: number): ParamSpec<"ints"> => ({ id, kind: "ints", default: [] });
export const floats = (id: number): ParamSpec<"floats"> => ({ id, kind: "floats", default: [] });
export const string = (id: number): ParamSpec<"string"> => ({ id, kind: "string", default: "" });

/** The layer type of the blobs that a caller feeds, which the graph itself must know. */
export const inputType = "Input";

/** Ids that every layer has: shape hints of its outputs and a mask of features to switch off. */
export const commonParams = { shape_hints: ints(30), feature_mask: int(31, 0) } satisfies ParamSpecs;

export interface WeightSpec {
  readonly name: string;
  /** Number of elements; the `.bin` file does not hold it. */
  readonly count: number;
  /** `tagged`: a storage tag comes first (float32, float16, int8 or codebook); `raw`: bare float32. */
  readonly kind: "tagged" | "raw";
}

/** One axis of a window that slides over a picture. */
export interface WindowAxis {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Cells before and after the input. */
  readonly padBefore: number;
  readonly padAfter: number;
  readonly input: number;
  readonly output: number;
}

/** How a layer with weights `[outputs, inputs / groups, …]` becomes int8. */
export interface Int8Form {
  /** Input and output channels are split into so many groups. */
  readonly groups: number;
  /** Weight scales: one for every so many rows of the weights, in order. */
  readonly scaleCount: number;
  /** `int8_scale_term` of the layer with a float result. */
  readonly scaleTerm: number;
  /** Its result may be int8 too (`int8_scale_term` + 100). */
  readonly requantizes: boolean;
  /**
   * 3×3, stride 1, dilation 1, one group: native ncnn runs it by int8 Winograd, which is exact only while accumulators
   * stay small, so that ncnn2table gives its weights 6 bits (±31).
   */
  readonly isWinograd: boolean;
}

/** Arithmetic on values at the same place, with broadcasting. */
export interface Arithmetic {
  /** A name of `binaryOpTypes` (`ops/binary-op.ts`); `add`, `mul` and `max` may take more than two inputs. */
  readonly operator: string;
  /** The second operand, where it is a constant instead of an input. */
  readonly scalar?: number;
}

/**
 * A layer type: how it is written and what it computes, and then the facts that others ask for, so that no code outside
 * `ops/` needs a list of types.
 */
export interface Op<S extends ParamSpecs = ParamSpecs> {
  /** ncnn's layer type name. */
  readonly type: string;
  /** Number of the type in binary `.param.bin` files. */
  readonly typeIndex: number;
  readonly params: S;
  /** Least and greatest number of inputs / outputs; default exactly one. */
  readonly inputs?: readonly [number, number];
  readonly outputs?: readonly [number, number];
  /** Weights in file order; none when absent. */
  weights?(p: ParamValues<S>): WeightSpec[];
  /** Output shapes. Throws GraphError when the inputs do not fit. `outputs` is how many the node has. */
  shape(inputs: readonly Shape[], p: ParamValues<S>, outputs: number): Shape[];
  /** Plain and obviously right; the definition that fast kernels are tested against. Must not change its inputs. */
  reference(
    inputs: readonly Tensor[],
    p: ParamValues<S>,
    weights: Weights,
    outputShapes: readonly Shape[],
  ): Tensor[];
  /**
   * The inputs may be int8 blobs (what a requantizing convolution makes): their integers are moved or used unchanged.
   * Other operators would take the integers for values, so a backend must refuse.
   */
  readonly int8Inputs?: true;
  /**
   * The number of rows (outermost extent) of the outputs depends on the data: `shape` gives the most there can be, and
   * `reference` may return fewer, even none.
   */
  readonly dynamicRows?: true;
  /**
   * Its output are chosen boxes, rows `[class, score, x0, y0, x1, y1]` with corners as parts of the input; class 0 is the
   * background, which is not counted among `classes`. Boxes at or below the score `confidence` are not among them.
   */
  detections?(
    inputs: readonly Shape[],
    p: ParamValues<S>,
  ): { readonly classes: number; readonly confidence: number };
  /** Nothing in the graph makes its output: the caller feeds it, or it is a constant of the file. */
  readonly source?: "caller" | "constant";
  /** Every value of the outputs is one of the inputs', moved or repeated; none is computed. */
  readonly moves?: true;
  /** One input, one output of its shape: each value is a function of the value at its place alone. */
  readonly pointwise?: true;
  /** Of one input, treats each channel by itself, and f(a·x) = a·f(x) for every a > 0. */
  readonly homogeneous?: true;
  /**
   * Of one input, treats each channel by itself, and f(a·x + b) = a·f(x) + b for every b and, `increasing`, every a > 0, or, `any`,
   * every a. Undefined where a window may reach over the edge and see something else than the channel.
   */
  affine?(p: ParamValues<S>): "increasing" | "any" | undefined;
  /** A weighted sum plus a bias for each of `num_output` channels: `weight` begins with them, `bias` has one for each. */
  readonly linear?: true;
  /** The arithmetic of its inputs that this layer is, where it does nothing else. */
  arithmetic?(p: ParamValues<S>): Arithmetic | undefined;
  /**
   * Every block of `size`×`size` pixels becomes channels: channel k of the output is pixel (y, x) of the blocks of one of the
   * `channels` of the input.
   */
  blocks?(p: ParamValues<S>): {
    readonly size: number;
    source(k: number, channels: number): { readonly channel: number; readonly y: number; readonly x: number };
  };
  /** The activation that this layer is, where kernels know it. */
  activation?(p: ParamValues<S>): Activation | undefined;
  /** The window that slides over an input `[channels, height, width]`. Throws GraphError. */
  window?(input: Shape, p: ParamValues<S>): { readonly y: WindowAxis; readonly x: WindowAxis };
  /** How its float form becomes int8. */
  int8Form?(p: ParamValues<S>): Int8Form;
  /** Multiply-accumulates of one run; 0 when absent (only convolution-like layers count). */
  macs?(inputs: readonly Shape[], outputs: readonly Shape[], p: ParamValues<S>): number;
}

/** Checks the types of a description and keeps those of its parameters (`match`). */
export function defineOp<S extends ParamSpecs>(op: Op<S>): Op<S> {
  return op;
}

export type OpTable = ReadonlyMap<string, Op>;

/** Values of all parameters: those given, else the defaults, which may refer to other parameters. */
export function resolveParams<S extends ParamSpecs>(op: Op<S>, given: Params): ParamValues<S> {
  const values: Record<string, ParamValue> = {};
  const resolve = (name: string): ParamValue => {
    const known = values[name] ?? given[name];
    if (known !== undefined) return known;
    const spec = op.params[name];
    const isReference = typeof spec.default === "string" && spec.kind !== "string";
    return isReference ? resolve(spec.default as string) : spec.default;
  };
  for (const name of Object.keys(op.params)) values[name] = resolve(name);
  return values as ParamValues<S>;
}
