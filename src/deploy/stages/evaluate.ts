/** Accuracy of the three models on pictures that calibration did not see, as far as there are some. */
import type { QuantizationRecord } from "../../heads/manifest.ts";
import { headline } from "../../tally/measure.ts";
import { type Evaluation, evaluateModels } from "../evaluate.ts";
import type { Stage } from "../stage.ts";

export const evaluate: Stage = {
  name: "evaluate",
  async run(job) {
    const { float, half, int8 } = job.models;
    job.measured = await evaluateModels([float, half, int8], job.items(job.evaluation), {
      size: job.size,
      sigmas: job.options.sigmas,
      runner: job.options.runner,
      signal: job.options.signal,
      onProgress: (done) => job.progress("evaluate", done, job.evaluation.length),
    });
    job.int8.manifest.quantization.accuracy = accuracyRecord(job.measured);
  },
};

function accuracyRecord({ images, models }: Evaluation): QuantizationRecord["accuracy"] {
  const [float, , int8] = models;
  const fidelity = int8.fidelity;
  const [apFloat, ap] = [float, int8].map(headline);
  return {
    images,
    ...(ap !== undefined && apFloat !== undefined && { ap, apFloat }),
    ...(fidelity && {
      fidelity: fidelity.fidelity,
      scoreChange: {
        small: fidelity.small.change,
        medium: fidelity.medium.change,
        large: fidelity.large.change,
      },
    }),
  };
}
