/** Networks as passes run them. */
import { expectKind } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";
import { toTensor } from "../detect/letterbox.ts";
import type { Graph } from "../ir/graph.ts";
import type { Blobs } from "../ir/tensor.ts";
import type { EvaluationItem } from "./pictures.ts";
import type { Prepared, Subject, SubjectInput } from "./tally.ts";

/** A network that is given pictures, prepared as its model says. */
export function pictureSubject(
  graph: Graph,
  input: SubjectInput,
  how: Pick<Subject<EvaluationItem>, "backend" | "session"> = {},
): Subject<EvaluationItem> {
  return {
    ...how,
    ...{ graph, input },
    prepare: (item) => prepare(item, input),
  };
}

/** A picture as a model takes it. */
export function prepare(item: EvaluationItem, { of, options }: SubjectInput): Required<Prepared> {
  expectKind("items[i]", item, "an object");
  const { tensor, transform } = toTensor(item.picture, of, options);
  return { inputs: { [of.blob]: tensor }, transform };
}

/** A network that is given its inputs as they are. */
export function tensorSubject(
  graph: Graph,
  how: Pick<Subject<Blobs>, "backend" | "session"> = {},
): Subject<Blobs> {
  return {
    ...how,
    graph,
    prepare: (inputs) => {
      if (Object.keys(inputs).length) return { inputs };
      throw new UsageError("a picture is given as no input at all; expected tensors by blob name");
    },
  };
}
