/** The formats that a model can be opened from, tried by file extension, then by content. */

import { FormatError, InputError, UsageError } from "../base/errors.ts";
import { brief } from "../base/text.ts";
import { isBinaryParam } from "../formats/ncnn/index.ts";
import type { OpenedModel, Opener, OpenOptions } from "./format.ts";
import { openManifest, openNcnn } from "./ncnn.ts";
import { type Folder, type NamedBytes, requireFile, splitName } from "./source.ts";

interface ModelFormat {
  readonly name: string;
  /** File extensions without dot, in lower case. */
  readonly extensions: readonly string[];
  /** Whether bytes look like this format; asked only when the extension is nobody's. */
  matches(bytes: Uint8Array): boolean;
  /** Files may hold branches to choose from (`endToEnd`). */
  readonly hasBranches?: true;
  /** The reader; those of training frameworks are fetched when they are needed, so that a page without them stays small. */
  opener(): Promise<Opener>;
}

/** In the order in which a folder is searched. */
const formats: readonly ModelFormat[] = [
  {
    name: "ncnnkit model manifest",
    extensions: ["json"],
    matches: (bytes) => startsWith(bytes, "{"),
    opener: async () => openManifest,
  },
  {
    name: "ncnn param and bin",
    extensions: ["param", "bin"],
    matches: (bytes) => startsWith(bytes, "7767517") || isBinaryParam(bytes),
    opener: async () => openNcnn,
  },
  {
    name: "PyTorch checkpoint",
    extensions: ["pt", "pth"],
    hasBranches: true,
    matches: (bytes) => startsWith(bytes, "PK\x03\x04"),
    opener: async () => (await import("./torch.ts")).openTorch,
  },
  {
    name: "ONNX",
    extensions: ["onnx"],
    // A protobuf whose first field is ir_version, a small number.
    matches: (bytes) => bytes[0] === 0x08 && bytes[1] < 20,
    opener: async () => (await import("./onnx.ts")).openOnnx,
  },
  {
    name: "compiled by ncnnkit",
    extensions: ["wasm"],
    matches: (bytes) => startsWith(bytes, "\0asm"),
    opener: async () => (await import("./compiled.ts")).openCompiled,
  },
];

function startsWith(bytes: Uint8Array, text: string): boolean {
  return [...text].every((char, i) => bytes[i] === char.charCodeAt(0));
}

/**
 * Opens the model that begins with the file `name` of `folder`. Throws InputError for a missing file, FormatError or
 * GraphError (with the file's name) for what is in it, UsageError for known facts that contradict it.
 */
export async function openModel(
  folder: Folder,
  name: string,
  options: OpenOptions = {},
): Promise<OpenedModel> {
  const bytes = await requireFile(folder, name, "so no model can be read from it");
  const file = { name, bytes };
  const format = formatOf(file, folder);
  if (options.endToEnd && !format.hasBranches) {
    throw new UsageError(
      `${folder.describe(name)}: end2end chooses among the branches of a checkpoint, and this is ${format.name}: leave it out`,
    );
  }
  const open = await format.opener();
  const opened = await open(file, folder, options);
  return { format: format.name, ...opened };
}

/** Extensions of all formats, for messages and for choosing a file in a folder. */
export const modelExtensions: readonly string[] = formats.flatMap((format) => format.extensions);

function formatOf(file: NamedBytes, folder: Folder): ModelFormat {
  const { extension } = splitName(file.name);
  const format =
    formats.find(({ extensions }) => extensions.includes(extension)) ??
    formats.find(({ matches }) => matches(file.bytes));
  if (format) return format;
  throw new FormatError(
    `${folder.describe(file.name)}: not a model that can be read; expected one of ${modelExtensions.map((ext) => `.${ext}`).join(", ")}`,
  );
}

/**
 * The file in a folder that stands for the model in it: the manifest named like the folder, else the only manifest, else
 * the only model file. Throws InputError that lists the candidates.
 */
export async function mainFile(folder: Folder, folderName: string): Promise<string> {
  const names = (await folder.list?.()) ?? [];
  const files = (extension: string): string[] =>
    names.filter((name) => splitName(name).extension === extension && !name.startsWith("."));
  if (names.includes(`${folderName}.json`)) return `${folderName}.json`;
  for (const extension of modelExtensions.filter((ext) => ext !== "bin")) {
    const found = files(extension);
    if (found.length === 1) return found[0];
    if (found.length > 1) {
      throw new InputError(`${folderName}: several models, name one of them: ${brief(found.join(", "))}`);
    }
  }
  throw new InputError(
    names.length
      ? `${folderName}: no model in this folder; expected one of ${modelExtensions.map((ext) => `.${ext}`).join(", ")}`
      : `${folderName}: the folder is empty; expected a model in it`,
  );
}
