/** From a float model and a table to the int8 model with its record in the manifest. */
import { expectKind } from "../base/arguments.ts";
import type { CalibrationTable } from "../formats/table.ts";
import type { Manifest, QuantizationRecord } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import { withoutVectorConvolutions } from "../passes/index.ts";
import { type QuantizeOptions, quantize } from "../quantize/index.ts";

/**
 * The int8 model named `name`. With an equalized `graph` and `corrections` from `calibrate`, the manifest is that of the
 * float model all the same. Throws as `quantize`.
 */
export function quantizeModel(
  model: { graph: Graph; manifest: Manifest },
  table: CalibrationTable,
  options: QuantizeOptions & { name: string },
): { graph: Graph; manifest: Manifest & { quantization: QuantizationRecord } } {
  expectKind("quantizeModel: model", model, "an opened model ({ graph, manifest })");
  expectKind("quantizeModel: table", table, "a calibration table");
  expectKind("quantizeModel: options", options, "an object");
  expectKind("quantizeModel: options.name", options.name, "a string");
  const { graph, manifest } = model;
  const { graph: int8, record } = quantize(withoutVectorConvolutions(graph), table, options);
  const { provenance } = manifest;
  return {
    graph: int8,
    manifest: {
      ...manifest,
      name: options.name,
      param: `${options.name}.param`,
      bin: `${options.name}.bin`,
      provenance: { ...provenance, passes: [...provenance.passes, "quantize"] },
      quantization: record,
    },
  };
}
