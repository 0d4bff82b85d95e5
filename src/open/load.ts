/** `load`: a model from bytes, files or a web address. */
import { expectKind, isCalled } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";
import type { SessionOptions } from "../engine/session.ts";
import { parseManifest, printManifest } from "../formats/manifest.ts";
import type { Manifest } from "../heads/manifest.ts";
import type { OpenedModel, OpenOptions } from "./format.ts";
import { mainFile, openModel } from "./formats.ts";
import { type Model, startModel } from "./model.ts";
import { type DownloadProgress, type Folder, memoryFolder, type NamedBytes, webFolder } from "./source.ts";

/** A file's content. */
export type Bytes = Uint8Array | ArrayBuffer;

/** The files of one model by kind; give either `param` and `bin`, or one of the others. */
export interface ModelParts {
  /** ncnn `.param`, text or binary. */
  param?: Bytes | string;
  /** ncnn `.bin`. */
  bin?: Bytes;
  /** Model manifest that goes with `param` and `bin`. */
  manifest?: Manifest | string | Bytes;
  /** PyTorch checkpoint. */
  pt?: Bytes;
  /** ONNX export. */
  onnx?: Bytes;
}

/** A file with its name, such as a browser's `File`. */
export interface FileLike {
  readonly name: string;
  /** Its bytes. */
  arrayBuffer(): Promise<ArrayBuffer>;
}

/**
 * Where a model is: parts in memory; files (of an `<input>` or a drop), the one to start from first or alone of its kind;
 * or the address of a `.json`, `.param`, `.pt` or `.onnx` file, with its companions beside it. An address without extension is a
 * folder that holds `NAME.json` of its own name.
 */
export type ModelSource = ModelParts | readonly (FileLike | NamedBytes)[] | string | URL;

/** What is told of downloads. */
export interface FetchOptions {
  /** Called for every piece of a file that comes from the web. */
  onDownload?: (progress: DownloadProgress) => void;
}

export interface LoadOptions extends OpenOptions, SessionOptions, FetchOptions {}

/**
 * Loads a model so that it can run.
 *
 * ```ts
 * const model = await load("https://example.org/models/yolov5ss.json");
 * const boxes = await model.detect(context.getImageData(0, 0, width, height));
 * model.close();
 * ```
 * Throws InputError when a file cannot be had, FormatError and GraphError for what is in it, UsageError for wrong options.
 */
export async function load(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  expectKind("load: options", options, "an object of options");
  return startModel(await open(source, { ...options, runOnly: true }), options);
}

/** Reads a model without making it ready to run: for looking at it, changing it or converting it. */
export async function open(
  source: ModelSource,
  options: OpenOptions & FetchOptions = {},
): Promise<OpenedModel> {
  expectKind("open: options", options, "an object of options");
  if (options.labels !== undefined) expectKind("labels", options.labels, "a list of strings");
  if (options.anchors !== undefined)
    expectKind("anchors", options.anchors, "a list of numbers for each head");
  const { folder, name } = await locate(source, options);
  return openModel(folder, name, options);
}

async function locate(
  source: ModelSource,
  { onDownload }: FetchOptions,
): Promise<{ folder: Folder; name: string }> {
  if (typeof source === "string" || isCalled(source, "URL"))
    return locateUrl(source as string | URL, onDownload);
  if (Array.isArray(source)) return locateFiles(source as readonly (FileLike | NamedBytes)[]);
  expectKind("load: source", source, "an object");
  return locateParts(source as ModelParts);
}

/** The folder and the file that a web address means. Throws UsageError for what is none. */
export function locateUrl(
  source: string | URL,
  onDownload?: FetchOptions["onDownload"],
): { folder: Folder; name: string } {
  if (/^[a-z]:[\\/]/i.test(String(source))) {
    throw new UsageError(`${source} is a path on disk: load it with load from "ncnnkit/node"`);
  }
  const page = "location" in globalThis ? globalThis.location?.href : undefined;
  if (!URL.canParse(source, page)) {
    throw new UsageError(`${source}: not a web address; load files on disk with load from "ncnnkit/node"`);
  }
  const url = new URL(source, page);
  const path = url.pathname.replace(/\/$/, "");
  const last = decodeURIComponent(path.slice(path.lastIndexOf("/") + 1));
  if (/\.[a-z]+$/i.test(last) && !url.pathname.endsWith("/")) {
    return { folder: webFolder(url, onDownload), name: last };
  }
  const inside = new URL(url);
  inside.pathname = `${path}/`;
  return { folder: webFolder(inside, onDownload), name: `${last}.json` };
}

async function locateFiles(
  files: readonly (FileLike | NamedBytes)[],
): Promise<{ folder: Folder; name: string }> {
  for (const file of files) {
    expectKind("load: a file", file, "an object");
    expectKind("load: the name of a file", file.name, "a string");
    if (!("arrayBuffer" in file))
      expectKind(`load: bytes of ${file.name}`, file.bytes, "bytes (a Uint8Array)");
  }
  const named = await Promise.all(
    files.map(async (file) => ({
      name: file.name,
      // A File of a newer platform has `bytes` too: a method.
      bytes: "arrayBuffer" in file ? new Uint8Array(await file.arrayBuffer()) : file.bytes,
    })),
  );
  const folder = memoryFolder(named);
  return { folder, name: named.length === 1 ? named[0].name : await mainFile(folder, "the given files") };
}

function locateParts(parts: ModelParts): { folder: Folder; name: string } {
  const manifest = parts.manifest === undefined ? undefined : manifestOf(parts.manifest);
  const files: NamedBytes[] = [];
  const add = (name: string, content: Bytes | string | undefined): void => {
    if (content !== undefined) files.push({ name, bytes: toBytes(content) });
  };
  if (manifest) add("model.json", printManifest(manifest));
  add(manifest?.param ?? "model.param", parts.param);
  add(manifest?.bin ?? "model.bin", parts.bin);
  add("model.pt", parts.pt);
  add("model.onnx", parts.onnx);
  if (!files.length) throw new UsageError("load: no model given; pass param and bin, pt, or onnx");
  return { folder: memoryFolder(files), name: files[0].name };
}

function manifestOf(manifest: NonNullable<ModelParts["manifest"]>): Manifest {
  if (typeof manifest === "string") return parseManifest(manifest, "manifest");
  const isBytes = isCalled(manifest, "Uint8Array", "ArrayBuffer");
  if (isBytes) return parseManifest(new TextDecoder().decode(manifest as Bytes), "manifest");
  expectKind("load: manifest", manifest, "a manifest");
  return manifest as Manifest;
}

function toBytes(content: Bytes | string): Uint8Array {
  if (typeof content === "string") return new TextEncoder().encode(content);
  if (isCalled(content, "ArrayBuffer", "SharedArrayBuffer")) return new Uint8Array(content);
  expectKind("load: a part of the model", content, "text or bytes (a Uint8Array)");
  return content as Uint8Array;
}
