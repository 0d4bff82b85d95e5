/** `ncnnkit ncnn2int8`: the official tool's command line. */

import { writePaths } from "../node/write.ts";
import type { CalibrationTable, Graph } from "../node.ts";
import {
  printParam,
  quantizableLayers,
  quantizeGraph,
  withoutVectorConvolutions,
  writeWeights,
} from "../steps.ts";
import { officialCommand, readPair } from "./official.ts";
import { readTable } from "./options.ts";
import { type Terminal, warn } from "./terminal.ts";

export const ncnn2int8 = officialCommand({
  name: "ncnn2int8",
  about: "make an int8 model of a float model and its table",
  usage: "usage: ncnn2int8 [inparam] [inbin] [outparam] [outbin] [calibration table]",
  notes: `
Layers that the table does not have stay float, with weights stored as float16. "ncnnkit quantize" can do better with the same
table: it uses the corrections that "ncnnkit calibrate" makes, and keeps to a budget.

Example:
  ncnnkit ncnn2int8 yolov5ss-opt.param yolov5ss-opt.bin yolov5ss-opt-int8.param yolov5ss-opt-int8.bin yolov5ss.table`,
  accepts: (count) => count === 4 || count === 5,
  run: async ([param, bin, outParam, outBin, tableFile], terminal) => {
    const table = tableFile
      ? await readTable(tableFile, terminal)
      : { weights: new Map(), activations: new Map() };
    const float = withoutVectorConvolutions(await readPair(param, bin, terminal));
    const graph = quantizeGraph(float, withoutWeightOnly(table, float, terminal), { tableName: tableFile });
    const int8 = graph.nodes.filter(({ params }) => params.int8_scale_term);
    for (const { type, name } of int8) terminal.err(`quantize_${type.toLowerCase()} ${name}\n`);
    for (const { name, params } of int8) {
      if (Number(params.int8_scale_term) > 100) terminal.err(`fuse_requantize ${name}\n`);
    }
    await writePaths([
      [outParam, printParam(graph)],
      [outBin, writeWeights(graph)],
    ]);
    const reason =
      tableFile === undefined ? "without a table all stay float" : `${tableFile} has none of them`;
    if (!int8.length) warn(terminal, `no layer became int8: ${reason}`);
  },
});

/** Lines of layers whose weights alone ncnn quantizes (Embed, MultiHeadAttention): those stay float here. */
function withoutWeightOnly(table: CalibrationTable, graph: Graph, terminal: Terminal): CalibrationTable {
  const quantizable = new Set(quantizableLayers(graph).map(({ name }) => name));
  const others = new Set(graph.nodes.map(({ name }) => name).filter((name) => !quantizable.has(name)));
  const weights = new Map([...table.weights].filter(([name]) => !others.has(name)));
  for (const name of table.weights.keys()) {
    if (others.has(name))
      warn(terminal, `layer ${name} stays float: only convolutions and InnerProduct become int8`);
  }
  return { ...table, weights };
}
