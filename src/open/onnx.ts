/** ONNX exports. */
import { GraphError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { type InputCode, type OnnxImport, type OnnxReport, readOnnx } from "../formats/onnx/index.ts";
import { families } from "../heads/families.ts";
import { strideOf } from "../heads/index.ts";
import { makeSizesDynamic } from "../passes/index.ts";
import { assumeManifest } from "./assume.ts";
import { completeHeads } from "./complete.ts";
import { readWithExternalFiles } from "./external.ts";
import { bothSides } from "./facts.ts";
import { type Opener, sha256 } from "./format.ts";
import { type RecognisedHeads, recognise } from "./recognise.ts";
import { splitName } from "./source.ts";

export const openOnnx: Opener = async (file, folder, options) => {
  const where = folder.describe(file.name);
  const found: OnnxImport = await readWithExternalFiles(file, folder, (external) =>
    readOnnx(file.bytes, where, {
      external,
      inputSize: bothSides(options.size),
      ...(options.keepDecode && { keepDecode: true }),
    }),
  );
  const { graph, heads, notes, warnings, input, decodeRemoved, report } = found;
  const stated = { labels: options.labels ?? labelsOf(found, where), size: options.size ?? found.inputSize };
  const facts = { ...options, ...stated, isEndToEnd: found.isEndToEnd };
  const recognised = heads ? undefined : (written(found) ?? recognise(graph, facts));
  const isFound = recognised && "heads" in recognised;
  const near = recognised && "near" in recognised && !found.isOther ? [`nearest: ${recognised.near}`] : [];
  const side = isFound && !options.size ? usualSide(recognised, found.inputSize) : undefined;
  if (side) stated.size = side;
  const bound: string[] = [];
  const dynamic = options.keepSizes ? 0 : makeSizesDynamic().run(graph, (message) => bound.push(message));
  const anchors = heads?.every((head) => head.anchors) ? heads.map((head) => head.anchors ?? []) : undefined;
  const known = {
    anchors: options.anchors ?? anchors,
    ...stated,
    family: options.family,
    // A family that is told goes before what the file says.
    preprocessing: { ...(!options.family && found.preprocessing), ...options.preprocessing },
    ...(isFound && {
      recognised,
      isFamilyStated: found.isUltralytics && recognised.family === "ultralytics",
    }),
    ...(input?.levels && { levels: input.levels }),
  };
  const ends = isFound ? [...recognised.notes] : completeHeads(graph, known);
  if (side) {
    const { width, height } = found.inputSize!;
    ends.push(
      `the file is made for pictures of ${width}x${height}, too small to find much: the size is ${side}x${side}; give another with --size`,
    );
  }
  const { manifest, assumptions } = assumeManifest(graph, splitName(file.name).stem, known);
  manifest.provenance.source = file.name;
  manifest.provenance.sha256 = await sha256(file.bytes);
  const doubts = [
    ...warnings,
    ...report.warnings,
    ...(found.namesProblem && !options.labels ? [`${found.namesProblem}; give them with --labels`] : []),
    ...(heads || (isFound && !options.keepDecode) || ends.length ? [] : [...notes, ...near]),
    ...ends,
    ...(input?.isReversed
      ? [
          'the graph swaps the first and the last channel: it is taken for one that is fed BGR and gives the network RGB, which the network now gets directly; if it was made to be fed RGB, set "pixel" to "BGR" in the manifest',
        ]
      : []),
    ...assumptions,
  ];
  const details = [
    ...describeImport(report, Boolean(decodeRemoved || (isFound && recognised.isCut))),
    ...(input ? [describeInput(input)] : []),
    ...(dynamic ? [`${dynamic} sizes of layers follow the input size`] : []),
    ...bound,
  ];
  const whyNoHeads = manifest.heads.length || heads ? undefined : [...notes, ...near].join("; ");
  return {
    graph,
    manifest,
    assumptions: doubts,
    ...(whyNoHeads ? { whyNoHeads } : { toldBy: toldBy(found, recognised) }),
    details,
    raw: true,
    hasWeights: true,
  };
};

function toldBy(
  { isStated, decodeRemoved }: OnnxImport,
  recognised: ReturnType<typeof recognise> | undefined,
): string | undefined {
  if (recognised) return "toldBy" in recognised ? recognised.toldBy : undefined;
  if (isStated) return statedInFile;
  return decodeRemoved ? "YOLOv5's formula, which the graph computes" : "logits in the layout of YOLOv5";
}

const statedInFile = "the metadata of the file";

/** Sides below this are what an exporter happened to be fed, where the graph takes any. */
const leastSide = 64;

/** The family's size for a file that is made for a tiny one, which it does not depend on. */
function usualSide(
  { family, isSizeFree }: RecognisedHeads,
  size: OnnxImport["inputSize"],
): number | undefined {
  const isTiny = size !== undefined && Math.max(size.width, size.height) < leastSide;
  return family && isSizeFree && isTiny ? families[family].side : undefined;
}

/** Heads that `exportModel` wrote down. */
function written({ statedHeads, labels, inputSize }: OnnxImport): RecognisedHeads | undefined {
  if (!statedHeads || !labels || !inputSize) return undefined;
  const stride = Math.max(...statedHeads.map(strideOf));
  const size = { ...inputSize, stride, isSizeFree: false };
  return {
    ...{ heads: statedHeads, classes: labels.length, notes: [], toldBy: statedInFile },
    ...{ ...size, isCut: false },
  };
}

/** The names in the file. Throws GraphError when there are more or fewer than classes. */
function labelsOf({ labels, classCount }: OnnxImport, where: string): string[] | undefined {
  if (labels && classCount !== undefined && labels.length !== classCount) {
    const list = labels.slice(0, 10).map(quote).join(", ");
    throw new GraphError(
      `${where}: its metadata names ${labels.length} classes (${list}${labels.length > 10 ? ", …" : ""}), its heads have ${classCount}; give the right names with --labels`,
    );
  }
  return labels;
}

function describeInput({ levels, isChannelsLast }: InputCode): string {
  const values =
    levels && `(level − ${levels.mean.join(" ")}) · ${levels.norm.map((v) => v.toPrecision(6)).join(" ")}`;
  const parts = [
    ...(values ? [`values are ${values}`] : []),
    ...(isChannelsLast ? ["channels were the last axis"] : []),
  ];
  return `pre-processing is cut off the graph${parts.length ? `: ${parts.join(", ")}` : ""}`;
}

function describeImport(report: OnnxReport, decodeRemoved: boolean): string[] {
  const { opset, producer, operators, simplified, layers, patterns } = report;
  const fused = [...patterns].map(([name, count]) => `${name} ${count}`);
  return [
    `opset ${opset}, written by ${producer || "an unknown tool"}: ${operators} operators, ${simplified} after simplification, ${layers} layers`,
    ...(fused.length ? [`patterns of operators that are one layer: ${fused.join(", ")}`] : []),
    ...(decodeRemoved ? ["the decoding of boxes is cut off: outputs are the raw heads"] : []),
  ];
}
