/** Median milliseconds of each model; rounds alternate, so that a busy machine is unfair to none. */
import { median } from "../../base/maths.ts";
import { counted } from "../../base/text.ts";
import { randomInputs } from "../../open/benchmark.ts";
import type { Stage } from "../stage.ts";

const warmUpRounds = 2;
const timedRounds = 15;
/** Below this int8 gains nothing for what it loses. */
const leastSpeed = 1.1;

export const time: Stage = {
  name: "time",
  async run(job) {
    const { float, half, int8 } = job.models;
    const contenders = [float, half, int8].map((model) => ({
      model,
      inputs: randomInputs(model, job.size),
      times: [] as number[],
    }));
    for (let round = -warmUpRounds; round < timedRounds; round++) {
      for (const { model, inputs, times } of contenders) {
        const start = performance.now();
        await model.run(inputs);
        if (round >= 0) times.push(performance.now() - start);
      }
      job.options.signal?.throwIfAborted();
      job.progress("time", Math.max(round + 1, 0), timedRounds);
    }
    job.times = contenders.map(({ times }) => median(times));
    const speed = job.times[0] / job.times[2];
    if (speed < leastSpeed) {
      const why = job.kept.size ? `, with ${counted(job.kept.size, "layer")} in float` : "";
      job.notes.push(
        `Int8 runs at ${speed.toFixed(2)} times the speed of fp32 on this machine${why}: it is smaller, but hardly faster.`,
      );
    }
  },
};
