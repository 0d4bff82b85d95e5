/** Training checkpoints of PyTorch. */
import { UsageError } from "../base/errors.ts";
import { version } from "../base/version.ts";
import { readTorch, type TorchModel, torchInputBlob } from "../formats/torch/index.ts";
import { preprocessingOf } from "../heads/families.ts";
import type { Manifest } from "../heads/manifest.ts";
import { labelsFor } from "./assume.ts";
import { defaultSize } from "./facts.ts";
import { type Opener, sha256 } from "./format.ts";
import { type NamedBytes, splitName } from "./source.ts";
import { asTold } from "./told.ts";

export const openTorch: Opener = async (file, folder, options) => {
  const model = readTorch(file.bytes, folder.describe(file.name), { endToEnd: options.endToEnd });
  if (options.anchors) {
    throw new UsageError(
      `${file.name}: a checkpoint holds its anchors, where it has any; --anchors is for files that do not: leave it out`,
    );
  }
  const assumed: string[] = [];
  const labels = model.labels ?? labelsFor(model.classes, options.labels, assumed);
  const { manifest, assumptions } = asTold(torchManifest(model, labels, file), options);
  manifest.provenance.sha256 = await sha256(file.bytes);
  return {
    graph: model.graph,
    manifest,
    assumptions: [...assumed, ...assumptions],
    toldBy: "the modules of the checkpoint",
    raw: true,
    hasWeights: true,
  };
};

function torchManifest(model: TorchModel, labels: string[], file: NamedBytes): Manifest {
  const { stem } = splitName(file.name);
  const { stride } = model.input;
  // As these frameworks do with a size that is none of the network's.
  const side = Math.ceil((model.input.size ?? defaultSize) / stride) * stride;
  const channels = model.input.channels === 1 ? 1 : 3;
  return {
    version: 1,
    name: stem,
    param: `${stem}.param`,
    bin: `${stem}.bin`,
    input: {
      blob: torchInputBlob,
      width: side,
      height: side,
      stride,
      channels,
      ...preprocessingOf(model.family, channels),
      ...model.levels,
    },
    heads: model.heads,
    labels,
    provenance: { tool: `ncnnkit ${version}`, source: file.name, passes: [], checkpoint: model.provenance },
  };
}
