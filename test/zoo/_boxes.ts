/** Networks of the benchmark that find objects, run with weights out of a seed; shared by the test and scripts/zoo-boxes.ts. */
import { Random } from "../../src/base/random.ts";
import { toTensor } from "../../src/detect/letterbox.ts";
import { printParam, writeWeights } from "../../src/formats/ncnn/index.ts";
import { type Detection, load } from "../../src/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { synthesize } from "../../src/zoo/weights.ts";

export interface NetworkRun {
  /** Name of the input blob, and what it was given. */
  blob: string;
  input: Tensor;
  outputs: Record<string, Tensor>;
  detections: Detection[];
}

/** Gives the graph its weights and runs it on noise of its size, so that nothing is resized. */
export async function runNetwork(graph: Graph, size: number, seed: number): Promise<NetworkRun> {
  synthesize(graph, { [graph.inputs[0]]: [3, size, size] }, seed);
  const random = new Random(size);
  const data = Uint8Array.from({ length: size * size * 3 }, () => random.int(0, 255));
  const picture = { width: size, height: size, channels: 3, data } as const;
  const model = await load({ param: printParam(graph), bin: writeWeights(graph) }, { threads: 1 });
  try {
    const { input } = model.manifest;
    const { tensor } = toTensor(picture, input);
    const outputs = await model.run({ [input.blob]: tensor });
    const detections = await model.detect(picture);
    return { blob: input.blob, input: tensor, outputs, detections };
  } finally {
    model.close();
  }
}
