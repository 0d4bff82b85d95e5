/** ONNX exports. */
import { type OnnxImport, type OnnxReport, readOnnx } from "../formats/onnx/index.ts";
import { makeSizesDynamic } from "../passes/index.ts";
import { assumeManifest, bothSides } from "./assume.ts";
import { completeHeads } from "./complete.ts";
import { readWithExternalFiles } from "./external.ts";
import { type Opener, sha256 } from "./format.ts";
import { splitName } from "./source.ts";

export const openOnnx: Opener = async (file, folder, options) => {
  const { graph, heads, labels, inputSize, notes, decodeRemoved, report }: OnnxImport =
    await readWithExternalFiles(file, folder, (external) =>
      readOnnx(file.bytes, folder.describe(file.name), {
        external,
        inputSize: bothSides(options.size),
        ...(options.keepDecode && { keepDecode: true }),
      }),
    );
  const bound: string[] = [];
  const dynamic = options.keepSizes ? 0 : makeSizesDynamic().run(graph, (message) => bound.push(message));
  const found = heads?.every((head) => head.anchors) ? heads.map((head) => head.anchors ?? []) : undefined;
  const known = {
    anchors: options.anchors ?? found,
    labels: options.labels ?? labels,
    size: options.size ?? inputSize,
  };
  const ends = completeHeads(graph, known);
  const { manifest, assumptions } = assumeManifest(graph, splitName(file.name).stem, known);
  manifest.provenance.source = file.name;
  manifest.provenance.sha256 = await sha256(file.bytes);
  const doubts = [...report.warnings, ...(heads ? [] : notes), ...ends, ...assumptions];
  const details = [
    ...describeImport(report, decodeRemoved ?? false),
    ...(dynamic ? [`${dynamic} sizes of layers follow the input size`] : []),
    ...bound,
  ];
  return { graph, manifest, assumptions: doubts, details, raw: true, hasWeights: true };
};

function describeImport(report: OnnxReport, decodeRemoved: boolean): string[] {
  const { opset, producer, operators, simplified, layers, patterns } = report;
  const fused = [...patterns].map(([name, count]) => `${name} ${count}`);
  return [
    `opset ${opset}, written by ${producer || "an unknown tool"}: ${operators} operators, ${simplified} after simplification, ${layers} layers`,
    ...(fused.length ? [`patterns of operators that are one layer: ${fused.join(", ")}`] : []),
    ...(decodeRemoved ? ["the decoding of boxes is cut off: outputs are the raw heads"] : []),
  ];
}
