/** Paths as people and other programs give them, and as results tell them. */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expectKind, isCalled } from "../base/arguments.ts";
import { quote } from "../base/text.ts";
import { UsageError } from "../index.ts";

/**
 * A path that functions of Node take: of a `file:` address (as text or URL) the path; on Windows without the prefix `\\?\`, which Node
 * adds by itself where a path is long, and in which `/` and `..` mean nothing. `paths` are the rules, of this system if not given.
 * Throws UsageError for an address that names no file here.
 */
export function localPath(given: string | URL, paths: path.PlatformPath = path): string {
  expectKind("localPath: paths", paths, "an object");
  const isUrl = isCalled(given, "URL");
  if (isUrl || (typeof given === "string" && /^file:\/\//i.test(given))) {
    try {
      return fileURLToPath(given, { windows: paths.sep === "\\" });
    } catch (error) {
      const reason = error instanceof Error ? error.message : error;
      throw new UsageError(`${quote(String(given))} is no address of a file here: ${reason}`, {
        cause: error,
      });
    }
  }
  if (typeof given !== "string" || paths.sep !== "\\") return given as string;
  const long = /^\\\\\?\\(UNC\\|(?=[a-z]:))/i.exec(given);
  return long ? `${long[1] ? "\\\\" : ""}${given.slice(long[0].length)}` : given;
}

/** A path for results: with `/` on every system. Windows takes it as well, except behind `\\?\` and `\\.\`, which stay. */
export function slashed(file: string, paths: path.PlatformPath = path): string {
  expectKind("slashed: file", file, "a string");
  expectKind("slashed: paths", paths, "an object");
  return paths.sep === "\\" && !/^\\\\[?.]\\/.test(file) ? file.replaceAll("\\", "/") : file;
}
