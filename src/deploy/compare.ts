/**
 * Two models, or one on two backends, blob by blob over a number of pictures: where they begin to differ and by how much.
 * The tool for finding a wrong kernel (engine against reference) and a badly quantized layer (float32 against int8).
 */
import { expectKind } from "../base/arguments.ts";
import { InputError, UsageError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import type { Tensor } from "../ir/tensor.ts";
import { bothSides, type KnownFacts } from "../open/facts.ts";
import type { Model } from "../open/model.ts";
import { type BlobComparison, Differences } from "../tally/differences.ts";
import { type EntryReader, type EvaluationItem, iteratedPictures, type Pictures } from "../tally/pictures.ts";
import { type Runner, run } from "../tally/run.ts";
import { pictureSubject } from "../tally/subjects.ts";
import type { Subject } from "../tally/tally.ts";

export type { BlobComparison } from "../tally/differences.ts";

/** Options of `compareModels`. */
export interface CompareOptions {
  /** Input size for pictures; default that of the first model's manifest. */
  size?: KnownFacts["size"];
  /** What carries out the pass over the pictures; default: this thread. The result is the same. */
  runner?: Runner;
  signal?: AbortSignal;
  /** Told after every picture, or every few. */
  onProgress?: (done: number) => void;
}

/**
 * Compares every blob that both models have under the same name, in the order of the first model's layers. Requantized
 * blobs are compared as the floats that they stand for. `inputs` are input tensors, one a picture; or pictures of `readEntries`, which both get
 * as the first model prepares them.
 * Throws UsageError when the models share no blob or there are no pictures.
 */
export async function compareModels(
  reference: Model,
  candidate: Model,
  inputs: AsyncIterable<Tensor> | Iterable<Tensor> | EntryReader,
  options: CompareOptions = {},
): Promise<BlobComparison[]> {
  expectKind("compareModels: reference", reference, "a loaded model");
  expectKind("compareModels: candidate", candidate, "a loaded model");
  expectKind("compareModels: inputs", inputs, "pictures (something to iterate over)");
  const { size, ...rest } = options;
  const [pictures, subjects]: [Pictures<unknown>, Subject<unknown>[]] =
    "pictures" in inputs
      ? [inputs.pictures, [reference, candidate].map((model) => pictureOf(model, reference, size))]
      : [iteratedPictures(() => inputs), [reference, candidate].map(tensorOf)];
  const tally = new Differences(subjects[0], subjects[1]);
  if (tally.isEmpty) {
    throw new UsageError(
      `${reference.manifest.name} and ${candidate.manifest.name} have no blob of the same name to compare`,
    );
  }
  const images = await run([tally], pictures, { ...rest, title: "compare" });
  const given = pictures.listed?.entries.length ?? 0;
  if (images === 0 && given) throw new InputError(`none of the ${counted(given, "picture")} could be read`);
  if (images === 0) throw new UsageError("there is nothing to compare: no picture was given");
  return tally.result();
}

/** A model that is given pictures as another prepares them. */
function pictureOf(model: Model, { manifest }: Model, size: KnownFacts["size"]): Subject<EvaluationItem> {
  const { graph, backend } = model;
  const of = { ...manifest.input, blob: graph.inputs[0] };
  return pictureSubject(graph, { of, options: bothSides(size) ?? {} }, { backend, session: model });
}

const tensorOf = (model: Model): Subject<Tensor> => ({
  ...{ graph: model.graph, backend: model.backend, session: model },
  prepare: (input) => ({ inputs: { [model.graph.inputs[0]]: input } }),
});
