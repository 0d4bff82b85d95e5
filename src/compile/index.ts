/** Ahead of time: a model becomes WebAssembly files that run anywhere, with a module for JavaScript (docs/compile.md). */
import { expectKind } from "../base/arguments.ts";
import { UnsupportedError, UsageError } from "../base/errors.ts";
import type { BoxFormulas } from "../base/formula.ts";
import { version } from "../base/version.ts";
import { levelMapOf } from "../detect/letterbox.ts";
import {
  type DotMode,
  fileTarget,
  layoutOf,
  makeStandalone,
  type StandaloneOptions,
} from "../engine/standalone.ts";
import {
  type CompiledFacts,
  type CompiledFile,
  type CompiledMode,
  compiledFormat,
  compiledSection,
  digestSection,
  pagesSection,
} from "../formats/compiled.ts";
import { printParam, writeWeights } from "../formats/ncnn/index.ts";
import { blobsOf, formulasOf, needsNms, taskOf } from "../heads/index.ts";
import type { Manifest } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import type { Shape } from "../ir/tensor.ts";
import { convert } from "../open/convert.ts";
import { bothSides, type KnownFacts } from "../open/facts.ts";
import { type OpenedModel, sha256 } from "../open/format.ts";
import { customSection } from "../wasm/index.ts";
import { readmeText } from "./_readme.ts";
import { moduleText } from "./_text.ts";
import { typesText } from "./_types.ts";

/** Options of `compileModel`. */
export interface CompileOptions {
  /** Input sizes in pixels, multiples of the model's stride, the default first; default the manifest's. */
  sizes?: readonly NonNullable<KnownFacts["size"]>[];
  /** Most threads that may share the work; default 1. With more, the memory is the host's and shared. */
  threads?: number;
  /**
   * `portable`: one file for all machines, with vectors of 128 bits. `relaxed`: a file for each kind of machine that has a faster product of
   * bytes. `both`: all of them, the fastest that is right being chosen where it runs. Default `portable`.
   */
  target?: CompileTarget;
  /** Without vectors, for runtimes that have none: many times slower, in one thread; default false. */
  scalar?: boolean;
  /** Name of the files, without extension; default the model's. */
  name?: string;
}

export type CompileTarget = (typeof compileTargets)[number];
export const compileTargets = ["portable", "relaxed", "both"] as const;

/** What `compileModel` gives. */
export interface CompiledModel {
  /** By name: the `.wasm` files, `NAME.js`, `NAME.d.ts`, `NAME.json`, `README.md`. */
  files: Record<string, Uint8Array | string>;
  /** The `.wasm` files. */
  modules: readonly CompiledFile[];
  facts: Omit<CompiledFacts, "mode">;
}

const dots: Readonly<Record<CompiledMode, DotMode>> = {
  ...{ portable: "i16", scalar: "i16", signed: "signed", unsigned: "unsigned", i7: "i7" },
};
const modesOf: Readonly<Record<CompileTarget, readonly CompiledMode[]>> = {
  portable: ["portable"],
  relaxed: ["signed", "unsigned", "i7"],
  both: ["signed", "unsigned", "i7", "portable"],
};

/**
 * The files of a model that runs without ncnnkit. Throws UnsupportedError that names the layer where one has no kernel, GraphError for a size that
 * the graph does not run at, UsageError for one that is no multiple of the stride.
 */
export async function compileModel(
  opened: OpenedModel,
  options: CompileOptions = {},
): Promise<CompiledModel> {
  expectKind("compileModel: opened", opened, "an opened model ({ graph, manifest })");
  expectKind("compileModel: options", options, "an object of options");
  if (!opened.hasWeights)
    throw new UsageError(`${opened.manifest.bin} is missing, so there is nothing to compile`);
  const { threads = 1, target = "portable", scalar = false } = options;
  expectKind("threads", threads, "a whole number above 0");
  if (!compileTargets.includes(target)) {
    throw new UsageError(`target ${JSON.stringify(target)}: expected one of ${compileTargets.join(", ")}`);
  }
  expectKind("scalar", scalar, "true or false");
  if (scalar && (target !== "portable" || threads > 1)) {
    throw new UsageError(
      "scalar: files without vectors are portable and have one thread; leave target and threads out",
    );
  }
  const { graph, manifest } = opened.raw ? convert(opened) : opened;
  const { name = manifest.name } = options;
  const sizes = sizesOf(manifest, options.sizes);
  const source = { param: await digestOf(printParam(graph)), bin: await digestOf(writeWeights(graph)) };
  const files: Record<string, Uint8Array | string> = {};
  const modules: CompiledFile[] = [];
  let known: Omit<CompiledFacts, "mode"> | undefined;
  for (const mode of scalar ? (["scalar"] as const) : modesOf[target]) {
    const planned = standaloneOptions(graph, manifest, sizes, fileTarget(dots[mode], threads, scalar));
    const { module, pages, detection, sizes: placed } = makeStandalone(planned.options);
    const facts: CompiledFacts = {
      ...{ format: compiledFormat, version: 1, kit: version, name, mode, threads },
      ...{ task: taskOf(manifest.heads), pictures: planned.options.pictures !== undefined },
      decode: detection !== undefined,
      ...(detection ? { detection } : { whyNoDecode: opened.whyNoHeads ?? planned.whyNoDecode }),
      sizes: placed.map((each, i) => ({ ...sizes[i], ...each })),
      ...{ source, manifest },
    };
    const file = mode === "portable" || mode === "scalar" ? `${name}.wasm` : `${name}.${mode}.wasm`;
    const bytes = await withSections(module.encode(false), facts, pages);
    files[file] = bytes;
    modules.push({ file, mode, bytes: bytes.length, sha256: await digestOf(bytes) });
    known ??= factsOfAll(facts);
  }
  const facts = known!;
  files[`${name}.js`] = moduleText(facts, modules);
  files[`${name}.d.ts`] = typesText(facts);
  files[`${name}.json`] = `${JSON.stringify({ ...facts, files: modules }, undefined, 2)}\n`;
  files["README.md"] = readmeText(facts, modules);
  return { files, modules, facts };
}

/** Addresses differ between files: they stand in each. */
function factsOfAll({ mode: _, ...facts }: CompiledFacts): Omit<CompiledFacts, "mode"> {
  return facts;
}

function sizesOf({ input }: Manifest, given: CompileOptions["sizes"]): { width: number; height: number }[] {
  const { width, height, stride } = input;
  const sizes = (given ?? [{ width, height }]).map((size) => bothSides(size)!);
  if (!sizes.length) throw new UsageError("sizes: expected at least one");
  for (const size of sizes) {
    const isSound = [size.width, size.height].every(
      (side) => Number.isInteger(side) && side > 0 && side % stride === 0,
    );
    if (!isSound) {
      throw new UsageError(
        `size ${size.width}x${size.height}: expected multiples of the model's stride ${stride}`,
      );
    }
  }
  return sizes;
}

interface Planned {
  readonly options: StandaloneOptions;
  readonly whyNoDecode?: string;
}

function standaloneOptions(
  graph: Graph,
  { input, heads, labels }: Manifest,
  sizes: readonly { width: number; height: number }[],
  target: StandaloneOptions["target"],
): Planned {
  const isPicture = graph.inputs.length === 1 && !input.antialias;
  const shapes = sizes.map(({ width, height }) => ({ [input.blob]: [input.channels, height, width] }));
  const formulas = (outputs: Readonly<Record<string, Shape>>, [, height, width]: Shape): BoxFormulas[] =>
    formulasOf(heads, (blob) => outputs[blob], { width, height, classes: labels.length });
  const shared: Omit<StandaloneOptions, "formulas"> = {
    ...{ graph, sizes: shapes, target },
    outputs: heads.length ? blobsOf(heads) : graph.outputs,
    ...(isPicture && {
      pictures: {
        source: { blob: input.blob, levels: levelMapOf(input) },
        ...{ border: input.letterboxColor, resize: input.resize, corner: input.letterboxAlign === "corner" },
      },
    }),
    suppress: needsNms(heads),
  };
  const whyNoDecode = heads.length ? undecoded(heads) : "it has no heads";
  return whyNoDecode ? { options: shared, whyNoDecode } : { options: { ...shared, formulas } };
}

/** What detections have besides boxes follows from the heads, whatever their shapes. */
function undecoded(heads: Manifest["heads"]): string | undefined {
  const levels = formulasOf(heads, () => [1, 1, 1], { width: 1, height: 1, classes: 1 });
  if (layoutOf(levels)) return undefined;
  return "some of its heads have points, masks or angles that others have not, and one list holds detections of one form";
}

async function digestOf(content: Uint8Array | string): Promise<string> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const digest = await sha256(bytes);
  if (digest) return digest;
  throw new UnsupportedError(
    "this page is not served securely, so it has no SHA-256, which compiled files need",
  );
}

/** The module, its facts, the pages of memory that it needs, and the digest of all that. */
async function withSections(module: Uint8Array, facts: CompiledFacts, pages: number): Promise<Uint8Array> {
  const limits = new Uint8Array(Uint32Array.of(pages, 65536).buffer);
  const body = joinBytes([
    module,
    customSection(compiledSection, new TextEncoder().encode(JSON.stringify(facts))),
    ...(facts.threads > 1 ? [customSection(pagesSection, limits)] : []),
  ]);
  const digest = Uint8Array.from((await digestOf(body)).match(/../g)!, (pair) => Number.parseInt(pair, 16));
  return joinBytes([body, customSection(digestSection, digest)]);
}

function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
