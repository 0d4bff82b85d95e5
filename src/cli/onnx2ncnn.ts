/** `ncnnkit onnx2ncnn`: the official tool's command line. */
import { open } from "../node.ts";
import { officialCommand, writePair } from "./official.ts";
import { warn } from "./terminal.ts";

export const onnx2ncnn = officialCommand({
  name: "onnx2ncnn",
  about: "turn an ONNX file into ncnn's files, layer by layer",
  usage: "Usage: onnx2ncnn [onnxpb] [ncnnparam] [ncnnbin]",
  notes: `
Without names for them, ncnn.param and ncnn.bin are written. Needs no onnxsim before it. Outputs keep the names that they have
in the ONNX file; sizes in Reshape layers follow the input. "ncnnkit convert" also optimises and writes the manifest.

Example:
  ncnnkit onnx2ncnn yolov5ss-sim.onnx yolov5ss.param yolov5ss.bin`,
  accepts: (count) => count === 1 || count === 3,
  run: async ([file, param = "ncnn.param", bin = "ncnn.bin"], terminal) => {
    const { graph, details = [] } = await open(file, { keepDecode: true });
    for (const line of details) terminal.err(`${line}\n`);
    if (graph.outputs.length === 0) warn(terminal, `${file}: the graph has no outputs`);
    await writePair(param, bin, graph);
  },
});
