/** `ncnnkit ncnnoptimize`: the official tool's command line. */
import { UsageError } from "../node.ts";
import { ncnnoptimize } from "../official.ts";
import { officialCommand, readPair, writePair } from "./official.ts";

/** Values of `flag` that store weights as float16; all others store float32. */
const fp16Flags = [1, 65536];

export const ncnnoptimizeCommand = officialCommand({
  name: "ncnnoptimize",
  about: "fuse layers, choose the storage of weights, cut a part out",
  usage: "usage: ncnnoptimize [inparam] [inbin] [outparam] [outbin] [flag] [cutstart] [cutend]",
  notes: `
flag 65536 or 1 stores weights as float16, any other number as float32. cutstart and cutend name the first and the last layer to
keep. inbin "null" invents weights. "ncnnkit convert" knows more rewrites.

Example:
  ncnnkit ncnnoptimize yolov5ss.param yolov5ss.bin yolov5ss-opt.param yolov5ss-opt.bin 65536`,
  accepts: (count) => count >= 5 && count <= 7,
  run: async ([param, bin, outParam, outBin, flag, cutStart, cutEnd], terminal) => {
    if (!/^[+-]?\d{1,9}$/.test(flag)) {
      throw new UsageError(`flag is "${flag}", expected 0 (float32), 1 or 65536 (float16)`);
    }
    const before = await readPair(param, bin, terminal);
    const graph = ncnnoptimize(before, {
      fp16: fp16Flags.includes(Number(flag)),
      ...(cutStart !== undefined && { cutStart }),
      ...(cutEnd !== undefined && { cutEnd }),
      log: (message) => terminal.err(`${message}\n`),
    });
    await writePair(outParam, outBin, graph);
    terminal.err(`${graph.nodes.length} layers (from ${before.nodes.length})\n`);
  },
});
