/**
 * ONNX in: `readOnnx` gives a `Graph` and what the file says about detection. `readOnnxModel`, `simplify` and
 * `writeOnnx` work on ONNX models themselves.
 */
import { GraphError, inContext, UnsupportedError, withContext } from "../../base/errors.ts";
import { withBlobs } from "../../heads/index.ts";
import type { Graph } from "../../ir/graph.ts";
import { checkResults, fixedBatch, withoutBatch } from "./batch.ts";
import type { ExternalData } from "./external.ts";
import { type OnnxFacts, readFacts } from "./facts.ts";
import { fusePatterns } from "./fuse.ts";
import { cutInputCode, type InputCode } from "./input.ts";
import { lowerNodes } from "./lower.ts";
import { type Dim, type OnnxModel, opsetOf } from "./model.ts";
import { readOnnxModel } from "./read.ts";
import { assignToConcat } from "./scatter.ts";
import { removeDead, simplify } from "./simplify.ts";

export { exportOnnx } from "./export.ts";
export type { ExternalData } from "./external.ts";
export type { OnnxFacts } from "./facts.ts";
export type { InputCode } from "./input.ts";
export { supportedOperators } from "./lower.ts";
export type { OnnxModel } from "./model.ts";
export { readOnnxModel } from "./read.ts";
export { simplify } from "./simplify.ts";
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
  /** Blobs that are outputs of the file. The graph may have more: parts of a Slice that nothing reads. */
  readonly outputs: readonly string[];
  /** Pre-processing that was in the graph and has been cut off. */
  readonly input?: InputCode;
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
  try {
    return importAny(model, options);
  } catch (error) {
    const isGuess = !options.inputSize && !metadataSize(model.metadata.imgsz) && hasOpenSize(model);
    if (!isGuess || !(error instanceof GraphError)) throw error;
    throw withContext(
      `taken for ${defaultSide}x${defaultSide} pixels, since the file leaves the size open (give the one that it was made for with --size)`,
      error,
    );
  }
}

const hasOpenSize = ({ graph }: OnnxModel): boolean =>
  graph.inputs.some(
    ({ shape }) => shape?.length === 4 && shape.slice(1).some((extent) => typeof extent === "string"),
  );

function importAny(model: OnnxModel, options: ReadOnnxOptions): OnnxImport {
  const batch = fixedBatch(model);
  if (batch === undefined) return importSingle(model, options);
  try {
    // Constants first: then 1 takes the batch's place only in what depends on the input.
    const { model: folded, shapes } = simplify(model, { overwriteShapes: inputShapes(model, options) });
    const single = withoutBatch(folded, batch);
    checkResults(single, shapes, batch);
    const found = importSingle(single, options);
    found.warnings.unshift(`the file is made for ${batch} pictures at once; here it takes one`);
    return found;
  } catch (error) {
    if (!(error instanceof GraphError || error instanceof UnsupportedError)) throw error;
    throw withContext(
      `taken for one picture instead of ${batch} (better export it with a batch of 1)`,
      error,
    );
  }
}

function importSingle(model: OnnxModel, options: ReadOnnxOptions): OnnxImport {
  const {
    model: simple,
    shapes: inferred,
    types: inferredTypes,
    before,
  } = simplify(model, { overwriteShapes: inputShapes(model, options) });
  const simplified = simple.graph.nodes.length;
  const shapes = new Map(inferred);
  const types = new Map(inferredTypes);
  const input = cutInputCode(simple, shapes, types);
  const facts = readFacts(simple, shapes, options.keepDecode);
  removeDead(simple.graph);
  assignToConcat(simple, shapes, types);
  removeDead(simple.graph);
  const patterns = fusePatterns(simple, shapes);
  const { graph, outputs, warnings } = lowerNodes(simple, shapes, types);
  return {
    ...facts,
    ...(facts.statedHeads && {
      statedHeads: facts.statedHeads.map((head) => withBlobs(head, (blob) => outputs.get(blob) ?? blob)),
    }),
    ...(input ? { input } : {}),
    graph,
    outputs: [...outputs.values()],
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
    // Channels last, as TensorFlow has them: [batch, height, width, 1 or 3].
    const isLast = [1, 3].includes(Number(shape[3])) && ![1, 3].includes(Number(shape[1]));
    const [heightAxis, widthAxis] = isLast ? [1, 2] : [2, 3];
    result[name] = shape.map((dim, axis) => {
      if (typeof dim === "number" && dim > 0) return dim;
      if (axis === 0) return 1;
      if (axis === heightAxis && shape.length === 4)
        return options.inputSize?.height ?? side?.height ?? defaultSide;
      if (axis === widthAxis && shape.length === 4)
        return options.inputSize?.width ?? side?.width ?? defaultSide;
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
