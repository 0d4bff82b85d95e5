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
import { expectKind } from "./base/arguments.ts";
import type { Picture } from "./index.ts";
import {
  type LoadOptions,
  type Model,
  type ModelSource,
  type OpenedModel,
  type OpenOptions,
  open as openSource,
} from "./index.ts";
import { provideNodeGpu } from "./node/gpu.ts";
import { isOnDisk, locate } from "./node/locate.ts";
import { encodePicture } from "./node/picture.ts";
import type { PullOptions } from "./node/pull.ts";
import { writeFiles } from "./node/write.ts";
import { openModel } from "./open/formats.ts";
import { startModel } from "./open/model.ts";

export * from "./index.ts";
export { modelCache } from "./node/cache.ts";
export {
  type Dataset,
  type DatasetOptions,
  listPictures,
  openDataset,
  openPictures,
} from "./node/dataset.ts";
export { replaceFolder } from "./node/folder.ts";
export { fontLetterer } from "./node/lettering.ts";
export { type ModuleFolderOptions, moduleFolder } from "./node/modules.ts";
export { encodePicture, type FilePicture, pictureExtensions, readPicture } from "./node/picture.ts";
export { type PulledFile, type PulledModel, type PullOptions, pullModel } from "./node/pull.ts";
export { type WideVectors, wideVectors } from "./node/wide-vectors.ts";
export { writeFiles } from "./node/write.ts";
/**
 * Loads a model so that it can run: from a path on disk (a manifest, `.param`, `.bin`, `.pt`, `.onnx`, or a folder with a model in
 * it), by a name of the registry such as `yolov5ss` where there is no such file (downloaded once, then cached), or from anything
 * that `load` of `ncnnkit` takes. Throws as that does.
 */
export async function load(source: ModelSource, options: LoadOptions & PullOptions = {}): Promise<Model> {
  expectKind("load: options", options, "an object of options");
  provideNodeGpu();
  return startModel(await open(source, { ...options, runOnly: true }), options);
}

/** Reads a model from disk, by name (or as `open` of `ncnnkit`) without making it ready to run. */
export async function open(
  source: ModelSource,
  options: OpenOptions & PullOptions = {},
): Promise<OpenedModel> {
  expectKind("open: options", options, "an object of options");
  if (!isOnDisk(source)) return openSource(source, options);
  const { folder, name } = await locate(source, options);
  return openModel(folder, name, options);
}

/** Writes a picture in the format of the file's extension; the file appears complete or not at all. Throws InputError. */
export async function writePicture(file: string, picture: Picture): Promise<void> {
  expectKind("writePicture: file", file, "a string");
  expectKind("writePicture: picture", picture, "a picture ({ width, height, data })");
  const bytes = await encodePicture(picture, file);
  await writeFiles(path.dirname(file), { [path.basename(file)]: bytes });
}
