/** `ncnnkit export`: a model to an ONNX file, as `models/export.py` of YOLOv5 makes it. */
import path from "node:path";
import { kindOf } from "../node/files.ts";
import { writePaths } from "../node/write.ts";
import { exportModel, UsageError } from "../node.ts";
import { blobsOf } from "../steps.ts";
import { command, flag, option } from "./command.ts";
import { keepSource } from "./files.ts";
import { modelOptions, openNamed, warnAssumptions } from "./names.ts";
import { jsonOption } from "./options.ts";
import { printJson } from "./terminal.ts";

export const exportCommand = command({
  name: "export",
  about: "turn a checkpoint or an ncnn model into an ONNX file",
  arguments: [["<model>", "anything that detect takes; float, not int8"]],
  options: {
    out: option(
      "-o, --out <file>",
      "file to write (default: NAME.onnx beside the model, if there is none yet)",
    ),
    dynamic: flag("--dynamic", "leave height and width open"),
    static: flag("--static", "one size, the default"),
    ...jsonOption,
    ...modelOptions,
  },
  notes: `
Outputs are the raw heads, without decoding. Heads, stride, anchors and class names are in the metadata of the file, where ncnnkit
finds them again. Needs no simplifying afterwards.

Examples:
  ncnnkit export yolov5ss.pt -o yolov5ss.onnx --imgsz 640
  ncnnkit export yolov5ss.param -o yolov5ss.onnx --dynamic`,
  async run([file], options, terminal) {
    if (options.dynamic && options.static)
      throw new UsageError("--dynamic and --static contradict each other");
    const opened = await openNamed(file, options, terminal);
    warnAssumptions(file, opened, terminal);
    const { manifest } = opened;
    const out = options.out ?? path.join(path.dirname(file), `${manifest.name}.onnx`);
    keepSource(file, [out], "name another file");
    if (options.out === undefined && kindOf(out)) {
      throw new UsageError(`${out} is there already; to replace it, name it with -o`);
    }
    const bytes = await exportModel(opened, { size: options.size, dynamic: options.dynamic });
    await writePaths([[out, bytes]]);
    const { width, height } = options.size ?? manifest.input;
    if (options.json) {
      const { heads, labels } = manifest;
      printJson(terminal, { file: out, bytes: bytes.length, width, height, heads, labels });
      return;
    }
    const size = options.dynamic ? "any size" : `${width}x${height}`;
    const heads = manifest.heads.map((head) => `${blobsOf([head]).join(", ")} (stride ${head.stride})`);
    terminal.err(`${manifest.name}: ${size}, ${heads.length ? `heads ${heads.join(", ")}` : "no heads"}\n`);
    terminal.out(`${out}  ${bytes.length}\n`);
  },
});
