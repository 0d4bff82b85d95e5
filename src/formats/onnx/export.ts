/** ncnn graph to ONNX opset 17: what YOLOv5's `models/export.py` is for, with heads and labels in the metadata. */
import { UnsupportedError } from "../../base/errors.ts";
import { type Head, strideOf } from "../../heads/index.ts";
import type { Preprocessing } from "../../heads/input.ts";
import { type Graph, inferShapes } from "../../ir/graph.ts";
import type { Shape } from "../../ir/tensor.ts";
import { ops } from "../../ops/index.ts";
import { Exporter } from "./export/context.ts";
import { exportRules } from "./export/rules.ts";
import type { Dim, OnnxModel, OnnxValueInfo } from "./model.ts";
import { simplify } from "./simplify.ts";
import { writeOnnx } from "./write.ts";

export interface ExportOnnxOptions {
  /** Input shapes without batch; default: the extents of the Input nodes. */
  readonly inputShapes?: Readonly<Record<string, Shape>>;
  /** Leave height and width open (`height`, `width`). */
  readonly dynamic?: boolean;
}
export interface ExportOnnxFacts {
  readonly heads?: readonly Head[];
  readonly labels?: readonly string[];
  readonly preprocessing?: Preprocessing;
}

/** Opset of exported files: the oldest with everything that is needed (LayerNormalization). */
export const exportOpset = 17;

/**
 * Serializes a float graph; batch 1. Throws UnsupportedError for layers without a form in ONNX (int8 ones, among others)
 * and GraphError where shapes do not fit. Blob names stay the names of values.
 */
export function exportOnnx(
  graph: Graph,
  facts: ExportOnnxFacts = {},
  options: ExportOnnxOptions = {},
): Uint8Array {
  return writeOnnx(toOnnxModel(graph, facts, options));
}

export function toOnnxModel(
  graph: Graph,
  facts: ExportOnnxFacts = {},
  options: ExportOnnxOptions = {},
): OnnxModel {
  const shapes = inferShapes(graph, ops, options.inputShapes ?? {});
  const exporter = new Exporter(shapes, options.dynamic ?? false);
  for (const node of graph.nodes) {
    if (node.type === "Input") continue;
    exporter.begin(node);
    const rule = Object.hasOwn(exportRules, node.type) ? exportRules[node.type] : undefined;
    if (!rule) {
      throw new UnsupportedError(
        `layer ${node.type} "${node.name}" cannot be exported to ONNX; those that can are ${Object.keys(exportRules).sort().join(", ")}`,
      );
    }
    rule(exporter);
  }
  const describe = (blob: string, isOpen: boolean): OnnxValueInfo => {
    const shape = shapes.get(blob) ?? [];
    const dims: Dim[] = [1, ...shape];
    if (isOpen && shape.length === 3) dims.splice(2, 2, "height", "width");
    return { name: blob, type: "float32", shape: dims };
  };
  const model: OnnxModel = {
    irVersion: 8,
    producer: "ncnnkit",
    opsets: { "": exportOpset },
    metadata: metadataOf(graph, shapes, facts),
    graph: {
      name: "ncnnkit",
      nodes: exporter.nodes,
      initializers: exporter.constants,
      inputs: graph.inputs.map((blob) => describe(blob, options.dynamic ?? false)),
      // With open sizes the extents of outputs follow from inference.
      outputs: graph.outputs.map((blob) =>
        options.dynamic ? { name: blob, type: "float32" } : describe(blob, false),
      ),
      valueInfo: [],
    },
  };
  return simplify(model).model;
}

/** Keys as Ultralytics writes them, and `heads` and `preprocessing`, which `readOnnx` reads back. */
function metadataOf(
  graph: Graph,
  shapes: ReadonlyMap<string, Shape>,
  { heads, labels, preprocessing }: ExportOnnxFacts,
): Record<string, string> {
  const metadata: Record<string, string> = {};
  const [, height, width] = shapes.get(graph.inputs[0] ?? "") ?? [];
  if (height && width) metadata.imgsz = `[${height}, ${width}]`;
  if (labels) {
    metadata.names = `{${labels.map((name, i) => `${i}: '${name.replace(/[\\']/g, "\\$&")}'`).join(", ")}}`;
  }
  if (preprocessing) metadata.preprocessing = JSON.stringify(preprocessing);
  if (heads?.length) {
    metadata.task = "detect";
    metadata.stride = String(Math.max(...heads.map(strideOf)));
    metadata.heads = JSON.stringify(heads);
    const anchors = heads.flatMap((head) => ("anchors" in head ? [head.anchors] : []));
    if (anchors.length) metadata.anchors = JSON.stringify(anchors);
  }
  return metadata;
}
