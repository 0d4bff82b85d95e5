/** `ncnnkit simplify`: what `python -m onnxsim` does. */
import path from "node:path";
import { InvalidArgumentError } from "commander";
import { diskFolder, readBytes } from "../node/files.ts";
import { writePaths } from "../node/write.ts";
import { simplifyModel } from "../steps.ts";
import { command, list, option } from "./command.ts";
import { keepSource } from "./files.ts";
import { jsonOption } from "./options.ts";
import { printJson, table } from "./terminal.ts";

type Shapes = Record<string, number[]>;

function addShape(text: string, before: Shapes = {}): Shapes {
  const at = text.lastIndexOf(":");
  const shape = text
    .slice(at + 1)
    .split(",")
    .map((word) => (word.trim() === "" ? Number.NaN : Number(word)));
  if (shape.every((extent) => Number.isInteger(extent) && extent > 0 && extent < 2 ** 31)) {
    return { ...before, [text.slice(0, Math.max(at, 0))]: shape };
  }
  throw new InvalidArgumentError("Expected extents of at least 1, as in images:1,3,640,640 or 1,3,640,640.");
}

export const simplify = command({
  name: "simplify",
  about: "simplify an ONNX file: infer shapes, fold constants, remove what does nothing",
  arguments: [
    ["<input>", "ONNX file to read"],
    ["<output>", "ONNX file to write"],
  ],
  options: {
    inputShapes: option(
      "--overwrite-input-shape <name:1,c,h,w...>",
      "new shape of an input; without a name, of the only one",
      addShape,
    ),
    unusedOutputs: list(
      "--unused-output <name...>",
      "outputs that are not needed: they go, with all that only they need",
    ),
    ...jsonOption,
  },
  notes: `
Open axes stay open, unless --overwrite-input-shape gives them a size. Tensors in external files come into the result.
Importing an ONNX file simplifies it anyway: this is for other tools.

Examples:
  ncnnkit simplify yolov5s.onnx yolov5s-sim.onnx
  ncnnkit simplify yolov5s.onnx yolov5s-sim.onnx --overwrite-input-shape images:1,3,320,320`,
  async run([input, output], options, terminal) {
    keepSource(input, [output], "name another file");
    const bytes = await readBytes(input);
    const file = { name: path.basename(input), bytes };
    const result = await simplifyModel(file, diskFolder(path.dirname(input)), options);
    await writePaths([[output, result.bytes]]);
    const { operators, inputs, outputs } = result;
    const sizes = { before: bytes.length, after: result.bytes.length };
    if (options.json) {
      printJson(terminal, { file: output, bytes: sizes, operators, inputs, outputs });
      return;
    }
    const total = (key: "before" | "after"): number => operators.reduce((sum, row) => sum + row[key], 0);
    terminal.out(
      table([
        ["operator", "original", "simplified"],
        ...operators.map(({ operator, before, after }) => [operator, before, after]),
        ["all", total("before"), total("after")],
        ["bytes", sizes.before, sizes.after],
      ]),
    );
    for (const { name, shape } of [...inputs, ...outputs]) terminal.err(`${name}: [${shape.join(", ")}]\n`);
    terminal.err(`${output} written\n`);
  },
});
