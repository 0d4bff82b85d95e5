/** `ncnnkit export`: a model to an ONNX file, as `models/export.py` of YOLOv5 makes it. */
import path from "node:path";
import type { Command } from "commander";
import { kindOf } from "../node/files.ts";
import { writePaths } from "../node/write.ts";
import { exportModel, UsageError } from "../node.ts";
import { addNameOptions, type NameOptions, openNamed } from "./names.ts";
import { addFactOptions, type FactOptions, keepSource, knownFacts } from "./options.ts";
import { type Terminal, warn } from "./terminal.ts";

interface Options extends FactOptions, NameOptions {
  out?: string;
  dynamic?: boolean;
  static?: boolean;
  json?: boolean;
}

const examples = `
Outputs are the raw heads, without decoding. Heads, stride, anchors and class names are in the metadata of the file, where ncnnkit
finds them again. Needs no simplifying afterwards.

Examples:
  ncnnkit export yolov5ss.pt -o yolov5ss.onnx --imgsz 640
  ncnnkit export yolov5ss.param -o yolov5ss.onnx --dynamic`;

export function exportCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("export")
    .description("turn a checkpoint or an ncnn model into an ONNX file")
    .argument("<model>", "anything that detect takes; float, not int8")
    .option("-o, --out <file>", "file to write (default: NAME.onnx beside the model, if there is none yet)")
    .option("--dynamic", "leave height and width open")
    .option("--static", "one size, the default")
    .option("--json", "print JSON only");
  addNameOptions(addFactOptions(command))
    .addHelpText("after", examples)
    .action((file: string, options: Options) => run(file, options, terminal));
}

async function run(file: string, options: Options, terminal: Terminal): Promise<void> {
  if (options.dynamic && options.static) throw new UsageError("--dynamic and --static contradict each other");
  const opened = await openNamed(file, terminal, {
    ...(await knownFacts(options)),
    offline: options.offline,
  });
  for (const text of opened.assumptions) warn(terminal, `${file}: ${text}`);
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
    terminal.out(
      `${JSON.stringify({ file: out, bytes: bytes.length, width, height, heads, labels }, null, 2)}\n`,
    );
    return;
  }
  const size = options.dynamic ? "any size" : `${width}x${height}`;
  const heads = manifest.heads.map(({ blob, stride }) => `${blob} (stride ${stride})`);
  terminal.err(`${manifest.name}: ${size}, ${heads.length ? `heads ${heads.join(", ")}` : "no heads"}\n`);
  terminal.out(`${out}  ${bytes.length}\n`);
}
