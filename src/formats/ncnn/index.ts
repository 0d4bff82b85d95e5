/** ncnn model files: `.param` (text or binary) and `.bin`. */
import { expectKind } from "../../base/arguments.ts";
import type { Graph } from "../../ir/graph.ts";
import { readWeights } from "./bin.ts";
import { isBinaryParam, parseBinaryParam } from "./param-binary.ts";
import { parseParam } from "./param-text.ts";

export { readWeights, writeWeights } from "./bin.ts";
export { isBinaryParam, parseBinaryParam, writeBinaryParam } from "./param-binary.ts";
export { parseParam, printParam } from "./param-text.ts";
export { withSplits as writtenNodes } from "./split.ts";

/**
 * A complete graph from the bytes of a `.param` file (text or binary) and its `.bin`.
 * `warn` is that of `parseParam`. Throws FormatError or GraphError that begins with the file's name.
 */
export function readNcnn(
  param: Uint8Array | string,
  bin: Uint8Array,
  paramName = "param",
  binName = "bin",
  warn?: (message: string) => void,
): Graph {
  expectKind("readNcnn: param", param, "text or bytes (a Uint8Array)");
  expectKind("readNcnn: bin", bin, "bytes (a Uint8Array)");
  const graph = readParam(param, paramName, warn);
  readWeights(graph, bin, binName);
  return graph;
}

/** A graph without weights from a `.param` file, text or binary. */
export function readParam(param: Uint8Array | string, name: string, warn?: (message: string) => void): Graph {
  if (typeof param === "string") return parseParam(param, name, warn);
  if (isBinaryParam(param)) return parseBinaryParam(param, name);
  return parseParam(new TextDecoder().decode(param), name, warn);
}
