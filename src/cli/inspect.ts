/** `ncnnkit inspect`: what is in a model. */
import { type CompiledFacts, type GraphSummary, type OpenedModel, type Shape, summarize } from "../node.ts";
import { describeHead, describeResize, formatShape, taskOf } from "../steps.ts";
import { command, flag } from "./command.ts";
import { modelOptions, openNamed } from "./names.ts";
import { jsonOption } from "./options.ts";
import { printJson, table, warn } from "./terminal.ts";

export const inspect = command({
  name: "inspect",
  about: "show what is in a model: layers, parameters, work, inputs, outputs, heads, storage",
  arguments: [
    [
      "<file>",
      "a checkpoint (.pt), .param, manifest (.json), a folder with one of them, or a name of pull --list",
    ],
  ],
  options: {
    ...modelOptions,
    graph: flag("--graph", "list the layers with their shapes"),
    ...jsonOption,
  },
  notes: `
Examples:
  ncnnkit inspect yolov5ss.pt
  ncnnkit inspect yolov5ss.param --size 320 --graph`,
  async run([file], options, terminal) {
    const opened = await openNamed(file, options, terminal, {
      ...{ weightsOptional: true, runOnly: true },
    });
    if (opened.compiled) {
      const { facts } = opened.compiled;
      if (options.json) printJson(terminal, { file, format: opened.format, compiled: facts });
      else terminal.out(describeCompiled(file, opened, facts));
      return;
    }
    const { input } = opened.manifest;
    const { width, height } = options.size ?? input;
    const summary = summarize(opened.graph, { [input.blob]: [input.channels, height, width] });
    if (options.json) {
      printJson(terminal, toJson(file, opened, summary, options.graph));
      return;
    }
    if (!opened.hasWeights) warn(terminal, `${opened.manifest.bin} is not there: weights are not shown`);
    terminal.out(describe(file, opened, summary, { width, height }));
    if (options.graph) terminal.out(`\n${layerTable(summary)}`);
  },
});

function toJson(
  file: string,
  { format, manifest, assumptions, hasWeights, toldBy, whyNoHeads }: OpenedModel,
  { layers, ...summary }: GraphSummary,
  withLayers: boolean | undefined,
): unknown {
  return {
    file,
    format,
    hasWeights,
    ...(manifest.heads.length > 0 && { task: taskOf(manifest.heads) }),
    ...summary,
    manifest,
    toldBy,
    whyNoHeads,
    assumptions,
    ...(withLayers && { layers }),
  };
}

function describe(
  file: string,
  { format, manifest, assumptions, graph, hasWeights, toldBy, whyNoHeads }: OpenedModel,
  summary: GraphSummary,
  size: { width: number; height: number },
): string {
  const { input, heads, labels, provenance, quantization } = manifest;
  const rows: [string, string][] = [
    ["file", `${file} (${format})`],
    ...(heads.length ? [["task", taskOf(heads)] as [string, string]] : []),
    ["input", `${blobText(summary.inputs[0])}, ${preprocessing(input)}`],
    ...summary.inputs.slice(1).map((extra): [string, string] => ["", blobText(extra)]),
    ...summary.outputs.map((output, i): [string, string] => [i ? "" : "outputs", blobText(output)]),
    ...heads.map((head, i): [string, string] => [i ? "" : "heads", describeHead(head)]),
  ];
  if (!heads.length) rows.push(["heads", `none: ${whyNoHeads ?? "its manifest has none"}`]);
  else if (toldBy) rows.push(["told by", toldBy]);
  if (labels.length) rows.push(["classes", `${labels.length}: ${shorten(labels.join(", "), 80)}`]);
  const types = Object.entries(summary.layersByType).map(([type, count]) => `${type} ${count}`);
  rows.push(["layers", `${graph.nodes.length}: ${types.join(", ")}`]);
  rows.push(["parameters", `${short(summary.parameters)}${hasWeights ? `; ${storageText(summary)}` : ""}`]);
  if (summary.macs !== undefined) {
    rows.push(["work", `${short(summary.macs)} multiply-accumulates at ${size.width}x${size.height}`]);
  }
  if (quantization) rows.push(["int8", `${quantization.method}, ${quantization.images} images`]);
  if (provenance.source)
    rows.push(["made from", `${provenance.source}, sha256 ${provenance.sha256 ?? "unknown"}`]);
  if (provenance.passes.length) rows.push(["passes", provenance.passes.join(", ")]);
  if (summary.problem)
    rows.push(["problem", `does not run at ${size.width}x${size.height}: ${summary.problem}`]);
  // Why there are no heads stands there already.
  for (const text of assumptions.filter((each) => !whyNoHeads?.includes(each.replace(/^no boxes: /, ""))))
    rows.push(["assumed", text]);
  return table(rows);
}

function describeCompiled(
  file: string,
  { format, manifest }: OpenedModel,
  { mode, threads, sizes, task, decode, whyNoDecode, pictures, kit, source }: CompiledFacts,
): string {
  const { input, heads, labels, provenance } = manifest;
  const sizeList = sizes.map(({ width, height }) => `${width}x${height}`).join(", ");
  const rows: [string, string][] = [
    ["file", `${file} (${format} ${kit})`],
    ["task", task],
    ["machines", `${mode}${threads > 1 ? `, up to ${threads} threads` : ""}`],
    ["input", `${sizeList}; ${pictures ? "pictures" : "tensors"}, ${preprocessing(input)}`],
    ...sizes[0].outputs.map((output, i): [string, string] => [i ? "" : "outputs", blobText(output)]),
    ...heads.map((head, i): [string, string] => [i ? "" : "heads", describeHead(head)]),
    ["boxes", decode ? "decoded in the file" : `not decoded in the file: ${whyNoDecode}`],
  ];
  if (labels.length) rows.push(["classes", `${labels.length}: ${shorten(labels.join(", "), 80)}`]);
  rows.push(["made from", `param sha256 ${source.param}`], ["", `bin sha256 ${source.bin}`]);
  if (provenance.source) rows.push(["", provenance.source]);
  return table(rows);
}

function blobText({ blob, shape }: { blob: string; shape?: Shape }): string {
  return shape ? `${blob} ${formatShape(shape)}` : blob;
}

function preprocessing(input: OpenedModel["manifest"]["input"]): string {
  const list = (values: readonly number[]): string =>
    new Set(values).size === 1 ? number(values[0]) : `[${values.map(number).join(", ")}]`;
  return `${input.pixel}, (level - ${list(input.mean)}) * ${list(input.norm)}, ${describeResize(input)}`;
}

const number = (value: number): string => String(Number(value.toPrecision(6)));

function storageText({ storage, weightBytes }: GraphSummary): string {
  const names = { f32: "float32", f16: "float16", i8: "int8", codebook: "256-entry codebook" };
  const parts = (Object.keys(names) as (keyof typeof names)[])
    .filter((kind) => storage[kind])
    .map((kind) => `${short(storage[kind] ?? 0)} ${names[kind]}`);
  return `${parts.join(", ")}; ${(weightBytes / 2 ** 20).toFixed(2)} MiB`;
}

function layerTable({ layers }: GraphSummary): string {
  const rows = layers.map((layer) => [
    layer.type,
    layer.name,
    layer.inputs.join(","),
    layer.outputs.map(blobText).join(" "),
    layer.macs ? short(layer.macs) : "",
    Object.entries(layer.params)
      .map(([name, value]) => `${name}=${Array.isArray(value) ? value.join(",") : value}`)
      .join(" "),
  ]);
  return table([["type", "name", "inputs", "outputs", "MACs", "parameters"], ...rows]);
}

/** `1.64 M`: three digits and a decimal prefix. */
function short(value: number): string {
  const [prefix, unit] =
    value >= 1e9 ? [" G", 1e9] : value >= 1e6 ? [" M", 1e6] : value >= 1e3 ? [" k", 1e3] : ["", 1];
  return `${Number((value / unit).toPrecision(3))}${prefix}`;
}

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
