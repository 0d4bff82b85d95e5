/** From an opened model to the files of an ncnn model. */
import { expectKind } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";
import { isFileName, quote } from "../base/text.ts";
import { checkManifest, manifestHeader, printManifest } from "../formats/manifest.ts";
import { printParam, writeWeights } from "../formats/ncnn/index.ts";
import type { Manifest } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import { optimizePasses, runPasses, storeFp16, storeFp32 } from "../passes/index.ts";
import type { OpenedModel } from "./format.ts";

/** Options of `convert`. */
export interface ConvertOptions {
  /** Fold BatchNorm, fuse activations, remove what does nothing; default true. */
  optimize?: boolean;
  /** Store weights as float16: half the size; default false, float32. */
  fp16?: boolean;
  /** Keep Focus (Reorg) layers before convolutions; default: both become one 6x6 convolution of stride 2. */
  keepFocus?: boolean;
  /** Keep fixed sizes in Reshape and Interp layers; default: they follow the input's size. */
  keepSizes?: boolean;
  /** Name of the model and its files; default that of the source. */
  name?: string;
  /** Takes a line for every rewrite that nearly happened, and why not. */
  log?: (message: string) => void;
}

/** A graph as ncnn runs it, with its manifest. */
export interface ConvertedModel {
  graph: Graph;
  manifest: Manifest;
  /** Number of rewrites by pass; passes that found nothing are left out. */
  rewrites: Record<string, number>;
}

/**
 * The model as it will be written; the opened one stays as it is.
 *
 * ```ts
 * const { graph, manifest } = convert(await open("yolov5ss.pt"), { fp16: true });
 * await writeFiles("out", modelFiles(graph, manifest));
 * ```
 * Throws UsageError for a name that is no file name, GraphError or FormatError when the graph contradicts the manifest.
 */
export function convert(opened: OpenedModel, options: ConvertOptions = {}): ConvertedModel {
  expectKind("convert: opened", opened, "an opened model ({ graph, manifest })");
  expectKind("convert: options", options, "an object of options");
  const name = options.name ?? opened.manifest.name;
  if (!isFileName(name) || name.startsWith(".")) {
    throw new UsageError(
      `name ${quote(name)}: expected a file name without folder, extension or control characters`,
    );
  }
  const graph = opened.graph.clone();
  const rewrites = rewrite(graph, opened.manifest, options);
  const manifest: Manifest = {
    ...opened.manifest,
    name,
    param: `${name}.param`,
    bin: `${name}.bin`,
    provenance: {
      ...opened.manifest.provenance,
      passes: [...opened.manifest.provenance.passes, ...Object.keys(rewrites)],
    },
  };
  checkManifest(manifest, graph, name);
  return { graph, manifest, rewrites };
}

/** Runs the passes on the graph, in place. */
function rewrite(graph: Graph, { input }: Manifest, options: ConvertOptions): Record<string, number> {
  const shape = [input.channels, input.height, input.width];
  const { keepFocus = false, keepSizes = false } = options;
  const passes =
    options.optimize === false
      ? []
      : optimizePasses({ inputShapes: { [input.blob]: shape }, keepFocus, staticSizes: keepSizes });
  const results = runPasses(graph, [...passes, options.fp16 ? storeFp16 : storeFp32], options.log);
  return Object.fromEntries(
    results.filter(({ rewrites }) => rewrites).map(({ pass, rewrites }) => [pass, rewrites]),
  );
}

/**
 * The four files of a model by name: `NAME.param`, `NAME.bin`, the manifest `NAME.json`, and `NAME.h` with the same facts for
 * C++ programs that use native ncnn.
 */
export function modelFiles(graph: Graph, manifest: Manifest): Record<string, Uint8Array | string> {
  expectKind("modelFiles: graph", graph, "a graph");
  expectKind("modelFiles: manifest", manifest, "a manifest");
  return {
    [manifest.param]: printParam(graph),
    [manifest.bin]: writeWeights(graph),
    [`${manifest.name}.json`]: printManifest(manifest),
    [`${manifest.name}.h`]: manifestHeader(manifest),
  };
}
