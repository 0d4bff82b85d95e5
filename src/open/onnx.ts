/** ONNX exports. */
import { GraphError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { type InputCode, type OnnxImport, type OnnxReport, readOnnx } from "../formats/onnx/index.ts";
import { families } from "../heads/families.ts";
import { type Head, isTask, strideOf } from "../heads/index.ts";
import { makeSizesDynamic } from "../passes/index.ts";
import { assumeManifest } from "./assume.ts";
import { readWithExternalFiles } from "./external.ts";
import { bothSides } from "./facts.ts";
import { type Opener, sha256 } from "./format.ts";
import { areHeads, type NearHeads, type RecognisedHeads, recognise } from "./recognise.ts";
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
  const { graph, input, report } = found;
  const known = {
    ...{ anchors: options.anchors, labels: options.labels ?? found.labels },
    ...{ size: options.size ?? found.inputSize, family: options.family },
  };
  const { isEndToEnd, statedAnchors, outputs, task } = found;
  const facts = { ...known, isEndToEnd, statedAnchors, outputs, task, keepDecode: options.keepDecode };
  const nearest = written(found, facts) ?? recognise(graph, facts);
  const recognised = areHeads(nearest) ? nearest : undefined;
  if (recognised && !options.labels) checkLabels(found.labels, recognised.classes, where);
  const side = recognised && !options.size ? usualSide(recognised, found.inputSize) : undefined;
  const bound: string[] = [];
  const dynamic = options.keepSizes ? 0 : makeSizesDynamic().run(graph, (message) => bound.push(message));
  const { manifest, assumptions } = assumeManifest(graph, splitName(file.name).stem, {
    ...known,
    ...(side && { size: side }),
    // A family that is told goes before what the file says.
    preprocessing: { ...(!options.family && found.preprocessing), ...options.preprocessing },
    recognised,
    isFamilyStated: found.isUltralytics && recognised?.family?.startsWith("ultralytics"),
    ...(input?.levels && { levels: input.levels }),
  });
  manifest.provenance.source = file.name;
  manifest.provenance.sha256 = await sha256(file.bytes);
  const whyNoHeads = areHeads(nearest) ? undefined : reasonFor(found, nearest);
  const doubts = [
    ...found.warnings,
    ...(found.choice && !recognised ? [found.choice] : []),
    ...report.warnings,
    ...(found.namesProblem && !options.labels ? [`${found.namesProblem}; give them with --labels`] : []),
    ...(whyNoHeads ? [whyNoHeads] : []),
    ...(options.keepDecode && recognised?.isWhole ? ["decoding is part of the graph and is kept"] : []),
    ...(recognised?.notes ?? []),
    ...(side
      ? [
          `the file is made for pictures of ${found.inputSize?.width}x${found.inputSize?.height}, too small to find much: the size is ${side}x${side}; give another with --size`,
        ]
      : []),
    ...(input?.isReversed
      ? [
          'the graph swaps the first and the last channel: it is taken for one that is fed BGR and gives the network RGB, which the network now gets directly; if it was made to be fed RGB, set "pixel" to "BGR" in the manifest',
        ]
      : []),
    ...assumptions,
  ];
  const details = [
    ...describeImport(report, Boolean(recognised?.isCut)),
    ...(input ? [describeInput(input)] : []),
    ...(dynamic ? [`${dynamic} sizes of layers follow the input size`] : []),
    ...bound,
  ];
  return {
    graph,
    manifest,
    assumptions: doubts,
    ...(whyNoHeads ? { whyNoHeads } : { toldBy: recognised?.toldBy }),
    details,
    raw: true,
    hasWeights: true,
  };
};

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

type Facts = Parameters<typeof recognise>[1];

/** Heads that `exportModel` wrote down, with anchors that the caller knows better. */
function written(
  { graph, statedHeads, inputSize, labels }: OnnxImport,
  facts: Facts,
): RecognisedHeads | undefined {
  if (!statedHeads || !inputSize) return undefined;
  // What was told is compared with the count of the file or of the graph, so it goes last.
  const found = labels ? undefined : recognise(graph.clone(), facts);
  const classes =
    labels?.length ?? (found && areHeads(found) ? found.classes : undefined) ?? facts.labels?.length;
  const anchors = facts.anchors ?? [];
  const heads = statedHeads.map((head, i): Head => {
    return "anchors" in head && anchors[i] ? { ...head, anchors: [...anchors[i]] } : head;
  });
  const isSame = heads.every((head, i) => {
    const stated = statedHeads[i];
    return !("anchors" in head && "anchors" in stated) || head.anchors.length === stated.anchors.length;
  });
  if (classes === undefined || !isSame) return undefined;
  const stride = Math.max(...statedHeads.map(strideOf));
  const size = { ...inputSize, stride, isSizeFree: false };
  const toldBy = "the metadata of the file";
  return { heads, classes, notes: [], toldBy, ...size, isCut: false, isWhole: false };
}

/** Throws GraphError when the names in the file are more or fewer than classes. */
function checkLabels(labels: readonly string[] | undefined, classes: number, where: string): void {
  if (!labels || labels.length === classes) return;
  const list = labels.slice(0, 10).map(quote).join(", ");
  throw new GraphError(
    `${where}: its metadata names ${labels.length} classes (${list}${labels.length > 10 ? ", …" : ""}), its heads have ${classes}; give the right names with --labels`,
  );
}

/** Why there are no heads. */
function reasonFor({ task }: OnnxImport, { near, isSure }: NearHeads): string {
  const kept = "so the outputs are kept as they are";
  const what = isSure
    ? near
    : task !== undefined && !isTask(task) && `the file says that its task is ${quote(task)}`;
  return what ? `${what}, ${kept}` : `no detection head was recognised (nearest: ${near}), ${kept}`;
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
