/** `ncnnkit convert`: a checkpoint or ONNX export to the files of an ncnn model. */
import path from "node:path";
import type { Command } from "commander";
import { slashed } from "../node/local.ts";
import { convert, modelFiles, summarize, writeFiles } from "../node.ts";
import { addNameOptions, type NameOptions, openNamed } from "./names.ts";
import { addFactOptions, type FactOptions, keepOthers, keepSource, knownFacts } from "./options.ts";
import { type Terminal, table, warn } from "./terminal.ts";

interface Options extends FactOptions, NameOptions {
  out: string;
  name?: string;
  fp16?: boolean;
  optimize: boolean;
  static?: boolean;
  keepFocus?: boolean;
  keepDecode?: boolean;
  verbose?: boolean;
  json?: boolean;
}

const examples = `
Writes NAME.param and NAME.bin for ncnn, the model manifest NAME.json (pre-processing, heads, class names, provenance) for
ncnnkit, and the same facts as a C++ header NAME.h for programs that use native ncnn.

Examples:
  ncnnkit convert yolov5ss.pt -o out/
  ncnnkit convert yolov5ss.pt -o out/ --fp16 --name yolov5ss-fp16
  ncnnkit convert yolov5s.onnx -o out/ --labels names.txt --verbose`;

export function convertCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("convert")
    .description("turn a checkpoint or ONNX export into an ncnn model with its manifest and C++ header")
    .argument(
      "<file>",
      "a checkpoint (.pt) or ONNX export; or a .param or manifest to optimise or store anew",
    )
    .requiredOption("-o, --out <dir>", "folder to write to")
    .option("--name <name>", "name of the model and its files (default: that of the file)")
    .option("--fp16", "store weights as float16: half the size")
    .option("--no-optimize", "keep the layers as they are: no folding, no fusion")
    .option("--static", "keep sizes in Reshape and Interp layers: the model runs at one input size")
    .option("--keep-focus", "keep Focus layers: no 6x6 convolution instead")
    .option("--keep-decode", "ONNX: keep the decoding of boxes that is in the graph")
    .option("--verbose", "say what each rewrite did, and what nearly matched")
    .option("--json", "print JSON only");
  addNameOptions(addFactOptions(command))
    .addHelpText("after", examples)
    .action((file: string, options: Options) => run(file, options, terminal));
}

async function run(file: string, options: Options, terminal: Terminal): Promise<void> {
  const opened = await openNamed(file, terminal, {
    ...(await knownFacts(options)),
    offline: options.offline,
    ...(options.static && { keepSizes: true }),
    ...(options.keepDecode && { keepDecode: true }),
  });
  for (const text of opened.assumptions) warn(terminal, `${file}: ${text}`);
  if (options.verbose) for (const line of opened.details ?? []) terminal.err(`${line}\n`);
  const { graph, manifest, rewrites } = convert(opened, {
    name: options.name,
    fp16: options.fp16,
    optimize: options.optimize,
    keepFocus: options.keepFocus,
    keepSizes: options.static,
    log: options.verbose ? (message) => terminal.err(`${message}\n`) : undefined,
  });
  const files = modelFiles(graph, manifest);
  const outputs = Object.keys(files).map((name) => slashed(path.join(options.out, name)));
  keepSource(file, outputs, "choose another folder or --name");
  await keepOthers(outputs);
  await writeFiles(options.out, files);
  const written = Object.entries(files).map(([name, content]) => ({
    file: slashed(path.join(options.out, name)),
    bytes: typeof content === "string" ? new TextEncoder().encode(content).length : content.length,
  }));
  if (options.json) {
    terminal.out(`${JSON.stringify({ files: written, rewrites, manifest }, null, 2)}\n`);
    return;
  }
  const { parameters } = summarize(graph, {});
  const before = opened.graph.nodes.length;
  const fewer = before === graph.nodes.length ? "" : ` (from ${before})`;
  terminal.err(
    `${manifest.name}: ${graph.nodes.length} layers${fewer}, ${parameters} parameters, ${manifest.heads.length} heads, ${manifest.labels.length} classes\n`,
  );
  if (options.verbose && Object.keys(rewrites).length) terminal.err(table(Object.entries(rewrites)));
  terminal.out(table(written.map(({ file: name, bytes }) => [name, bytes])));
}
