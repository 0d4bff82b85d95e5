/** `ncnnkit convert`: a checkpoint or ONNX export to the files of an ncnn model. */
import path from "node:path";
import { counted } from "../base/text.ts";
import { slashed } from "../node/local.ts";
import { convert, modelFiles, summarize } from "../node.ts";
import { command, flag, type OptionsOf, option, required } from "./command.ts";
import { keepOthers, keepSource, writeInto } from "./files.ts";
import { modelOptions, openNamed, warnAssumptions } from "./names.ts";
import { jsonOption } from "./options.ts";
import { printJson, type Terminal, table } from "./terminal.ts";

const options = {
  out: required("-o, --out <dir>", "folder to write to"),
  name: option("--name <name>", "name of the model and its files (default: that of the file)"),
  fp16: flag("--fp16", "store weights as float16: half the size"),
  optimize: flag("--no-optimize", "keep the layers as they are: no folding, no fusion"),
  keepSizes: flag("--static", "keep sizes in Reshape and Interp layers: the model runs at one input size"),
  keepFocus: flag("--keep-focus", "keep Focus layers: no 6x6 convolution instead"),
  verbose: flag("--verbose", "say what each rewrite did, and what nearly matched"),
  ...jsonOption,
  ...modelOptions,
};
type Options = OptionsOf<typeof options>;

const notes = `
Writes NAME.param and NAME.bin for ncnn, the model manifest NAME.json (pre-processing, heads, class names, provenance) for
ncnnkit, and the same facts as a C++ header NAME.h for programs that use native ncnn.

Examples:
  ncnnkit convert yolov5ss.pt -o out/
  ncnnkit convert yolov5ss.pt -o out/ --fp16 --name yolov5ss-fp16
  ncnnkit convert yolov5s.onnx -o out/ --labels names.txt --verbose`;

export const convertCommand = command({
  name: "convert",
  about: "turn a checkpoint or ONNX export into an ncnn model with its manifest and C++ header",
  arguments: [
    ["<file>", "a checkpoint (.pt) or ONNX export; or a .param or manifest to optimise or store anew"],
  ],
  options,
  notes,
  run,
});

async function run([file]: [string], options: Options, terminal: Terminal): Promise<void> {
  const { name, fp16, optimize, keepFocus, keepSizes } = options;
  const opened = await openNamed(file, options, terminal, { keepSizes });
  warnAssumptions(file, opened, terminal);
  if (options.verbose) for (const line of opened.details ?? []) terminal.err(`${line}\n`);
  const { graph, manifest, rewrites } = convert(opened, {
    ...{ name, fp16, optimize, keepFocus, keepSizes },
    log: options.verbose ? (message) => terminal.err(`${message}\n`) : undefined,
  });
  const files = modelFiles(graph, manifest);
  const outputs = Object.keys(files).map((each) => slashed(path.join(options.out, each)));
  keepSource(file, outputs, "choose another folder or --name");
  await keepOthers(outputs);
  const written = await writeInto(options.out, files);
  if (options.json) {
    printJson(terminal, { files: written, rewrites, manifest });
    return;
  }
  const { parameters } = summarize(graph, {});
  const before = opened.graph.nodes.length;
  const fewer = before === graph.nodes.length ? "" : ` (from ${before})`;
  terminal.err(
    `${manifest.name}: ${graph.nodes.length} layers${fewer}, ${parameters} parameters, ${counted(manifest.heads.length, "head")}, ${counted(manifest.labels.length, "class")}\n`,
  );
  if (options.verbose && Object.keys(rewrites).length) terminal.err(table(Object.entries(rewrites)));
  terminal.out(table(written.map(({ file: each, bytes }) => [each, bytes])));
}
