/** Quantization: observe pictures, choose scales, correct, rewrite to int8. `docs/quantization.md` explains and measures. */

import type { CalibrationTable } from "../formats/table.ts";
import type { LayerQuantization, QuantizationRecord } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import { isInt8, quantizableLayers } from "./layers.ts";
import { padsBelowZero, quantizeGraph, type RewriteOptions } from "./rewrite.ts";

export { center } from "./center.ts";
export {
  applyCorrections,
  CorrectionStatistics,
  type Corrections,
  copyCorrections,
  solveCorrections,
} from "./corrections.ts";
export { type Effort, efforts, picturesOf } from "./effort.ts";
export { EqSamples, eqPictures, refineByCosine } from "./eq.ts";
export { equalize } from "./equalize.ts";
export { type Focus, FocusMap, noFocus, type OfHeads } from "./focus.ts";
export { type QuantizableLayer, quantizableLayers } from "./layers.ts";
export { type Loss, relativeError } from "./loss.ts";
export { BlobObservation, mergeObservations, type Observations, observe } from "./observe.ts";
export { type Importance, OutputShift } from "./outputs.ts";
export { type PartialCalibration, readPartial, writePartial } from "./partial.ts";
export { addRanges, ChannelRanges, type Ranges } from "./ranges.ts";
export { type LayerRange, type LayerReport, rangeOfLayer, reportLayer } from "./report.ts";
export { quantizeGraph, type RewriteOptions } from "./rewrite.ts";
export { chooseScales, type Method, methods } from "./scales.ts";
/** Options of quantizing. */
export interface QuantizeOptions extends RewriteOptions {
  /** For the record: how the table was made and from how many pictures. */
  method?: string;
  images?: number;
  /** Why a layer of `keepFloat` stays float, by name. Default "asked for". */
  reasons?: ReadonlyMap<string, string>;
}

/**
 * The int8 graph of a float graph and its table, and what the manifest says about it. With `auto` tables, `graph` must be
 * the equalized graph that `calibrate` returned and `corrections` its corrections. Throws as `quantizeGraph`.
 */
export function quantize(
  graph: Graph,
  table: CalibrationTable,
  options: QuantizeOptions = {},
): { graph: Graph; record: QuantizationRecord } {
  const out = quantizeGraph(graph, table, options);
  const record: QuantizationRecord = {
    method: options.method ?? "table",
    images: options.images ?? 0,
    layers: {},
    keptFloat: [],
  };
  for (const { name } of quantizableLayers(graph)) {
    const node = out.node(name)!;
    if (isInt8(node)) record.layers[name] = scalesOf(node.weights);
    else {
      const asked = options.keepFloat?.includes(name);
      const unasked = padsBelowZero(node) ? "its padding is below 0" : "not in the table";
      const reason = asked ? (options.reasons?.get(name) ?? "asked for") : unasked;
      record.keptFloat.push({ name, reason });
    }
  }
  return { graph: out, record };
}

/** JSON has no infinity: the scale of an all-zero input is recorded as 0. */
function scalesOf(weights: Graph["nodes"][number]["weights"]): LayerQuantization {
  const scale = (name: string): number | undefined => {
    const value = weights[name]?.data[0];
    return value === undefined || Number.isFinite(value) ? value : 0;
  };
  const output = scale("top_scale");
  return { input: scale("bottom_scale") ?? 0, ...(output !== undefined && { output }) };
}
