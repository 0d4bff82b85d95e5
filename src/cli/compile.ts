/** `ncnnkit compile`: a model to WebAssembly files that run without ncnnkit. */
import { InvalidArgumentError } from "commander";
import { compileModel, compileTargets } from "../steps.ts";
import { choice, command, flag, option } from "./command.ts";
import { keepSource, writeInto } from "./files.ts";
import { modelOptions, openNamed, warnAssumptions } from "./names.ts";
import { jsonOption, numberIn, parseSize } from "./options.ts";
import { printJson, warn } from "./terminal.ts";

const { size: _, ...otherOptions } = modelOptions;

export const compileCommand = command({
  name: "compile",
  about: "turn a model into small WebAssembly files that run anywhere, without ncnnkit",
  arguments: [["<model>", "anything that detect takes"]],
  options: {
    out: option("-o, --out <folder>", "folder for the files (default: NAME-wasm beside the model)"),
    name: option("--name <name>", "name of the files (default: the model's)"),
    sizes: option(
      "--imgsz, --size <list>",
      "input sizes in pixels, the default first: 320, or 320,416x256",
      parseSizes,
    ),
    threads: option("--threads <n>", "most threads that may share the work", numberIn(1, 64, true), 1),
    target: choice("--target <kind>", "machines that it is for", compileTargets, "portable"),
    scalar: flag("--scalar", "without vectors, for runtimes that have none: many times slower"),
    ...jsonOption,
    ...otherOptions,
  },
  notes: `
NAME.wasm holds code, weights, pre-processing, decoding and suppression; NAME.js is a module for JavaScript (types in NAME.d.ts),
NAME.json says what is known of the model, README.md how other hosts call it. Targets: portable runs on every machine with vectors of
128 bits; relaxed makes a file for each kind of machine that multiplies bytes faster; both makes all, and NAME.js chooses.

Examples:
  ncnnkit compile yolov5ss-int8.param --size 320 -o out/
  ncnnkit compile yolov5ss-int8.param --size 320,416 --target both`,
  async run([file], options, terminal) {
    const { sizes, threads, target, name, scalar } = options;
    const opened = await openNamed(file, { ...options, size: sizes?.[0] }, terminal);
    warnAssumptions(file, opened, terminal);
    const { files, modules, facts } = await compileModel(opened, { sizes, threads, target, name, scalar });
    const folder = options.out ?? `${file.replace(/\.[a-z]+$|[\\/]+$/i, "")}-wasm`;
    keepSource(
      file,
      Object.keys(files).map((each) => `${folder}/${each}`),
      "choose another folder or name",
    );
    const written = await writeInto(folder, files);
    if (!facts.decode)
      warn(terminal, `no boxes are decoded in the files: ${facts.whyNoDecode}; run gives raw outputs`);
    if (options.json) {
      printJson(terminal, { files: written, modules, sizes: facts.sizes, decode: facts.decode });
      return;
    }
    for (const each of written) terminal.out(`${each.file}  ${each.bytes}\n`);
  },
});

function parseSizes(text: string): { width: number; height: number }[] {
  const sizes = text.split(",").map(parseSize);
  const names = sizes.map(({ width, height }) => `${width}x${height}`);
  const twice = names.find((size, i) => names.indexOf(size) < i);
  if (twice) throw new InvalidArgumentError(`Size ${twice} is there twice.`);
  return sizes;
}
