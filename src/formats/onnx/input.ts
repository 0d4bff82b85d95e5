/**
 * Pre-processing that is part of the graph: a division by 255, mean and deviation, channels last, reversed channels, whole
 * numbers. It is recognised by what it computes, taken out, and told, so that it happens once and with the picture's levels.
 */

import { fitTo, near } from "../../base/fit.ts";
import { elementCount } from "../../ir/tensor.ts";
import { ravel, unravel } from "./arguments.ts";
import { allKnown } from "./dims.ts";
import { type ElementType, isInteger } from "./elements.ts";
import type { OnnxShape } from "./infer.ts";
import type { OnnxModel } from "./model.ts";
import { isTraceable, Tracer } from "./trace.ts";

/** What was taken out: `value = (level − mean[c])·norm[c]` for levels 0..255, in the order of the network's channels. */
export interface InputCode {
  /** Absent where the graph only moved elements: then it does not say what it expects. */
  readonly levels?: { readonly mean: number[]; readonly norm: number[] };
  /** The graph reversed the channels. */
  readonly isReversed: boolean;
  /** Channels were the last axis. */
  readonly isChannelsLast: boolean;
}

/** `value = factor·level + offset` for each channel of the network's input, and the channel of the graph's that it comes from. */
interface ChannelFormula {
  readonly from: number;
  readonly factor: number;
  readonly offset: number;
  readonly isChannelsLast: boolean;
}

/**
 * Cuts such code off the model's input, which becomes `[1, channels, height, width]` of float32 under the same name; `shapes` and
 * `types` follow. Gives nothing, and changes nothing, where there is none.
 */
export function cutInputCode(
  model: OnnxModel,
  shapes: Map<string, OnnxShape>,
  types: Map<string, ElementType>,
): InputCode | undefined {
  const { graph } = model;
  const [input] = graph.inputs;
  const dims = input && shapes.get(input.name);
  if (graph.inputs.length !== 1 || !dims || !allKnown(dims)) return undefined;
  const isWhole = input.type !== undefined && isInteger(input.type);
  for (const value of candidates(model, shapes, input.name, elementCount(dims))) {
    const formulas = formulasOf(model, shapes, input.name, dims, value, isWhole);
    if (!formulas) continue;
    const shape = shapes.get(value) ?? [];
    const froms = formulas.map(({ from }) => from);
    const isReversed = froms.length === 3 && froms.join() === "2,1,0";
    if (!isReversed && froms.some((from, i) => from !== i)) return undefined;
    const levels = levelsOf(formulas, isWhole);
    // A view of the same order is no pre-processing.
    if (!levels && !isReversed && !formulas[0].isChannelsLast) return undefined;
    for (const node of graph.nodes) {
      node.inputs = node.inputs.map((name) => (name === value ? input.name : name));
    }
    graph.inputs = [{ name: input.name, type: "float32", shape }];
    shapes.set(input.name, shape);
    types.set(input.name, "float32");
    return { ...(levels && { levels }), isReversed, isChannelsLast: formulas[0].isChannelsLast };
  }
  return undefined;
}

/** Steps of pre-processing; no file has nearly as many. */
const mostCandidates = 64;

/** Values `[1, channels, height, width]` that everything behind the input goes through, the last first. */
function candidates(
  model: OnnxModel,
  shapes: ReadonlyMap<string, OnnxShape>,
  input: string,
  elements: number,
): string[] {
  const { graph } = model;
  const early = new Set<string>([input, ...graph.initializers.keys(), ""]);
  const found: string[] = [];
  for (const node of graph.nodes) {
    if (found.length === mostCandidates) break;
    if (!isTraceable(node) || !node.inputs.every((name) => early.has(name))) continue;
    for (const name of node.outputs) {
      early.add(name);
      const shape = shapes.get(name);
      if (shape?.length !== 4 || !allKnown(shape) || shape[0] !== 1 || elementCount(shape) !== elements)
        continue;
      if (shape[1] === 1 || shape[1] === 3) found.push(name);
    }
  }
  return found.reverse().filter((value) => isPassage(model, input, value));
}

/** Whether nothing reads the input, or what was made of it, but through `value`. */
function isPassage({ graph }: OnnxModel, input: string, value: string): boolean {
  const needed = new Set(graph.outputs.map(({ name }) => name));
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((name) => needed.has(name) && name !== value)) continue;
    for (const name of node.inputs) needed.add(name);
  }
  return !needed.has(input);
}

const probeCount = 12;

function formulasOf(
  model: OnnxModel,
  shapes: ReadonlyMap<string, OnnxShape>,
  input: string,
  inputDims: readonly number[],
  value: string,
  isWhole: boolean,
): ChannelFormula[] | undefined {
  // Clipping to 0..255 or 0..1 changes nothing in the range that the graph expects.
  for (const range of isWhole ? [255] : [255, 1]) {
    const levels = Float64Array.from({ length: probeCount }, (_, p) => {
      const level = (p * range) / (probeCount - 1);
      return isWhole ? Math.round(level) : level;
    });
    const tracer = new Tracer(model, shapes, (name) => (name === input ? levels : undefined));
    const formulas = channelFormulas(tracer, value, inputDims);
    if (formulas) return formulas;
  }
  return undefined;
}

/** The formula of every channel, the same at all places that are looked at. */
function channelFormulas(
  tracer: Tracer,
  value: string,
  inputDims: readonly number[],
): ChannelFormula[] | undefined {
  const dims = tracer.dims(value);
  const [, channels, height, width] = dims;
  const area = height * width;
  // The input is the same picture: not one whose axes are others, cut or joined.
  const picture = inputDims.slice(inputDims[0] === 1 ? 1 : 0).join();
  const layouts = [
    [channels, height, width],
    [height, width, channels],
    ...(channels === 1 ? [[height, width]] : []),
  ];
  if (!layouts.some((layout) => layout.join() === picture)) return undefined;
  const formulas: ChannelFormula[] = [];
  for (let c = 0; c < channels; c++) {
    for (const cell of new Set([0, 1, width, Math.floor(area / 2) + 1, area - 1].filter((i) => i < area))) {
      tracer.forget();
      const [y, x] = unravel(cell, [height, width]);
      const traced = tracer.element(value, ravel([0, c, y, x], dims));
      const [leaf] = traced?.leaves ?? [];
      if (traced?.leaves.length !== 1) return undefined;
      const values = Array.from(traced.numbers);
      const fit = fitTo(values, [values.map(() => 1), Array.from(leaf.probes)]);
      const isChannelsLast = inputDims.at(-1) === channels && inputDims.at(-2) === width;
      const from = isChannelsLast ? leaf.index - cell * channels : (leaf.index - cell) / area;
      if (!fit?.[1] || !Number.isInteger(from) || from < 0 || from >= channels) return undefined;
      const [offset, factor] = fit;
      const known = formulas[c];
      formulas[c] ??= { from, factor, offset, isChannelsLast };
      const isSame = known?.from === from && near([known.factor, known.offset], [factor, offset]);
      if (known && !isSame) return undefined;
    }
  }
  return formulas;
}

/** Networks take values of a few units, or levels 0..255, whole or less a mean; it tells what range the graph's own input has. */
const normalized = 20;
const largestLevel = 256;

/** Mean and norm for levels 0..255; nothing where elements are only moved and may be anything. */
function levelsOf(formulas: readonly ChannelFormula[], isWhole: boolean): InputCode["levels"] {
  const isMove = formulas.every(({ factor, offset }) => near([factor, offset], [1, 0]));
  if (isMove && !isWhole) return undefined;
  const largest = (range: number): number =>
    Math.max(
      ...formulas.flatMap(({ factor, offset }) => [Math.abs(offset), Math.abs(factor * range + offset)]),
    );
  // A graph that starts from 0..1 multiplies by about 1/0.225, one that starts from levels by about 1/58 or 1/255.
  const isFraction =
    !isWhole && (largest(255) > largestLevel || (largest(255) > normalized && largest(1) <= normalized));
  const norm = formulas.map(({ factor }) => tidy(isFraction ? factor / 255 : factor));
  const mean = formulas.map(({ offset }, c) => (offset === 0 ? 0 : tidy(-offset / norm[c])));
  return { mean, norm };
}

/** What float32 made of 1/255 and its like is taken back. */
function tidy(value: number): number {
  const whole = Math.round(1 / value);
  if (Math.abs(1 / value - whole) < 1e-5) return 1 / whole;
  return Number(value.toPrecision(7));
}
