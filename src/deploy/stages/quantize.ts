/** The int8 model, and the three models ready to run. */
import { quantizeModel } from "../quantize.ts";
import type { Stage } from "../stage.ts";

export const quantize: Stage = {
  name: "quantize",
  async run(job) {
    const { graph, table, corrections, method, images } = job.calibrated;
    job.int8 = quantizeModel({ graph, manifest: job.float.manifest }, table, {
      ...{ name: `${job.name}-int8`, corrections, method, images },
      ...{ keepFloat: [...job.kept.keys()], reasons: job.kept },
    });
    job.int8.manifest.quantization.guard = job.guard;
    job.models = {
      float: await job.start(job.float),
      half: await job.start(job.half),
      int8: await job.start(job.int8),
    };
  },
};
