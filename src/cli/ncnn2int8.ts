/** `ncnnkit ncnn2int8`: the official tool's command line. */
import { ncnn2int8 } from "../official.ts";
import { readTable } from "./files.ts";
import { officialCommand, readPair, writePair } from "./official.ts";
import { warn } from "./terminal.ts";

export const ncnn2int8Command = officialCommand({
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
    const table = tableFile === undefined ? undefined : await readTable(tableFile, terminal);
    const graph = ncnn2int8(await readPair(param, bin, terminal), table, {
      tableName: tableFile,
      log: (message) => terminal.err(`${message}\n`),
      onWarning: (message) => warn(terminal, message),
    });
    await writePair(outParam, outBin, graph);
    const reason =
      tableFile === undefined ? "without a table all stay float" : `${tableFile} has none of them`;
    const isInt8 = graph.nodes.some(({ params }) => params.int8_scale_term);
    if (!isInt8) warn(terminal, `no layer became int8: ${reason}`);
  },
});
