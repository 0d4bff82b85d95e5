/** Rounding and bias corrections of all layers, from the calibration pictures. */
import { Random } from "../base/random.ts";
import type { CalibrationTable } from "../formats/table.ts";
import type { Graph } from "../ir/graph.ts";
import type { Blobs } from "../ir/tensor.ts";
import { f32Weight } from "../ir/weight.ts";
import type { FocusMap } from "./focus.ts";
import { type QuantizableLayer, quantizableLayers } from "./layers.ts";
import { PatchMoments, type WrittenMoments } from "./moments.ts";
import type { Observations } from "./observe.ts";
import { setBias } from "./rewrite.ts";
import { type RoundedLayer, roundLayer } from "./round.ts";
import { absmaxScales, isWinogradSafe } from "./weights.ts";

/** Integer weights and biases by layer name. */
export type Corrections = Map<string, RoundedLayer>;

/**
 * Layers whose patches are longer stay with rounding to nearest: the work grows with the cube of the length, and the
 * gain shrinks, since rounding errors of so many weights average out.
 */
const longestPatch = 1600;

/** The same with biases of their own, which may be changed. */
export const copyCorrections = (corrections: Corrections): Corrections =>
  new Map([...corrections].map(([name, each]) => [name, { ...each, bias: each.bias.slice() }]));

/** Gathers what `solveCorrections` needs, picture by picture; memory does not grow with the pictures. */
export class CorrectionStatistics {
  readonly moments: Map<string, PatchMoments>;

  /** `activations`: scale of each layer's input; layers without one are left out. */
  constructor(layers: readonly QuantizableLayer[], activations: CalibrationTable["activations"]) {
    this.moments = new Map();
    for (const layer of layers) {
      const scale = activations.get(layer.name);
      if (scale === undefined || layer.weights.length / layer.outputChannels > longestPatch) continue;
      this.moments.set(layer.name, new PatchMoments(layer, scale));
    }
  }

  /** Adds picture number `index`: the float inputs of the layers by blob name. What is sampled of it follows from its number. */
  add(blobs: Blobs, index: number, focus: FocusMap): void {
    const all = [...this.moments.values()];
    const before = all.reduce((sum, each) => sum + each.drawsBefore(index, blobs[each.layer.input]), 0);
    const random = new Random(1).skip(before);
    for (const moments of all) moments.add(blobs[moments.layer.input], index, random, focus);
  }

  merge(other: CorrectionStatistics): void {
    for (const [name, moments] of other.moments) this.moments.get(name)?.merge(moments);
  }

  write(): Record<string, WrittenMoments> {
    return Object.fromEntries([...this.moments].map(([name, moments]) => [name, moments.write()]));
  }

  /** Takes what was written of the same layers and table. */
  read(written: Record<string, WrittenMoments>): void {
    for (const [name, { layer, scale }] of this.moments) {
      this.moments.set(name, PatchMoments.read(layer, scale, written[name]));
    }
  }
}

/**
 * Rounds the weights of all layers. Where the result could overflow native ncnn's int8 Winograd, which the choice of
 * scales makes unlikely, the layer's scales in `table` become the official six-bit ones.
 */
export function solveCorrections(
  { moments }: CorrectionStatistics,
  table: CalibrationTable,
  observations: Observations,
): Corrections {
  const corrections: Corrections = new Map();
  for (const [name, statistics] of moments) {
    const scales = table.weights.get(name);
    if (!scales || statistics.count === 0) continue;
    const { layer } = statistics;
    let rounded = roundLayer(statistics, scales);
    const isNonNegative = (observations.get(layer.input)?.min ?? -1) >= 0;
    if (!isWinogradSafe(layer, rounded.weights, isNonNegative)) {
      const sixBit = absmaxScales(layer);
      table.weights.set(name, sixBit);
      rounded = roundLayer(statistics, sixBit);
    }
    corrections.set(name, rounded);
  }
  return corrections;
}

/**
 * A float graph that any quantizer which rounds to nearest with the table's scales (ncnn2int8, `quantizeGraph`) turns
 * into the corrected int8 graph: its weights are the integers divided by their scales, its biases the corrected ones.
 */
export function applyCorrections(graph: Graph, table: CalibrationTable, corrections: Corrections): Graph {
  const out = graph.clone();
  for (const layer of quantizableLayers(out)) {
    const corrected = corrections.get(layer.name);
    const scales = table.weights.get(layer.name);
    if (!corrected || !scales) continue;
    layer.node.weights.weight = f32Weight(
      Float32Array.from(corrected.weights, (q, i) => q / scales[Math.floor(i / layer.weightsPerScale)]),
    );
    setBias(layer.node, corrected.bias);
  }
  return out;
}
