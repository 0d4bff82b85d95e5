/** Files that were dropped, pasted or chosen: which are models, which pictures, which videos. */

export interface Sorted {
  /** One list a model, its main file first. */
  models: File[][];
  pictures: File[];
  videos: File[];
  /** Names of files that are none of these. */
  others: string[];
}

/** A file with the folder that it lay in, `""` for none. */
interface Placed {
  file: File;
  folder: string;
}

const extensionOf = (name: string): string => /\.([^.]+)$/.exec(name)?.[1].toLowerCase() ?? "";
/** The name without its last extension. */
export const stemOf = (name: string): string => name.replace(/\.[^.]*$/, "");
const pictureEnds = new Set(["jpg", "jpeg", "png", "webp", "bmp", "gif", "avif"]);
const videoEnds = new Set(["mp4", "webm", "mov", "m4v", "mkv", "ogv"]);
/** In the order in which a model is begun with. */
const modelEnds = ["json", "param", "pt", "pth", "onnx", "bin"];
export const pictureTypes = "image/*";
export const modelTypes = modelEnds.map((end) => `.${end}`).join(",");

export const isPicture = (file: File): boolean =>
  file.type.startsWith("image/") ? file.type !== "image/svg+xml" : pictureEnds.has(extensionOf(file.name));
const isVideo = (file: File): boolean =>
  file.type.startsWith("video/") || videoEnds.has(extensionOf(file.name));

/** Sorts chosen files; `webkitRelativePath` tells folders apart. */
export function sortFiles(files: readonly File[]): Sorted {
  return sortPlaced(
    files.map((file) => ({ file, folder: file.webkitRelativePath.replace(/\/?[^/]*$/, "") })),
  );
}

function sortPlaced(all: readonly Placed[]): Sorted {
  const shown = all.filter(({ file }) => !file.name.startsWith("."));
  const isModel = ({ file }: Placed): boolean => modelEnds.includes(extensionOf(file.name));
  const models = groupModels(shown);
  const known = new Set(models.flat());
  const rest = shown.filter((each) => !isModel(each) && !known.has(each.file)).map(({ file }) => file);
  return {
    models,
    pictures: rest.filter(isPicture),
    videos: rest.filter(isVideo),
    others: rest.filter((file) => !isPicture(file) && !isVideo(file)).map(({ name }) => name),
  };
}

/**
 * Files of one folder and stem are one model: a checkpoint beside a `.param` tells its anchors and names. Groups without
 * anything to begin with (a lone `.bin`) stay, for the reader to explain; other JSON lying about is no model.
 */
function groupModels(files: readonly Placed[]): File[][] {
  const groups = new Map<string, Placed[]>();
  for (const placed of files.filter(({ file }) => modelEnds.includes(extensionOf(file.name)))) {
    const key = `${placed.folder}/${stemOf(placed.file.name)}`;
    groups.set(key, [...(groups.get(key) ?? []), placed]);
  }
  const rank = ({ file }: Placed): number => modelEnds.indexOf(extensionOf(file.name));
  const lists = [...groups.values()].map((list) => list.sort((a, b) => rank(a) - rank(b)));
  return lists
    .filter((list) => lists.length < 2 || list.length > 1 || extensionOf(list[0].file.name) !== "json")
    .map((list) => [...list, ...companionsOf(list[0], files)].map(({ file }) => file));
}

/** What the reader looks for beside a model: ultralytics' facts, and tensors of an ONNX file that are named after it. */
function companionsOf({ file: main, folder }: Placed, files: readonly Placed[]): Placed[] {
  return files.filter(
    ({ file: { name }, folder: other }) =>
      other === folder &&
      (name === "metadata.yaml" ||
        (name.startsWith(main.name) && /^[._](onnx_)?data$/.test(name.slice(main.name.length)))),
  );
}

/** What a drop or a paste brought, with the contents of folders. */
export async function sortTransfer(transfer: DataTransfer): Promise<Sorted> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  if (!entries.some((entry) => entry?.isDirectory)) return sortFiles([...transfer.files]);
  const placed: Placed[] = [];
  for (const entry of entries) if (entry) await walk(entry, "", placed);
  return sortPlaced(placed);
}

/** More files than this are taken for a mistake, such as a dropped home folder. */
const mostFiles = 20_000;

async function walk(entry: FileSystemEntry, folder: string, out: Placed[]): Promise<void> {
  if (out.length >= mostFiles) return;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    out.push({ file, folder });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const inside = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (!inside.length) return;
    for (const each of inside) await walk(each, `${folder}/${entry.name}`, out);
  }
}
