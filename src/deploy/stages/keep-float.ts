/** Which layers stay float: those asked for, those that a budget allows, and those without which int8 would not be the float network's. */
import { UnsupportedError, UsageError } from "../../base/errors.ts";
import { copyCorrections, quantizeGraph } from "../../quantize/index.ts";
import { type EvaluationEntry, readEntries } from "../../tally/pictures.ts";
import { shiftOutputs } from "../calibrate.ts";
import { Guard, guardEntries } from "../guard.ts";
import type { Job } from "../job.ts";
import { judge, type ProtectInput, protect } from "../protect.ts";
import type { Stage } from "../stage.ts";

export const keepFloat: Stage = {
  name: "keep-float",
  async run(job) {
    const { keepFloat: asked = [], budget, threads, runner, effort, signal, sigmas } = job.options;
    const labelled = job.evaluation !== job.calibration && (await hasTruth(job.evaluation));
    if (budget?.ap !== undefined && !labelled) {
      throw new UsageError(
        "a budget of AP needs labelled pictures to measure it on: give them with their labels",
      );
    }
    const entries = guardEntries(job.calibration, effort);
    const guard = await Guard.start(job.float, job.items(entries), { threads, effort, signal });
    // The outputs were set right with all layers int8; with some in float, other shifts are left.
    if (asked.length) await setOutputsRight(job, asked);
    const { graph, table, corrections, unshifted, method, images } = job.calibrated;
    const input: ProtectInput = {
      ...{ guard, graph, table, corrections, unshifted, method, images, budget, threads, runner, signal },
      ...{ manifest: job.float.manifest, keepFloat: asked, size: job.size, sigmas },
      items: labelled ? () => job.items(job.evaluation) : undefined,
      onProgress: (what, done, total) => job.progress(what, done, total),
    };
    const found = await protect(input);
    job.kept = new Map([...asked.map((name): [string, string] => [name, "asked for"]), ...found.reasons]);
    if (!found.met && budget?.ap !== undefined) {
      job.notes.push(
        `The budget of AP could not be kept: with all sensitive layers in float ${(100 * (found.apLoss ?? 0)).toFixed(1)} AP are lost.`,
      );
    }
    if (budget?.ap !== undefined) {
      job.notes.push("Layers that stay float were chosen on the same pictures as accuracy is measured on.");
    }
    const kept = [...job.kept.keys()];
    if (found.reasons.size) await setOutputsRight(job, kept);
    const int8 = quantizeGraph(graph, table, { corrections: job.calibrated.corrections, keepFloat: kept });
    const { record, problem, note } = await judge(input, found, int8, kept);
    if (problem && !job.options.force) throw new UnsupportedError(`${job.name}: ${problem}`);
    job.guard = record;
    if (problem ?? note) job.notes.push(problem ?? note ?? "");
  },
};

async function setOutputsRight(job: Job, keepFloat: readonly string[]): Promise<void> {
  const { graph, table, unshifted } = job.calibrated;
  const corrections = copyCorrections(unshifted);
  await shiftOutputs(
    graph,
    job.calibrationSource(),
    { table, corrections, keepFloat },
    job.calibrateOptions(),
  );
  job.calibrated = { ...job.calibrated, corrections };
}

async function hasTruth(entries: readonly EvaluationEntry[]): Promise<boolean> {
  for await (const { truth } of readEntries(entries, () => {})) return truth !== undefined;
  return false;
}
