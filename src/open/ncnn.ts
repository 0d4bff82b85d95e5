import { checkManifest, parseManifest } from "../formats/manifest.ts";
import { readParam, readWeights } from "../formats/ncnn/index.ts";
import type { Manifest } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import type { Assumed } from "./assume.ts";
import type { KnownFacts } from "./facts.ts";
import type { OpenedModel, Opener, OpenOptions } from "./format.ts";
import { type Folder, type NamedBytes, requireFile } from "./source.ts";
import { asTold } from "./told.ts";

/** A model manifest and the files that it names. */
export const openManifest: Opener = async (file, folder, options) => {
  const where = folder.describe(file.name);
  const manifest = parseManifest(new TextDecoder().decode(file.bytes), where);
  const bytes = await requireFile(folder, manifest.param, `which ${where} names`);
  const param = { name: manifest.param, bytes };
  const { graph, hasWeights, warnings } = await readGraph(param, manifest.bin, folder, options);
  const told = checkedAsTold(manifest, graph, where, options);
  const assumptions = [...warnings, ...told.assumptions];
  return { graph, ...told, assumptions, toldBy: "the manifest", raw: false, hasWeights };
};

/** A `.param` (text or binary) or its `.bin`; a manifest of the same name is used if it is there. */
export const openNcnn: Opener = async (file, folder, options) => {
  const { name, param, bin } = pairOf(file.name);
  const bytes =
    param === file.name ? file.bytes : await requireFile(folder, param, `and ${file.name} needs it`);
  const { graph, hasWeights, warnings } = await readGraph({ name: param, bytes }, bin, folder, options);
  const beside = await manifestBeside(name, param, graph, folder, options);
  const { manifest, assumptions, ...more } =
    beside ?? (await (await import("./bare.ts")).assumeBare(name, graph, folder, options));
  return {
    graph,
    manifest: { ...manifest, param, bin },
    assumptions: [...warnings, ...assumptions],
    ...more,
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
  const graph = readParam(param.bytes, where, (message) => warnings.push(message));
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
): Promise<(Assumed & Pick<OpenedModel, "toldBy">) | undefined> {
  const bytes = await folder.read(`${name}.json`);
  if (!bytes) return undefined;
  const where = folder.describe(`${name}.json`);
  const manifest = parseManifest(new TextDecoder().decode(bytes), where);
  // Without heads it cannot say what the anchors and names belong to.
  if (manifest.param !== param || (manifest.heads.length === 0 && (known.anchors || known.labels)))
    return undefined;
  return { ...checkedAsTold(manifest, graph, where, known), toldBy: `the manifest ${name}.json` };
}

function checkedAsTold(
  manifest: Manifest,
  graph: Graph,
  where: string,
  known: KnownFacts,
): ReturnType<typeof asTold> {
  checkManifest(manifest, graph, where);
  const told = asTold(manifest, known);
  // Not every graph runs at every size.
  if (known.size !== undefined) checkManifest(told.manifest, graph, `${where} with the size as told`);
  return told;
}
