/** What the reader of one training framework says about itself; the list is `frameworks.ts`. */
import type { FamilyName } from "../../heads/families.ts";
import type { Head } from "../../heads/manifest.ts";
import type { Emitter, NetworkBuilder } from "./builder.ts";
import type { TorchModule } from "./module.ts";
import { describe, type PyDict, type PyValue } from "./values.ts";

/** A framework whose checkpoints hold the whole module tree. */
export interface Framework {
  /** Emitters of its module classes by full class name. */
  readonly emitters: ReadonlyMap<string, Emitter>;
  /** Whether a model is its own. Throws UnsupportedError for one that is, but is of a kind that cannot be converted. */
  claims(root: TorchModule): boolean;
  /** Appends the layers of the model and says what decoding needs. */
  emit(b: NetworkBuilder, root: TorchModule): Network;
  /** Training size in pixels, where the checkpoint says it. `checkpoint` is what the model lay in. */
  trainingSize(root: TorchModule, checkpoint: PyDict | undefined): PyValue | undefined;
}

export interface Network {
  /** In the order of the levels; all of one kind. */
  heads: Head[];
  classes: number;
  /** Whose pre-processing it has. */
  family: FamilyName;
}

/** The graph's input. */
export const torchInputBlob = "images";

/**
 * The layers of `model` as these frameworks run them: every module reads the outputs of the modules in its `f` (−1: the one before).
 * The last module is handed to `head` with its inputs; modules after it, of classes in `after`, are left out.
 */
export function emitLayers<T>(
  b: NetworkBuilder,
  root: TorchModule,
  isHead: (layer: TorchModule) => boolean,
  head: (layer: TorchModule, inputs: readonly string[]) => T,
  after: readonly string[] = [],
): T {
  root.expectChildren(["model"]);
  const outputs: string[] = [];
  const layers = root.child("model").children();
  for (const [index, [, layer]] of layers.entries()) {
    const sources = readSources(layer).map((f) =>
      sourceBlob(layer, f, outputs, index === 0 ? torchInputBlob : undefined),
    );
    if (isHead(layer)) {
      const rest = layers.slice(index + 1).find(([, { className }]) => !after.includes(className));
      if (rest) rest[1].unsupported(`a module behind ${layer.shortName}`);
      return head(layer, sources);
    }
    outputs.push(b.emit(layer, ...sources));
  }
  return root.unsupported(
    `there is no head that is known, only detectors can be converted (the last module is ${layers.at(-1)?.[1].className ?? "missing"})`,
  );
}

function readSources(layer: TorchModule): number[] {
  const f = layer.attribute("f");
  const sources = Array.isArray(f) ? f : [f];
  if (sources.length === 0) layer.fail("attribute f is an empty list, expected module numbers");
  return sources.map((source) =>
    typeof source === "number" && Number.isInteger(source)
      ? source
      : layer.fail(`attribute f is ${describe(f)}, expected module numbers`),
  );
}

function sourceBlob(
  layer: TorchModule,
  source: number,
  outputs: readonly string[],
  input: string | undefined,
): string {
  if (input !== undefined && source === -1) return input;
  const blob = outputs.at(source);
  return blob ?? layer.fail(`reads module ${source}, but only ${outputs.length} come before it`);
}

/** Input pixels per cell. */
export function checkStride(m: TorchModule, stride: number): number {
  return Number.isInteger(stride) && stride >= 1 && stride <= 1024
    ? stride
    : m.fail(`stride ${stride}, expected a whole number of pixels`);
}
