/** Layer by layer, against the float graph with the same equalization, whose blobs are the ones that int8 stands for. */
import { compareModels } from "../compare.ts";
import type { Stage } from "../stage.ts";

const comparedPictures = 4;

export const compare: Stage = {
  name: "compare",
  async run(job) {
    const { manifest } = job.float;
    const reference = await job.start({ graph: job.calibrated.graph, manifest });
    const inputs = await job.tensors(comparedPictures);
    job.progress("compare", 0, inputs.length);
    job.layers = await compareModels(
      reference,
      job.models.int8,
      inputs.map((each) => each[manifest.input.blob]),
    );
  },
};
