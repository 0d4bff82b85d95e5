/**
 * What Resize and Upsample mean: the extents of the result, the factors, and which samples every output is made of. In float32, as
 * onnxruntime computes them: a factor of 1.3 makes 26 of 20 there, in doubles 25.
 * Source: onnx/onnx docs/Operators.md (Resize 18), microsoft/onnxruntime core/providers/cpu/tensor/upsamplebase.h.
 */
import { GraphError } from "../../base/errors.ts";
import { normalizeAxis } from "./arguments.ts";
import { multiplyDims, symbolFor } from "./dims.ts";
import { type Dim, intsAttribute, type OnnxNode, stringAttribute } from "./model.ts";

const { fround } = Math;

/** Before opset 11 factors are input 1, the only mode is asymmetric, and there are no sizes. */
export function isOldResize(node: OnnxNode, opset: number): boolean {
  return node.opType === "Upsample" || opset < 11;
}

export interface Resized {
  readonly shape: readonly Dim[];
  /** Output samples per input sample, by axis; undefined where an extent is only a name. */
  readonly factors: readonly (number | undefined)[];
}

/** The result of resizing `x` to `sizes` or else by `factors`, which are given for the node's axes (default: all). */
export function resizedShape(
  node: OnnxNode,
  x: readonly Dim[],
  sizes: readonly Dim[] | undefined,
  factors: readonly number[] | undefined,
): Resized {
  const axes = intsAttribute(node, "axes")?.map((a) => normalizeAxis(a, x.length)) ?? x.map((_, i) => i);
  const given = sizes ?? factors ?? [];
  if (given.length !== axes.length) {
    throw new GraphError(`${sizes ? "sizes" : "scales"} [${given}] for ${axes.length} axes`);
  }
  const wrong = given.find((v) => typeof v === "number" && !(v > 0));
  if (wrong !== undefined) throw new GraphError(`${sizes ? "size" : "scale"} ${wrong}, expected more than 0`);
  const shape = [...x];
  const all: (number | undefined)[] = x.map(() => 1);
  axes.forEach((axis, i) => {
    const from = x[axis];
    if (sizes) {
      const to = sizes[i];
      shape[axis] = to;
      all[axis] = typeof from === "number" && typeof to === "number" ? fround(to / from) : undefined;
    } else {
      const factor = fround(given[i] as number);
      shape[axis] = scaledDim(from, factor);
      all[axis] = factor;
    }
  });
  const policy = stringAttribute(node, "keep_aspect_ratio_policy", "stretch");
  return sizes && policy !== "stretch" ? keepAspect(policy, x, axes, all) : { shape, factors: all };
}

function scaledDim(from: Dim, factor: number): Dim {
  if (typeof from === "number") return Math.floor(fround(from * factor));
  return Number.isInteger(factor) ? multiplyDims([from, factor]) : symbolFor(`${from}x${factor}`);
}

/** One factor for all axes that are resized: the least or the largest of those that the sizes ask for. */
function keepAspect(
  policy: string,
  x: readonly Dim[],
  axes: readonly number[],
  factors: readonly (number | undefined)[],
): Resized {
  if (policy !== "not_larger" && policy !== "not_smaller") {
    throw new GraphError(`keep_aspect_ratio_policy "${policy}", expected stretch, not_larger or not_smaller`);
  }
  const asked = axes.map((axis) => factors[axis]);
  const known = asked.filter((factor) => factor !== undefined);
  const isKnown = known.length === asked.length;
  const factor = isKnown ? Math[policy === "not_larger" ? "min" : "max"](...known) : undefined;
  const extent = (d: Dim): Dim =>
    factor !== undefined && typeof d === "number"
      ? Math.floor(fround(d * factor) + 0.5)
      : symbolFor(`${policy}(${d})`);
  return {
    shape: x.map((d, axis) => (axes.includes(axis) ? extent(d) : d)),
    factors: x.map((_, axis) => (axes.includes(axis) ? factor : 1)),
  };
}

/** The input samples of one output sample by index, and their weights. */
export type Samples = ReadonlyMap<number, number>;

export interface ResizeMode {
  readonly mode: string;
  /** How positions are computed. */
  readonly coordinates: string;
  readonly nearest: string;
  readonly cubicA: number;
}

/** Position, in input samples, of output sample `o` of `out` made of `n`; undefined for coordinates that need more. */
function position(
  coordinates: string,
  o: number,
  n: number,
  out: number,
  factor: number,
): number | undefined {
  const halfPixel = (): number => fround(fround(fround(o + 0.5) / factor) - 0.5);
  switch (coordinates) {
    case "half_pixel":
      return halfPixel();
    case "pytorch_half_pixel":
      return out > 1 ? halfPixel() : 0;
    case "half_pixel_symmetric": {
      const offset = fround((n / 2) * fround(1 - fround(out / fround(factor * n))));
      return fround(offset + (o + 0.5) / factor - 0.5);
    }
    case "align_corners":
      return out > 1 ? fround(fround(o * (n - 1)) / (out - 1)) : 0;
    case "asymmetric":
      return fround(o / factor);
    case "tf_half_pixel_for_nn":
      return fround(fround(o + 0.5) / factor);
    default:
      return undefined;
  }
}

const roundings: Record<string, (x: number, factor: number) => number> = {
  floor: Math.floor,
  ceil: Math.ceil,
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  /** Opset 10 and before: what onnxruntime does where the specification is silent. */
  old: (x, factor) => (factor < 1 ? Math.ceil(x) : Math.trunc(x)),
};

/** Samples of every output of one axis; undefined for modes that are not known. */
export function axisSamples(mode: ResizeMode, n: number, out: number, factor: number): Samples[] | undefined {
  const round = Object.hasOwn(roundings, mode.nearest) ? roundings[mode.nearest] : undefined;
  const inside = (i: number): number => Math.min(Math.max(i, 0), n - 1);
  const result: Samples[] = [];
  for (let o = 0; o < out; o++) {
    const x = position(mode.coordinates, o, n, out, factor);
    if (x === undefined) return undefined;
    if (mode.mode === "nearest") {
      if (!round) return undefined;
      result.push(new Map([[inside(round(x, factor)), 1]]));
    } else if (mode.mode === "linear") {
      const at = inside(x);
      const floor = Math.floor(at);
      result.push(addUp([floor, inside(floor + 1)], [1 - (at - floor), at - floor]));
    } else if (mode.mode === "cubic") {
      const floor = Math.floor(x);
      const indices = [-1, 0, 1, 2].map((k) => inside(floor + k));
      result.push(addUp(indices, cubicWeights(x - floor, mode.cubicA)));
    } else return undefined;
  }
  return result;
}

function cubicWeights(t: number, a: number): number[] {
  const far = (x: number): number => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  const near = (x: number): number => ((a + 2) * x - (a + 3)) * x * x + 1;
  return [far(t + 1), near(t), near(1 - t), far(2 - t)];
}

/** Weights of samples that fall on the same index are one. */
export function addUp(indices: ArrayLike<number>, weights: ArrayLike<number>): Samples {
  const sum = new Map<number, number>();
  for (let i = 0; i < indices.length; i++) sum.set(indices[i], (sum.get(indices[i]) ?? 0) + weights[i]);
  return sum;
}

/** Largest difference of a weight. */
export function differenceOf(a: Samples, b: Samples): number {
  const weights = [...new Set([...a.keys(), ...b.keys()])];
  return Math.max(...weights.map((i) => Math.abs((a.get(i) ?? 0) - (b.get(i) ?? 0))));
}
