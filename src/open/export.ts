/** ONNX out: a model as an export of a training framework would be, and ONNX files simplified. */

import { expectKind } from "../base/arguments.ts";
import { inContext, UsageError } from "../base/errors.ts";
import { brief } from "../base/text.ts";
import type { Dim } from "../formats/onnx/model.ts";
import { preprocessingIn } from "../heads/input.ts";
import type { Manifest } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import { readWithExternalFiles } from "./external.ts";
import { bothSides, type KnownFacts } from "./facts.ts";
import type { Folder, NamedBytes } from "./source.ts";

/** Options of `exportModel`. */
export interface ExportOptions {
  /** Input size in pixels instead of the manifest's; multiples of its stride. */
  size?: KnownFacts["size"];
  /** Leave height and width open, as `height` and `width`; default false. */
  dynamic?: boolean;
}

/**
 * The bytes of an ONNX file (opset 17, batch 1) that computes what the graph does: raw heads as outputs, with heads,
 * stride, anchors and class names in the metadata, where `open` finds them again.
 * Throws UnsupportedError for layers without a form in ONNX (int8 ones among them), GraphError for a size that does not fit,
 * UsageError for one that is no multiple of the stride.
 */
export async function exportModel(
  model: { graph: Graph; manifest: Manifest },
  options: ExportOptions = {},
): Promise<Uint8Array> {
  expectKind("exportModel: model", model, "an opened model ({ graph, manifest })");
  expectKind("exportModel: options", options, "an object of options");
  const { graph, manifest } = model;
  const { exportOnnx } = await import("../formats/onnx/index.ts");
  const { input, heads, labels } = manifest;
  const { width, height } = bothSides(options.size) ?? input;
  if (width % input.stride || height % input.stride) {
    throw new UsageError(`size ${width}x${height}: expected multiples of the model's stride ${input.stride}`);
  }
  const facts = { heads, preprocessing: preprocessingIn(input), ...(labels.length > 0 && { labels }) };
  const inputShapes = { [input.blob]: [input.channels, height, width] };
  return exportOnnx(graph, facts, { inputShapes, ...(options.dynamic && { dynamic: true }) });
}

/** Options of `simplifyModel`. */
export interface SimplifyModelOptions {
  /** New shapes `[batch, channels, height, width]` of inputs by name; the name "" is the only input. */
  inputShapes?: Readonly<Record<string, readonly number[]>>;
  /** Outputs that nobody needs: they go, with all that only they need. */
  unusedOutputs?: readonly string[];
}

/** What `simplifyModel` gives. */
export interface SimplifiedModel {
  bytes: Uint8Array;
  /** Operators with their counts in the file and in the result, most frequent first. */
  operators: { operator: string; before: number; after: number }[];
  inputs: { name: string; shape: readonly Dim[] }[];
  outputs: { name: string; shape: readonly Dim[] }[];
}

/**
 * What `python -m onnxsim` does: shapes inferred, constants folded, nodes that do nothing or that nobody needs removed, open
 * axes kept unless a shape is given. Tensors in files of `folder` come into the result.
 * Throws FormatError, GraphError, UnsupportedError and InputError for what is in the file, UsageError for wrong options.
 */
export async function simplifyModel(
  file: NamedBytes,
  folder: Folder,
  options: SimplifyModelOptions = {},
): Promise<SimplifiedModel> {
  expectKind("simplifyModel: file", file, "an object");
  expectKind("simplifyModel: file.bytes", file.bytes, "bytes (a Uint8Array)");
  expectKind("simplifyModel: folder", folder, "an object");
  expectKind("simplifyModel: options", options, "an object of options");
  const { readOnnxModel, simplify, writeOnnx } = await import("../formats/onnx/index.ts");
  const model = await readWithExternalFiles(file, folder, (external) =>
    readOnnxModel(file.bytes, folder.describe(file.name), external),
  );
  const names = model.graph.inputs.map(({ name }) => name);
  const outputs = keptOutputs(
    model.graph.outputs.map(({ name }) => name),
    options.unusedOutputs,
  );
  const overwriteShapes = shapesByName(names, model.graph.inputs, options.inputShapes ?? {});
  const result = inContext(folder.describe(file.name), () =>
    simplify(model, { overwriteShapes, ...(outputs && { outputs }) }),
  );
  const operators = [...new Set([...result.before.keys(), ...result.after.keys()])].map((operator) => ({
    operator,
    before: result.before.get(operator) ?? 0,
    after: result.after.get(operator) ?? 0,
  }));
  const described = ({ name, shape }: { name: string; shape?: readonly Dim[] }) => ({
    name,
    shape: shape ?? [],
  });
  return {
    bytes: writeOnnx(result.model),
    operators,
    inputs: result.model.graph.inputs.map(described),
    outputs: result.model.graph.outputs.map(described),
  };
}

function shapesByName(
  names: readonly string[],
  inputs: readonly { name: string; shape?: readonly Dim[] }[],
  given: Readonly<Record<string, readonly number[]>>,
): Record<string, readonly number[]> {
  const shapes: Record<string, readonly number[]> = {};
  for (const [key, shape] of Object.entries(given)) {
    if (key === "" && names.length !== 1) {
      throw new UsageError(
        `the model has ${names.length} inputs (${brief(names.join(", "))}): give each shape with its name`,
      );
    }
    const name = key || names[0];
    const input = inputs.find((info) => info.name === name);
    if (!input)
      throw new UsageError(
        `there is no input "${name}"; the inputs are ${brief(names.join(", ")) || "none"}`,
      );
    if (input.shape && input.shape.length !== shape.length) {
      throw new UsageError(
        `input "${name}" has ${input.shape.length} axes, but the given shape ${shape.join(",")} has ${shape.length}`,
      );
    }
    shapes[name] = shape;
  }
  return shapes;
}

function keptOutputs(
  names: readonly string[],
  unused: readonly string[] | undefined,
): readonly string[] | undefined {
  if (!unused?.length) return undefined;
  const unknown = unused.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`there is no output "${unknown}"; the outputs are ${brief(names.join(", "))}`);
  }
  const kept = names.filter((name) => !unused.includes(name));
  if (!kept.length) throw new UsageError("all outputs are unused: nothing would be left");
  return kept;
}
