/** The official ncnn2int8: which layers become int8, and the lines that it prints. */
import { expectKind } from "../base/arguments.ts";
import type { CalibrationTable } from "../formats/table.ts";
import type { Graph } from "../ir/graph.ts";
import { withoutVectorConvolutions } from "../passes/index.ts";
import { quantizableLayers, quantizeGraph } from "../quantize/index.ts";

/** Options of `ncnn2int8`. */
export interface Ncnn2int8Options {
  /** Of the table, for messages. */
  tableName?: string;
  /** Takes a line for every layer that becomes int8 (`quantize_convolution Conv_0`), and for those whose outputs are int8 too. */
  log?: (message: string) => void;
  /** Told of lines in the table that mean nothing here. */
  onWarning?: (message: string) => void;
}

/**
 * An int8 copy of a float graph. Layers that the table does not have stay float, with weights stored as float16; without a
 * table that is all. Throws GraphError for a graph that is int8 already and for a table of another model.
 */
export function ncnn2int8(
  original: Graph,
  table: CalibrationTable | undefined,
  options: Ncnn2int8Options = {},
): Graph {
  expectKind("ncnn2int8: original", original, "a graph");
  if (table !== undefined) expectKind("ncnn2int8: table", table, "a calibration table");
  expectKind("ncnn2int8: options", options, "an object of options");
  const { tableName, log, onWarning } = options;
  const float = withoutVectorConvolutions(original);
  const known = table ? withoutWeightOnly(table, float, onWarning) : none;
  const graph = quantizeGraph(float, known, { tableName });
  const int8 = graph.nodes.filter(({ params }) => params.int8_scale_term);
  for (const { type, name } of int8) log?.(`quantize_${type.toLowerCase()} ${name}`);
  for (const { name, params } of int8) {
    if (Number(params.int8_scale_term) > 100) log?.(`fuse_requantize ${name}`);
  }
  return graph;
}

const none: CalibrationTable = { weights: new Map(), activations: new Map() };

/** Without the lines of layers whose weights alone ncnn quantizes (Embed, MultiHeadAttention): those stay float here. */
function withoutWeightOnly(
  table: CalibrationTable,
  graph: Graph,
  onWarning: Ncnn2int8Options["onWarning"],
): CalibrationTable {
  const quantizable = new Set(quantizableLayers(graph).map(({ name }) => name));
  const others = new Set(graph.nodes.map(({ name }) => name).filter((name) => !quantizable.has(name)));
  const weights = new Map([...table.weights].filter(([name]) => !others.has(name)));
  for (const name of table.weights.keys()) {
    if (others.has(name)) {
      onWarning?.(`layer ${name} stays float: only convolutions and InnerProduct become int8`);
    }
  }
  return { ...table, weights };
}
