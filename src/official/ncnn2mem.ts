/**
 * The official ncnn2mem: a model as C arrays, for programs without a file system.
 * Source: ncnn tools/ncnn2mem.cpp; what the names look like is what C++ sources that include the headers rely on.
 */
import { expectKind } from "../base/arguments.ts";
import { writeBinaryParam, writeWeights, writtenNodes } from "../formats/ncnn/index.ts";
import type { Graph } from "../ir/graph.ts";

/** File names (with or without folders) that identifiers are made of. */
export interface MemoryNames {
  /** `.param` file: its identifier with `_id` is the namespace of the indices. */
  param: string;
  /** Binary `.param.bin` file: identifier of its array. */
  paramBin: string;
  bin: string;
  idHeader: string;
  memoryHeader: string;
}

/** The C++ files of ncnn2mem. */
export interface MemoryFiles {
  /** Binary form of the `.param`, without names. */
  paramBin: Uint8Array;
  /** C++ header: `LAYER_…` and `BLOB_…` constants, for `Extractor::input` and `extract` by index. */
  idHeader: string;
  /** C header: both files as `static const unsigned char` arrays, aligned to 4 bytes. */
  memoryHeader: string;
}

/** What ncnn2mem writes: a model as C++ arrays with the names of its blobs and layers. */
export function memoryFiles(graph: Graph, names: MemoryNames): MemoryFiles {
  expectKind("memoryFiles: graph", graph, "a graph");
  expectKind("memoryFiles: names", names, "an object");
  const paramBin = writeBinaryParam(graph);
  return {
    paramBin,
    idHeader: guarded(names.idHeader, indices(graph, `${identifier(names.param)}_id`)),
    memoryHeader: guarded(
      names.memoryHeader,
      byteArray(identifier(names.paramBin), paramBin) + byteArray(identifier(names.bin), writeWeights(graph)),
    ),
  };
}

/** The file's name without folders, every character that is no ASCII letter or digit an underscore. */
function identifier(path: string): string {
  const name = path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
  return sanitize(name).replace(/^(?=\d)/, "_");
}

const sanitize = (name: string): string => name.replaceAll(/[^A-Za-z0-9]/g, "_");

function guarded(file: string, body: string): string {
  const guard = `NCNN_INCLUDE_GUARD_${identifier(file)}`;
  return `#ifndef ${guard}\n#define ${guard}\n${body}#endif // ${guard}\n`;
}

function indices(graph: Graph, namespace: string): string {
  const taken = new Set<string>();
  const unique = (name: string): string => {
    let wanted = name;
    while (taken.has(wanted)) wanted += "_";
    taken.add(wanted);
    return wanted;
  };
  const lines: string[] = [];
  let blob = 0;
  for (const [layer, node] of writtenNodes(graph).entries()) {
    lines.push(`const int ${unique(`LAYER_${sanitize(node.name)}`)} = ${layer};\n`);
    for (const name of node.outputs) {
      lines.push(`const int ${unique(`BLOB_${sanitize(name)}`)} = ${blob++};\n`);
    }
  }
  return `namespace ${namespace} {\n${lines.join("")}} // namespace ${namespace}\n`;
}

const bytesPerLine = 16;
const hex = Array.from({ length: 256 }, (_, byte) => `0x${byte.toString(16).padStart(2, "0")},`);

function byteArray(name: string, bytes: Uint8Array): string {
  const align = "\n#ifdef _MSC_VER\n__declspec(align(4))\n#else\n__attribute__((aligned(4)))\n#endif\n";
  const lines: string[] = [];
  for (let i = 0; i < bytes.length; i += bytesPerLine) {
    const full = i + bytesPerLine <= bytes.length;
    lines.push(
      Array.from(bytes.subarray(i, i + bytesPerLine), (byte) => hex[byte]).join("") + (full ? "\n" : ""),
    );
  }
  return `${align}static const unsigned char ${name}[] = {\n${lines.join("")}};\n`;
}
