/** `.param` files without a manifest: what their graph shows, what lies beside them, and what has to be assumed. */
import { NcnnkitError } from "../base/errors.ts";
import type { Graph } from "../ir/graph.ts";
import { makeSizesDynamic } from "../passes/index.ts";
import { type Assumed, assumeManifest, runnableSizes } from "./assume.ts";
import type { FileFacts } from "./facts.ts";
import type { OpenedModel, OpenOptions } from "./format.ts";
import { areHeads, recognise } from "./recognise.ts";
import type { Folder } from "./source.ts";

/** A manifest for a bare graph, which gets what it lacks to be used like others. Throws as `assumeManifest`. */
export async function assumeBare(
  name: string,
  graph: Graph,
  folder: Folder,
  options: OpenOptions,
): Promise<Assumed & Pick<OpenedModel, "details" | "toldBy" | "whyNoHeads">> {
  const stated = await statedFacts(folder);
  const known = { ...stated, ...definedOf(options) };
  const companion = await companionFacts(name, graph, folder, known);
  const facts: FileFacts = { ...companion.facts, ...known };
  const found = recognise(graph, { ...facts, keepDecode: options.keepDecode });
  const recognised = areHeads(found) ? found : undefined;
  const count = options.keepSizes ? 0 : followInputSize(graph, known);
  const { manifest, assumptions } = assumeManifest(graph, name, { ...facts, recognised });
  return {
    manifest,
    assumptions: [
      ...(recognised?.notes ?? []),
      ...(areHeads(found) ? [] : [`no boxes: ${found.near}`]),
      ...companion.said,
      // With the checkpoint it is no assumption that this is YOLOv5.
      ...(companion.facts ? [] : assumptions),
    ],
    ...(areHeads(found) ? { toldBy: found.toldBy } : { whyNoHeads: found.near }),
    details: [
      ...(recognised?.isCut ? ["the decoding of boxes is cut off: outputs are the raw heads"] : []),
      ...(count ? [`${count} sizes of layers follow the input size`] : []),
    ],
  };
}

/** Sizes in Reshape and Interp that were made for one input size follow it. Gives how many did. */
function followInputSize(graph: Graph, known: FileFacts): number {
  const [first] = runnableSizes(graph, known.size);
  return first ? makeSizesDynamic(first.inputs).run(graph) : 0;
}

/** Longest `metadata.yaml` that is read; a real one with a thousand names has 30 kB. */
const mostMetadata = 2 ** 20;

/** What ultralytics' package writes beside its ncnn exports: names, size, whose it is. */
async function statedFacts(folder: Folder): Promise<FileFacts> {
  const bytes = await folder.read("metadata.yaml");
  if (!bytes || bytes.length > mostMetadata) return {};
  let metadata: unknown;
  try {
    const { parse } = await import("yaml");
    metadata = parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
  if (typeof metadata !== "object" || metadata === null) return {};
  const { names, imgsz, author, task, end2end } = metadata as Record<string, unknown>;
  const labels = typeof names === "object" && names ? Object.values(names).map(String) : [];
  const [height, width] = Array.isArray(imgsz) ? imgsz.map(Number) : [];
  return {
    ...(labels.length && { labels }),
    ...(width > 0 && height > 0 && { size: { width, height } }),
    ...(author === "Ultralytics" && { isFamilyStated: true }),
    ...(typeof task === "string" && { task }),
    ...(end2end === true && { isEndToEnd: true }),
  };
}

interface Companion {
  readonly facts?: Pick<FileFacts, "anchors" | "labels">;
  /** What was taken from it, or why nothing was. */
  readonly said: readonly string[];
}

/**
 * A checkpoint of the same name (less `-opt`, `-int8` and the like) beside it, whose heads fit those of the graph, knows the anchors
 * and the class names: better than any default.
 */
async function companionFacts(
  name: string,
  graph: Graph,
  folder: Folder,
  known: FileFacts,
): Promise<Companion> {
  const companion = `${name.replace(/([-_.](int8|fp16|fp32|opt|sim))+$/, "")}.pt`;
  const bytes = known.anchors && known.labels ? undefined : await folder.read(companion);
  if (!bytes) return { said: [] };
  const found = recognise(graph.clone(), known);
  if (!areHeads(found) || !found.heads.every((head) => "anchors" in head)) return { said: [] };
  try {
    const { readTorch } = await import("../formats/torch/index.ts");
    const checkpoint = readTorch(bytes, companion);
    const anchored = checkpoint.heads.flatMap((head) => (head.kind === "yolov5" ? [head] : []));
    if (!anchored.length)
      return { said: [`${companion} beside it is of no help: its heads have no anchors`] };
    const anchors = anchored.toSorted((a, b) => a.stride - b.stride).map((head) => head.anchors);
    const facts = { anchors, labels: checkpoint.labels, ...known };
    // That they fit is checked on the way to a manifest.
    const copy = graph.clone();
    const again = recognise(copy, facts);
    assumeManifest(copy, name, { ...facts, recognised: areHeads(again) ? again : undefined });
    return { facts, said: [`anchors and class names are those of ${folder.describe(companion)}`] };
  } catch (error) {
    if (!(error instanceof NcnnkitError)) throw error;
    return { said: [`${companion} beside it is of no help: ${error.message}`] };
  }
}

function definedOf({ anchors, labels, size, family, preprocessing }: FileFacts): FileFacts {
  return {
    ...(anchors && { anchors }),
    ...(labels && { labels }),
    ...(size && { size }),
    ...(family && { family }),
    ...(preprocessing && { preprocessing }),
  };
}
