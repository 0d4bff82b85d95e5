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
  emit(b: NetworkBuilder, root: TorchModule, options: TorchOptions): Network;
  /** Training size in pixels, where the checkpoint says it. `checkpoint` is what the model lay in. */
  trainingSize(root: TorchModule, checkpoint: PyDict | undefined): PyValue | undefined;
}

/** What a caller may choose. */
export interface TorchOptions {
  /**
   * Of models that have been trained both ways, as YOLOv10 and 26: the branches that give one box an object, so that none are dropped
   * for overlapping; default false, those that give many. Throws UsageError where the model has none.
   */
  endToEnd?: boolean;
}

export interface Network {
  /** In the order of the levels; all of one kind. */
  heads: Head[];
  classes: number;
  /** Input sizes must be multiples of it, in pixels: mostly the largest stride of a head. */
  stride: number;
  /** Whose pre-processing it has. */
  family: FamilyName;
  /** `value = (level − mean)·norm` for each channel, where the model says it otherwise than its family. */
  levels?: { mean: number[]; norm: number[] };
}

/** The graph's input. */
export const torchInputBlob = "images";

/** How the last module is told, and what of it is needed. */
export interface HeadRule<T> {
  is(layer: TorchModule): boolean;
  /** How many of its inputs results depend on; default all. What only the others need is left out. */
  inputs?(layer: TorchModule): number | undefined;
  /** Classes of modules behind it that are left out. */
  after?: readonly string[];
  emit(layer: TorchModule, inputs: readonly string[]): T;
}

/**
 * The layers of `model` as these frameworks run them: every module reads the outputs of the modules in its `f` (−1: the one before).
 * The last module is handed to the rule of heads with its inputs.
 */
export function emitLayers<T>(b: NetworkBuilder, root: TorchModule, head: HeadRule<T>): T {
  root.expectChildren(["model"]);
  const layers = root
    .child("model")
    .children()
    .map(([, layer]) => layer);
  const last = layers.findIndex((layer) => head.is(layer));
  const sources = layers.slice(0, last < 0 ? layers.length : last + 1).map(readSources);
  if (last < 0) {
    return root.unsupported(
      `there is no head that is known, only detectors can be converted (the last module is ${layers.at(-1)?.className ?? "missing"})`,
    );
  }
  const rest = layers.slice(last + 1).find(({ className }) => !head.after?.includes(className));
  if (rest) rest.unsupported(`a module behind ${layers[last].shortName}`);
  const used = sources[last].slice(0, head.inputs?.(layers[last]));
  const needed = reachedFrom(used, sources);
  const outputs: string[] = [];
  const inputsOf = (list: readonly number[]): string[] =>
    list.map((source) => (source === input ? torchInputBlob : outputs[source]));
  for (let i = 0; i < last; i++) {
    if (needed.has(i)) outputs[i] = b.emit(layers[i], ...inputsOf(sources[i]));
  }
  return head.emit(layers[last], inputsOf(used));
}

/** Number of the graph's input among modules: what the first one reads as "the one before". */
const input = -1;

/** The modules from which these are made. */
function reachedFrom(last: readonly number[], sources: readonly (readonly number[])[]): Set<number> {
  const found = new Set<number>(last);
  for (const index of found) for (const source of sources[index] ?? []) found.add(source);
  return found;
}

/** Numbers of the modules that the one at `index` reads. */
function readSources(layer: TorchModule, index: number): number[] {
  const f = layer.attribute("f");
  const list = Array.isArray(f) ? f : [f];
  if (list.length === 0) layer.fail("attribute f is an empty list, expected module numbers");
  return list.map((source) => {
    if (typeof source !== "number" || !Number.isInteger(source)) {
      return layer.fail(`attribute f is ${describe(f)}, expected module numbers`);
    }
    if (index === 0 && source === -1) return input;
    const at = source < 0 ? index + source : source;
    return at >= 0 && at < index
      ? at
      : layer.fail(`reads module ${source}, but only ${index} come before it`);
  });
}

/** Input pixels per cell. */
export function checkStride(m: TorchModule, stride: number): number {
  return Number.isInteger(stride) && stride >= 1 && stride <= 1024
    ? stride
    : m.fail(`stride ${stride}, expected a whole number of pixels`);
}
