/** Which sensitive layers stay float: those asked for, and those that a budget of accuracy, time or work allows. */
import { UsageError } from "../../base/errors.ts";
import { counted } from "../../base/text.ts";
import { quantizeGraph, shiftOutputs } from "../../quantize/index.ts";
import { type Budget, keepWithinBudget, sensitivityInputs } from "../budget.ts";
import { type EvaluationEntry, evaluateModels, readEntries } from "../evaluate.ts";
import type { Job } from "../job.ts";
import type { Stage } from "../stage.ts";

/** Below this fidelity to float on calibration pictures, int8 gives up `defaultBudget` for its most sensitive layers. */
const leastFidelity = 0.9;
const defaultBudget = { work: 0.05 };
const fidelityPictures = 24;

export const keepFloat: Stage = {
  name: "keep-float",
  async run(job) {
    const { keepFloat: asked = [] } = job.options;
    job.kept = new Map(asked.map((name) => [name, "asked for"]));
    const budget = await budgetOf(job, asked);
    if (budget) await spend(job, budget, asked);
    if (job.kept.size === 0) return;
    // The outputs were set right with all layers int8; with some in float, other shifts are left.
    const { graph, table, corrections } = job.calibrated;
    const int8Of = { table, corrections, keepFloat: [...job.kept.keys()] };
    await shiftOutputs(graph, job.calibrationSource(), int8Of, job.calibrateOptions());
  },
};

/** The budget that was given, or the default one where int8 needs it. */
async function budgetOf(job: Job, asked: readonly string[]): Promise<Budget | undefined> {
  const { budget } = job.options;
  const { graph, table, corrections, method } = job.calibrated;
  if (budget && Object.values(budget).some((limit) => limit !== undefined)) return budget;
  if (method !== "auto") return undefined;
  const { manifest } = job.float;
  const float = await job.start(job.float);
  const int8 = await job.start({
    graph: quantizeGraph(graph, table, { corrections, keepFloat: asked }),
    manifest,
  });
  const step = Math.max(1, Math.floor(job.calibration.length / fidelityPictures));
  const some = job.calibration.filter((_, i) => i % step === 0).slice(0, fidelityPictures);
  const { models } = await evaluateModels([float, int8], job.items(some), {
    size: job.size,
    signal: job.options.signal,
    onProgress: (done) => job.progress("accuracy", done, some.length),
  });
  const { fidelity = -1 } = models[1].fidelity ?? {};
  if (fidelity < 0 || fidelity >= leastFidelity) return undefined;
  job.notes.push(
    `With all layers int8, fidelity is ${(100 * fidelity).toFixed(1)} on ${counted(some.length, "calibration picture")}. The most sensitive layers therefore stay float, as far as they are no more than ${100 * defaultBudget.work} % of the work.`,
  );
  return defaultBudget;
}

async function spend(job: Job, budget: Budget, asked: readonly string[]): Promise<void> {
  const { graph, table, corrections } = job.calibrated;
  const labelled = job.evaluation !== job.calibration && (await hasTruth(job.evaluation));
  if (budget.ap !== undefined && !labelled) {
    throw new UsageError(
      "a budget of AP needs labelled pictures to measure it on: give them with their labels",
    );
  }
  const result = await keepWithinBudget({
    ...{ graph, table, corrections, keepFloat: asked, budget, threads: job.options.threads, size: job.size },
    manifest: job.float.manifest,
    inputs: await sensitivityInputs(job.items(job.calibration), job.float.manifest.input),
    items: labelled ? () => job.items(job.evaluation) : undefined,
    onProgress: (what, done, total) => job.progress(what, done, total),
  });
  for (const [name, reason] of result.reasons) job.kept.set(name, reason);
  if (!result.met) {
    job.notes.push(
      `The budget of AP could not be kept: with all sensitive layers in float ${(100 * (result.apLoss ?? 0)).toFixed(1)} AP are lost.`,
    );
  }
  if (budget.ap !== undefined) {
    job.notes.push("Layers that stay float were chosen on the same pictures as accuracy is measured on.");
  }
}

async function hasTruth(entries: readonly EvaluationEntry[]): Promise<boolean> {
  for await (const { truth } of readEntries(entries, () => {})) return truth !== undefined;
  return false;
}
