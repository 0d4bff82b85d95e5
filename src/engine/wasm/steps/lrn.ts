import { emitLrn, type LrnSpec, lrnScratchBytes } from "../../../kernels/wasm/index.ts";
import type { LrnStep } from "../../steps.ts";
import { planNormalized } from "./_normalize.ts";
import type { StepKind } from "./kind.ts";

export const lrn: StepKind<LrnStep, LrnSpec> = {
  kind: "lrn",
  quantizes: true,
  needs: ({ input }, read) => read.float(input),
  plan: (step, at) => {
    const { kind, size, factor, bias } = step;
    at.needScratch(lrnScratchBytes(step.input.channels));
    return planNormalized(step, { kind, size, factor, bias }, "scratch", at);
  },
  emit: emitLrn,
};
