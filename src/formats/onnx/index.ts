/**
 * ONNX in: `readOnnx` gives a `Graph` and what the file says about detection. `readOnnxModel`, `simplify` and
 * `writeOnnx` work on ONNX models themselves.
 */
import { inContext, UnsupportedError } from "../../base/errors.ts";
import type { Graph } from "../../ir/graph.ts";
import type { ExternalData } from "./external.ts";
import { fusePatterns } from "./fuse.ts";
import { type OnnxFacts, type OnnxHead, recognizeHeads } from "./heads.ts";
import { lowerNodes } from "./lower.ts";
import { type Dim, type OnnxModel, opsetOf } from "./model.ts";
import { readOnnxModel } from "./read.ts";
import { removeDead, simplify } from "./simplify.ts";

export { type ExportOnnxFacts, type ExportOnnxOptions, exportOnnx } from "./export.ts";
export type { ExternalData } from "./external.ts";
export type { OnnxFacts, OnnxHead } from "./heads.ts";
export { supportedOperators } from "./lower.ts";
export type { OnnxModel } from "./model.ts";
export { readOnnxModel } from "./read.ts";
export { type Simplified, type SimplifyOptions, simplify } from "./simplify.ts";
export { writeOnnx } from "./write.ts";

export interface ReadOnnxOptions {
  /** Files that the model keeps tensors in. */
  readonly external?: ExternalData;
  /** Width and height in pixels for inputs whose size the file leaves open; default: its metadata, else 640. */
  readonly inputSize?: { readonly width: number; readonly height: number };
  /** Keep decoding code that is in the graph. */
  readonly keepDecode?: boolean;
}

export interface OnnxReport {
  readonly opset: number;
  readonly producer: string;
  /** Operators in the file, after simplification, and layers of the graph. */
  readonly operators: number;
  readonly simplified: number;
  readonly layers: number;
  /** How often each pattern of several operators became one layer. */
  readonly patterns: ReadonlyMap<string, number>;
  /** Where the result depends on what runs it. */
  readonly warnings: readonly string[];
}

export interface OnnxImport extends OnnxFacts {
  readonly graph: Graph;
  readonly report: OnnxReport;
}

/** Default side of the input where nothing tells it: what YOLOv5 is trained at. */
const defaultSide = 640;

/**
 * Converts ONNX bytes to an ncnn graph of plain layers, with sizes in Reshape layers as they are in the file (the pass
 * `dynamic-sizes` makes them follow the input). `fileName` names the file in errors.
 * Throws FormatError (damaged bytes), GraphError (contradictions), UnsupportedError (no form in ncnn), InputError
 * (external data).
 */
export function readOnnx(bytes: Uint8Array, fileName: string, options: ReadOnnxOptions = {}): OnnxImport {
  const model = readOnnxModel(bytes, fileName, options.external);
  return inContext(fileName, () => importOnnx(model, options));
}

/** `readOnnx` for a model that has been read already. */
export function importOnnx(model: OnnxModel, options: ReadOnnxOptions = {}): OnnxImport {
  const {
    model: simple,
    shapes: inferred,
    types,
    before,
  } = simplify(model, { overwriteShapes: inputShapes(model, options) });
  const simplified = simple.graph.nodes.length;
  const shapes = new Map(inferred);
  const facts: OnnxFacts = recognizeHeads(simple, shapes, options.keepDecode);
  removeDead(simple.graph);
  const patterns = fusePatterns(simple, shapes);
  const { graph, outputs, warnings } = lowerNodes(simple, shapes, types);
  const heads = facts.heads?.map(
    (head): OnnxHead => ({ ...head, blob: outputs.get(head.blob) ?? head.blob }),
  );
  return {
    ...facts,
    ...(heads ? { heads } : {}),
    graph,
    report: {
      opset: opsetOf(model),
      producer: model.producer,
      operators: [...before.values()].reduce((a, b) => a + b, 0),
      simplified,
      layers: graph.nodes.length,
      patterns,
      warnings,
    },
  };
}

/** Concrete shapes for all inputs: batch 1, height and width as asked. */
function inputShapes(model: OnnxModel, options: ReadOnnxOptions): Record<string, Dim[]> {
  const result: Record<string, Dim[]> = {};
  for (const { name, shape } of model.graph.inputs) {
    if (!shape) {
      throw new UnsupportedError(`input "${name}" has no shape; simplify the model with one first`);
    }
    const side = metadataSize(model.metadata.imgsz);
    result[name] = shape.map((dim, axis) => {
      if (typeof dim === "number" && dim > 0) return dim;
      if (axis === 0) return 1;
      if (axis === 2 && shape.length === 4) return options.inputSize?.height ?? side?.height ?? defaultSide;
      if (axis === 3 && shape.length === 4) return options.inputSize?.width ?? side?.width ?? defaultSide;
      throw new UnsupportedError(
        `input "${name}" has the shape [${shape.join(", ")}]; only batch, height and width may be open`,
      );
    });
  }
  return result;
}

/** `[640, 640]`: height and width, as Ultralytics writes it. */
function metadataSize(text: string | undefined): { width: number; height: number } | undefined {
  const match = /^\[(\d{1,5}),\s*(\d{1,5})\]$/.exec(text ?? "");
  return match ? { height: Number(match[1]), width: Number(match[2]) } : undefined;
}
