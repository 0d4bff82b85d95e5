/** Where pictures are, in words that every machine understands: below the shared folder, wherever that is there; else as they are here. */
import path from "node:path";
import { isAddress } from "../node/addresses.ts";
import type { PlainEntry } from "../node/entries.ts";

const mark = "shared:";

/** The record for other machines. */
export function forOthers(plain: PlainEntry, root: string): PlainEntry {
  return places(plain, (file) => {
    if (isAddress(file)) return file;
    const absolute = path.resolve(file);
    const inside = path.relative(root, absolute);
    const isInside = inside !== "" && !inside.startsWith("..") && !path.isAbsolute(inside);
    return isInside ? mark + inside.split(path.sep).join("/") : absolute;
  });
}

/** The record on this machine. */
export const forHere = (plain: PlainEntry, root: string): PlainEntry =>
  places(plain, (file) => (file.startsWith(mark) ? path.join(root, file.slice(mark.length)) : file));

function places(plain: PlainEntry, place: (file: string) => string): PlainEntry {
  const moved = { ...plain, file: place(plain.file) };
  return moved.kind === "yolo" ? { ...moved, labelFile: place(moved.labelFile) } : moved;
}
