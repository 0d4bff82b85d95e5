/**
 * The calibrated model: the float model with weights that quantize better, in files beside the plain table, where quantizing finds it.
 */
import { expectKind } from "../base/arguments.ts";
import { printParam, readNcnn, writeWeights } from "../formats/ncnn/index.ts";
import { type CalibrationTable, parseTable, printedScales, printTable } from "../formats/table.ts";
import { type Preprocessing, preprocessingIn } from "../heads/input.ts";
import type { Manifest } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import { modelFiles } from "../open/convert.ts";
import { sha256 } from "../open/format.ts";
import { openModel } from "../open/formats.ts";
import { type Folder, requireFile } from "../open/source.ts";
import { quantize } from "../ops/int8.ts";
import { applyCorrections, type Corrections, quantizableLayers } from "../quantize/index.ts";
import type { ModelCalibration } from "./calibration.ts";

/** What is recorded of the model and the table that a calibrated one belongs to, in its manifest's provenance. */
interface CalibratedNote {
  /** SHA-256 of the float model's files. */
  model: string;
  method: string;
  images: number;
  /** Activation scales of the plain table by layer, as printed. */
  scales: Record<string, string>;
  /** As `model`, of the model without corrections. */
  uncorrected?: string;
}

/** The model before its weights were corrected: what layers that stay float have. */
const uncorrected = (name: string): string => `${name}-float`;

/**
 * The files of the equalized and corrected float model `name`, with its own table `NAME.table`: any quantizer that rounds to nearest
 * makes the best int8 model of it. `NAME-float.param` and `.bin` are the same without corrections. None where calibration left the weights as they were, so that the plain table tells the whole.
 */
export async function calibratedFiles(
  result: ModelCalibration,
  original: { graph: Graph; manifest: Manifest },
  name: string,
): Promise<Record<string, Uint8Array | string>> {
  expectKind("calibratedFiles: result", result, "an object");
  expectKind("calibratedFiles: result.graph", result.graph, "a graph");
  expectKind("calibratedFiles: original", original, "an opened model ({ graph, manifest })");
  expectKind("calibratedFiles: name", name, "a string");
  if (result.graph === original.graph && result.corrections.size === 0) return {};
  const graph = applyCorrections(result.graph, result.table, result.corrections);
  const note: CalibratedNote = {
    model: await graphDigest(original.graph),
    method: result.method,
    images: result.images,
    scales: printedScales(parseTable(result.plainTable)),
    ...(result.corrections.size && { uncorrected: await graphDigest(result.graph) }),
  };
  const { provenance } = original.manifest;
  const manifest: Manifest = {
    ...original.manifest,
    name,
    param: `${name}.param`,
    bin: `${name}.bin`,
    provenance: { ...provenance, passes: [...provenance.passes, "calibrate"], calibration: note },
  };
  return {
    ...modelFiles(graph, manifest),
    [`${name}.table`]: printTable(result.table),
    ...(result.corrections.size && {
      [`${uncorrected(name)}.param`]: printParam(result.graph),
      [`${uncorrected(name)}.bin`]: writeWeights(result.graph),
    }),
  };
}

/** A calibrated model, in place of the float model and table that it belongs to. */
export interface CalibratedModel {
  graph: Graph;
  table: CalibrationTable;
  /** Integer weights and biases of `graph`, which is the model without them; missing where only the corrected model is there. */
  corrections?: Corrections;
  method: string;
  /** Pictures that it was calibrated on. */
  images: number;
  /** How they were prepared. */
  preprocessing: Preprocessing;
}

/**
 * The calibrated model `name` in a folder, if it is there and belongs to the float graph and its plain table. Layers that were taken
 * out of the plain table are missing from its own too, and so stay float. Throws as `open` and `parseTable`.
 */
export async function openCalibrated(
  folder: Folder,
  name: string,
  float: { graph: Graph; table: CalibrationTable },
  onWarning: (message: string) => void = () => {},
): Promise<CalibratedModel | undefined> {
  expectKind("openCalibrated: folder", folder, "a folder ({ read, describe })");
  expectKind("openCalibrated: name", name, "a string");
  expectKind("openCalibrated: float", float, "an object");
  expectKind("openCalibrated: float.graph", float.graph, "a graph");
  expectKind("openCalibrated: float.table", float.table, "a calibration table");
  if (!(await folder.read(`${name}.json`))) return undefined;
  const { graph, manifest } = await openModel(folder, `${name}.json`, {});
  const note = manifest.provenance.calibration as CalibratedNote | undefined;
  const scales = printedScales(float.table);
  const isOfModel = note?.model === (await graphDigest(float.graph));
  const isOfTable = Object.entries(scales).every(([layer, scale]) => note?.scales[layer] === scale);
  if (!note || !isOfModel || !isOfTable) {
    const problem = isOfModel ? "does not fit the scales in the table" : "is of another model";
    onWarning(`${folder.describe(`${name}.json`)} ${problem}: only the table is used`);
    return undefined;
  }
  const file = `${name}.table`;
  const where = folder.describe(file);
  const text = new TextDecoder().decode(await requireFile(folder, file, "the table of the calibrated model"));
  const whole = parseTable(text, where, (message) => onWarning(`${where}: ${message}`));
  const known = <T>(layers: Map<string, T>): Map<string, T> =>
    new Map([...layers].filter(([layer]) => layer in scales));
  const table = { weights: known(whole.weights), activations: known(whole.activations) };
  const preprocessing = preprocessingIn(manifest.input);
  const before = await openUncorrected(folder, name, note.uncorrected);
  return {
    ...(before ? { graph: before, corrections: correctionsOf(graph, whole) } : { graph }),
    ...{ table, method: note.method, images: note.images, preprocessing },
  };
}

async function openUncorrected(folder: Folder, name: string, digest?: string): Promise<Graph | undefined> {
  if (digest === undefined) return undefined;
  const [param, bin] = [
    await folder.read(`${uncorrected(name)}.param`),
    await folder.read(`${uncorrected(name)}.bin`),
  ];
  if (!param || !bin) return undefined;
  const [paramName, binName] = ["param", "bin"].map((each) =>
    folder.describe(`${uncorrected(name)}.${each}`),
  );
  const graph = readNcnn(param, bin, paramName, binName);
  // One of another calibration may have been left there.
  return (await graphDigest(graph)) === digest ? graph : undefined;
}

/** The integers that the weights of a corrected model stand for. */
function correctionsOf(graph: Graph, { weights: scales }: CalibrationTable): Corrections {
  const corrections: Corrections = new Map();
  for (const { name, weights, weightsPerScale, bias } of quantizableLayers(graph)) {
    const ofLayer = scales.get(name);
    // A layer without bias has no corrections: they give it one.
    if (!ofLayer || !bias) continue;
    const rounded = Int8Array.from(weights, (w, i) => quantize(w, ofLayer[Math.floor(i / weightsPerScale)]));
    corrections.set(name, { weights: rounded, bias });
  }
  return corrections;
}

/** SHA-256 of the `.param` and `.bin` that the graph would be written to. */
export async function graphDigest(graph: Graph): Promise<string> {
  const param = new TextEncoder().encode(printParam(graph));
  const bin = writeWeights(graph);
  const all = new Uint8Array(param.length + bin.length);
  all.set(param);
  all.set(bin, param.length);
  return (await sha256(all)) ?? "";
}
