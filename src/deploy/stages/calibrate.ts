/** The int8 scales and corrections of the float model, with all layers int8. */
import { calibrateModel } from "../calibration.ts";
import type { Stage } from "../stage.ts";

export const calibrate: Stage = {
  name: "calibrate",
  async run(job) {
    job.calibrated = await calibrateModel(job.float.graph, job.calibrationSource(), job.calibrateOptions());
  },
};
