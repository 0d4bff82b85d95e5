/** Files of `ncnnkit compile`: ready to run, and nothing else. */
import { FormatError, UsageError } from "../base/errors.ts";
import { readCompiled } from "../formats/compiled.ts";
import { Graph } from "../ir/graph.ts";
import { inputType } from "../ir/op.ts";
import { type Opener, sha256 } from "./format.ts";

/** Throws FormatError for another WebAssembly module, and for a file that has changed. */
export const openCompiled: Opener = async (file, folder, { runOnly }) => {
  const where = folder.describe(file.name);
  const { facts, digest, digested, pages } = readCompiled(file.bytes, where);
  const found = await sha256(file.bytes.subarray(0, digested));
  if (found !== undefined && found !== digest) {
    throw new FormatError(
      `${where}: SHA-256 ${found.slice(0, 16)}…, expected ${digest.slice(0, 16)}…: the file is damaged; fetch or compile it again`,
    );
  }
  if (!runOnly) {
    throw new UsageError(
      `${where}: a compiled file can be run and inspected, and nothing else; give the model that it was made from`,
    );
  }
  const { manifest, sizes, whyNoDecode, name, mode, pictures } = facts;
  const [{ width, height }] = sizes;
  const graph = new Graph();
  graph.add({ type: inputType, name: manifest.input.blob, outputs: [manifest.input.blob] });
  return {
    graph,
    manifest: { ...manifest, input: { ...manifest.input, width, height } },
    ...{ assumptions: [], raw: false, hasWeights: true, toldBy: "the file" },
    ...(!manifest.heads.length && { whyNoHeads: whyNoDecode }),
    compiled: {
      facts,
      source: { name, bytes: file.bytes as Uint8Array<ArrayBuffer>, mode, pictures, sizes, pages },
    },
  };
};
