/** Heads of small ONNX models. */
import { importOnnx, type OnnxImport, type OnnxModel } from "../../src/formats/onnx/index.ts";
import type { Head } from "../../src/heads/index.ts";
import { yolov5 } from "../../src/heads/yolov5.ts";
import { runnableSizes } from "../../src/open/assume.ts";
import type { KnownFacts } from "../../src/open/facts.ts";
import { areHeads, recognise } from "../../src/open/recognise.ts";
import { viewHeads } from "../../src/open/view.ts";

export interface Found extends Omit<OnnxImport, "labels"> {
  heads?: Head[];
  classes?: number;
  isCut?: boolean;
  notes: readonly string[];
}

/** Heads of an import, whose graph is cut to them. */
export function headsOf(imported: OnnxImport, facts: KnownFacts & { keepDecode?: boolean } = {}): Found {
  const found = recognise(imported.graph, {
    ...{
      size: imported.inputSize,
      statedAnchors: imported.statedAnchors,
      outputs: imported.outputs,
      ...facts,
    },
  });
  return areHeads(found) ? { ...imported, ...found } : { ...imported, notes: [] };
}

export const foundIn = (model: OnnxModel, facts: KnownFacts = {}): Found => headsOf(importOnnx(model), facts);

/** What YOLOv5's kind says of a model by itself: other kinds may take it. */
export function yolov5Near(model: OnnxModel): string | undefined {
  const { graph, inputSize, outputs } = importOnnx(model);
  const [size] = runnableSizes(graph, inputSize);
  const view = viewHeads(graph, size, size.shapes, outputs);
  const found = view && yolov5.recognise(view, {});
  return found && "near" in found ? found.near : undefined;
}
