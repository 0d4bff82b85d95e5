/** ncnn models: a `.param` with its `.bin`, alone or named by a model manifest. */
import { NcnnkitError } from "../base/errors.ts";
import { checkManifest, parseManifest } from "../formats/manifest.ts";
import { isBinaryParam, parseBinaryParam, parseParam, readWeights } from "../formats/ncnn/index.ts";
import type { Graph } from "../ir/graph.ts";
import { type Assumed, assumeManifest, type FileFacts, findHeads, type KnownFacts } from "./assume.ts";
import { completeHeads, followInputSize } from "./complete.ts";
import type { Opener, OpenOptions } from "./format.ts";
import { recognise } from "./recognise.ts";
import { type Folder, type NamedBytes, requireFile } from "./source.ts";

/** A model manifest and the files that it names. */
export const openManifest: Opener = async (file, folder, options) => {
  const where = folder.describe(file.name);
  const manifest = parseManifest(new TextDecoder().decode(file.bytes), where);
  const bytes = await requireFile(folder, manifest.param, `which ${where} names`);
  const param = { name: manifest.param, bytes };
  const { graph, hasWeights, warnings } = await readGraph(param, manifest.bin, folder, options);
  checkManifest(manifest, graph, where);
  return { graph, manifest, assumptions: warnings, raw: false, hasWeights };
};

/** A `.param` (text or binary) or its `.bin`; a manifest of the same name is used if it is there. */
export const openNcnn: Opener = async (file, folder, options) => {
  const { name, param, bin } = pairOf(file.name);
  const bytes =
    param === file.name ? file.bytes : await requireFile(folder, param, `and ${file.name} needs it`);
  const { graph, hasWeights, warnings } = await readGraph({ name: param, bytes }, bin, folder, options);
  const beside = await manifestBeside(name, param, graph, folder, options);
  const { manifest, assumptions, details } = beside ?? (await assume(name, graph, folder, options));
  return {
    graph,
    manifest: { ...manifest, param, bin },
    assumptions: [...warnings, ...assumptions],
    details,
    raw: false,
    hasWeights,
  };
};

/** Names of the two files of an ncnn model, from either: `a.param`/`a.bin`, or `a.param.bin`/`a.bin`. */
function pairOf(file: string): { name: string; param: string; bin: string } {
  const binary = /^(.*)\.param\.bin$/i.exec(file);
  if (binary) return { name: binary[1], param: file, bin: `${binary[1]}.bin` };
  const dot = file.lastIndexOf(".");
  const name = dot > 0 ? file.slice(0, dot) : file;
  if (/\.bin$/i.test(file)) return { name, param: `${name}.param`, bin: file };
  return { name, param: file, bin: `${name}.bin` };
}

async function readGraph(
  param: NamedBytes,
  binName: string,
  folder: Folder,
  options: OpenOptions,
): Promise<{ graph: Graph; hasWeights: boolean; warnings: string[] }> {
  const where = folder.describe(param.name);
  const warnings: string[] = [];
  const graph = isBinaryParam(param.bytes)
    ? parseBinaryParam(param.bytes, where)
    : parseParam(new TextDecoder().decode(param.bytes), where, (message) => warnings.push(message));
  const bin = await folder.read(binName);
  if (bin) readWeights(graph, bin, folder.describe(binName));
  else if (!options.weightsOptional) {
    await requireFile(folder, binName, `and ${where} needs its weights`);
  }
  return { graph, hasWeights: bin !== undefined, warnings };
}

/** Facts from `NAME.json` beside a `.param`, if it is there and the manifest of this very file. */
async function manifestBeside(
  name: string,
  param: string,
  graph: Graph,
  folder: Folder,
  known: KnownFacts,
): Promise<(Assumed & { details: string[] }) | undefined> {
  const bytes = await folder.read(`${name}.json`);
  if (!bytes || known.anchors || known.labels) return undefined;
  const where = folder.describe(`${name}.json`);
  const manifest = parseManifest(new TextDecoder().decode(bytes), where);
  if (manifest.param !== param) return undefined;
  checkManifest(manifest, graph, where);
  return { manifest, assumptions: [], details: [] };
}

/** A manifest for a bare graph, which gets what it lacks to be used like others. */
async function assume(
  name: string,
  graph: Graph,
  folder: Folder,
  options: OpenOptions,
): Promise<Assumed & { details: string[] }> {
  const stated = await statedFacts(folder);
  const known = { ...stated, ...definedOf(options) };
  const recognised = recognise(graph, { ...known, keepDecode: options.keepDecode });
  const isFound = recognised && "heads" in recognised;
  const count = options.keepSizes ? 0 : followInputSize(graph, known);
  const heads = isFound ? [...recognised.notes] : completeHeads(graph, known);
  const near = recognised && "near" in recognised ? [`no boxes: ${recognised.near}`] : [];
  const { manifest, assumptions } = isFound
    ? assumeManifest(graph, name, { ...known, recognised })
    : await assumeFacts(name, graph, folder, known);
  return {
    manifest,
    assumptions: [...heads, ...(manifest.heads.length ? [] : near), ...assumptions],
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
