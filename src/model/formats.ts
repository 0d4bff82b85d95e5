/** The formats that a model can be opened from, tried by file extension, then by content. */
import { FormatError, InputError } from "../base/errors.ts";
import type { ModelFormat, OpenedModel, OpenOptions } from "./format.ts";
import { manifestFormat, ncnnFormat } from "./ncnn.ts";
import { onnxFormat } from "./onnx.ts";
import { type Folder, type NamedBytes, requireFile, splitName } from "./source.ts";
import { torchFormat } from "./torch.ts";

/** In the order in which a folder is searched. */
const formats: readonly ModelFormat[] = [manifestFormat, ncnnFormat, torchFormat, onnxFormat];

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
  return formatOf({ name, bytes }, folder).open({ name, bytes }, folder, options);
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
      throw new InputError(`${folderName}: several models, name one of them: ${found.join(", ")}`);
    }
  }
  throw new InputError(
    names.length
      ? `${folderName}: no model in this folder; expected one of ${modelExtensions.map((ext) => `.${ext}`).join(", ")}`
      : `${folderName}: the folder is empty; expected a model in it`,
  );
}
