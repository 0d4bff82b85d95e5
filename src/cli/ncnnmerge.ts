/** `ncnnkit ncnnmerge`: the official tool's command line. */
import path from "node:path";
import { mergeModels } from "../official.ts";
import { officialCommand, readPair, writePair } from "./official.ts";

export const ncnnmerge = officialCommand({
  name: "ncnnmerge",
  about: "put several models side by side into one pair of files",
  usage: "Usage: ncnnmerge [param1] [bin1] [param2] [bin2] ... [outparam] [outbin]",
  notes: `
Layers and blobs of a.param are called a/NAME in the result; the models do not feed each other.

Example:
  ncnnkit ncnnmerge detect.param detect.bin classify.param classify.bin both.param both.bin`,
  accepts: (count) => count >= 6 && count % 2 === 0,
  run: async (words, terminal) => {
    const files = words.slice(0, -2);
    const [outParam, outBin] = words.slice(-2);
    const parts = [];
    for (let i = 0; i < files.length; i += 2) {
      const name = path.basename(files[i]);
      const dot = name.lastIndexOf(".");
      const namespace = dot >= 0 ? name.slice(0, dot) : name;
      parts.push({ namespace, graph: await readPair(files[i], files[i + 1], terminal) });
    }
    const graph = mergeModels(parts);
    await writePair(outParam, outBin, graph);
  },
});
