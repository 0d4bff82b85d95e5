/** `.param` files without a manifest: what their graph shows, what lies beside them, and what has to be assumed. */
import { NcnnkitError } from "../base/errors.ts";
import type { Graph } from "../ir/graph.ts";
import { type Assumed, assumeManifest, findHeads } from "./assume.ts";
import { completeHeads, followInputSize } from "./complete.ts";
import type { FileFacts } from "./facts.ts";
import type { OpenedModel, OpenOptions } from "./format.ts";
import { recognise } from "./recognise.ts";
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
  // YOLOv5's raw heads are known by their shape, which is much sooner seen.
  const isYolov5 = findHeads(graph, known.size) !== undefined;
  const recognised = isYolov5 ? undefined : recognise(graph, { ...known, keepDecode: options.keepDecode });
  const isFound = recognised && "heads" in recognised;
  const count = options.keepSizes ? 0 : followInputSize(graph, known);
  const heads = isFound ? [...recognised.notes] : completeHeads(graph, known);
  const near = recognised && "near" in recognised ? recognised.near : undefined;
  const { manifest, assumptions } = isFound
    ? assumeManifest(graph, name, { ...known, recognised })
    : await assumeFacts(name, graph, folder, known);
  const whyNoHeads = manifest.heads.length ? undefined : near;
  return {
    manifest,
    assumptions: [...heads, ...(whyNoHeads ? [`no boxes: ${whyNoHeads}`] : []), ...assumptions],
    ...(whyNoHeads && { whyNoHeads }),
    ...(manifest.heads.length && {
      toldBy: isFound ? recognised.toldBy : "the shapes of the outputs, as YOLOv5's heads have them",
    }),
    details: [
      ...(isFound && recognised.isCut ? ["the decoding of boxes is cut off: outputs are the raw heads"] : []),
      ...(count ? [`${count} sizes of layers follow the input size`] : []),
    ],
  };
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
  const { names, imgsz, author } = metadata as Record<string, unknown>;
  const labels = typeof names === "object" && names ? Object.values(names).map(String) : [];
  const [height, width] = Array.isArray(imgsz) ? imgsz.map(Number) : [];
  return {
    ...(labels.length && { labels }),
    ...(width > 0 && height > 0 && { size: { width, height } }),
    ...(author === "Ultralytics" && { isFamilyStated: true }),
  };
}

/**
 * A checkpoint of the same name (less `-opt`, `-int8` and the like) beside it, whose heads fit those of the graph, knows the anchors
 * and the class names: better than any default.
 */
async function assumeFacts(name: string, graph: Graph, folder: Folder, known: FileFacts): Promise<Assumed> {
  const companion = `${name.replace(/([-_.](int8|fp16|fp32|opt|sim))+$/, "")}.pt`;
  const bytes = known.anchors && known.labels ? undefined : await folder.read(companion);
  if (!bytes || !findHeads(graph, known.size)) return assumeManifest(graph, name, known);
  try {
    const { readTorch } = await import("../formats/torch/index.ts");
    const checkpoint = readTorch(bytes, companion);
    const anchors = checkpoint.heads.toSorted((a, b) => a.stride - b.stride).map((head) => head.anchors);
    const labels = checkpoint.labels;
    const { manifest } = assumeManifest(graph, name, { anchors, labels, ...definedOf(known) });
    return { manifest, assumptions: [`anchors and class names are those of ${folder.describe(companion)}`] };
  } catch (error) {
    if (!(error instanceof NcnnkitError)) throw error;
    const { manifest, assumptions } = assumeManifest(graph, name, known);
    return {
      manifest,
      assumptions: [`${companion} beside it is of no help: ${error.message}`, ...assumptions],
    };
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
