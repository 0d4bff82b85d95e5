/**
 * ncnnkit in Node: everything of `ncnnkit`, and models and pictures on disk.
 *
 * ```ts
 * import { load, readPicture } from "ncnnkit/node";
 * const model = await load("out/yolov5ss.json");
 * console.log(await model.detect(await readPicture("photo.jpg")));
 * model.close();
 * ```
 */
import path from "node:path";
import type { Picture } from "./index.ts";
import {
  type LoadOptions,
  type Model,
  type ModelSource,
  type OpenedModel,
  type OpenOptions,
  open as openSource,
} from "./index.ts";
import { mainFile, openModel } from "./model/formats.ts";
import { startModel } from "./model/model.ts";
import { diskFolder, kindOf, writeFiles } from "./node/files.ts";
import { encodePicture } from "./node/picture.ts";

export * from "./index.ts";
export {
  type Dataset,
  type DatasetOptions,
  listPictures,
  openDataset,
  openPictures,
} from "./node/dataset.ts";
export {
  diskFolder,
  fileError,
  kindOf,
  makeFolder,
  readBytes,
  writeFiles,
  writePaths,
} from "./node/files.ts";
export { checkReplaceable, replaceFolder } from "./node/folder.ts";
export { expandPaths, type FoundFile } from "./node/paths.ts";
export {
  encodable,
  encodePicture,
  type FilePicture,
  pictureExtensions,
  readPicture,
} from "./node/picture.ts";

/**
 * Loads a model so that it can run: from a path on disk (a manifest, `.param`, `.bin`, `.pt`, `.onnx`, or a folder with a model in
 * it), or from anything that `load` of `ncnnkit` takes. Throws as that does.
 */
export async function load(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  return startModel(await open(source, options), options);
}

/** Reads a model from disk (or as `open` of `ncnnkit`) without making it ready to run. */
export async function open(source: ModelSource, options: OpenOptions = {}): Promise<OpenedModel> {
  if (typeof source !== "string" || /^https?:\/\//.test(source)) return openSource(source, options);
  const isFolder = kindOf(source) === "folder";
  const directory = isFolder ? source : path.dirname(source);
  const folder = diskFolder(directory);
  const name = isFolder ? await mainFile(folder, path.basename(path.resolve(source))) : path.basename(source);
  return openModel(folder, name, options);
}

/** Writes a picture in the format of the file's extension; the file appears complete or not at all. Throws InputError. */
export async function writePicture(file: string, picture: Picture): Promise<void> {
  const bytes = await encodePicture(picture, file);
  await writeFiles(path.dirname(file), { [path.basename(file)]: bytes });
}
