/** `ncnnkit ncnn2mem`: the official tool's command line. */
import { writePaths } from "../node/write.ts";
import { memoryFiles } from "../official.ts";
import { officialCommand, readPair } from "./official.ts";

export const ncnn2mem = officialCommand({
  name: "ncnn2mem",
  about: "turn a model into C arrays, without names or files at run time",
  usage: "Usage: ncnn2mem [ncnnproto] [ncnnbin] [idcpppath] [memcpppath]",
  notes: `
Writes the binary [ncnnproto].bin, the indices of layers and blobs as a C++ header, and both files as byte arrays.

Example:
  ncnnkit ncnn2mem yolov5ss.param yolov5ss.bin yolov5ss.id.h yolov5ss.mem.h`,
  accepts: (count) => count === 4,
  run: async ([param, bin, idHeader, memoryHeader], terminal) => {
    const graph = await readPair(param, bin, terminal);
    const paramBin = `${param}.bin`;
    const files = memoryFiles(graph, { param, paramBin, bin, idHeader, memoryHeader });
    await writePaths([
      [paramBin, files.paramBin],
      [idHeader, files.idHeader],
      [memoryHeader, files.memoryHeader],
    ]);
  },
});
