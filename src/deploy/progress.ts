/** What a deployment tells of while it runs. */
import type { CalibrateProgress } from "./calibrate.ts";

/** What progress is told of: the phases of calibration, then the rest, in the order in which they come. */
export type DeployStage =
  | CalibrateProgress["phase"]
  | "sensitivity"
  | "accuracy"
  | "evaluate"
  | "compare"
  | "time"
  | "draw";

/** What is done, in words, for the command line and for pages. */
export const stageTitles: Readonly<Record<DeployStage, string>> = {
  equalize: "Watch the ranges of channels",
  observe: "Watch the ranges of activations",
  correct: "Correct the rounding of weights",
  outputs: "Set the outputs right",
  sensitivity: "Find sensitive layers",
  accuracy: "Measure accuracy on some pictures",
  evaluate: "Compare fp32, fp16 and int8 on pictures",
  compare: "Compare layer by layer",
  time: "Measure time",
  draw: "Draw examples",
};

/** How far a stage has come. */
export interface DeployProgress {
  stage: DeployStage;
  done: number;
  /** Where it is known. */
  total?: number;
}
