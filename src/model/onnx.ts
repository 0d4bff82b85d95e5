/** ONNX exports. */
import { InputError } from "../base/errors.ts";
import { type OnnxImport, readOnnx } from "../formats/onnx/index.ts";
import { assumeManifest, bothSides } from "./assume.ts";
import { type Opener, type OpenOptions, sha256 } from "./format.ts";
import { type Folder, type NamedBytes, splitName } from "./source.ts";

export const openOnnx: Opener = async (file, folder, options) => {
  const { graph, heads, labels, inputSize, notes } = await readWithExternalData(file, folder, options);
  const found = heads?.every((head) => head.anchors) ? heads.map((head) => head.anchors ?? []) : undefined;
  const known = {
    anchors: options.anchors ?? found,
    labels: options.labels ?? labels,
    size: options.size ?? inputSize,
  };
  const { manifest, assumptions } = assumeManifest(graph, splitName(file.name).stem, known);
  manifest.provenance.source = file.name;
  manifest.provenance.sha256 = await sha256(file.bytes);
  const doubts = heads ? assumptions : [...notes, ...assumptions];
  return { graph, manifest, assumptions: doubts, raw: true, hasWeights: true };
};

/** Most files that a model may spread its tensors over. */
const maxExternalFiles = 256;

/** Reads again whenever a file turns out to be missing: reading is quick, and which files there are is told by the model. */
async function readWithExternalData(
  file: NamedBytes,
  folder: Folder,
  options: OpenOptions,
): Promise<OnnxImport> {
  const files = new Map<string, Uint8Array>();
  for (;;) {
    let wanted: string | undefined;
    const external = (name: string): Uint8Array => {
      const bytes = files.get(name);
      if (bytes) return bytes;
      wanted = name;
      throw new InputError(`${file.name}: its tensors are in ${folder.describe(name)}, which is missing`);
    };
    try {
      return readOnnx(file.bytes, folder.describe(file.name), {
        external,
        inputSize: bothSides(options.size),
      });
    } catch (error) {
      const bytes =
        wanted !== undefined && files.size < maxExternalFiles ? await folder.read(wanted) : undefined;
      if (wanted === undefined || !bytes) throw error;
      files.set(wanted, bytes);
    }
  }
}
