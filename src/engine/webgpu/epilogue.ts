/** The end of a step (kernels/webgpu/_epilogue.ts): what is done to results, where they go, and the constants for it. */
import type { EpilogueSpec, EpilogueStep } from "../../kernels/webgpu/index.ts";
import { type EpilogueData, packVectors } from "../epilogue.ts";
import { floatOf } from "../representations.ts";
import type { FusedStep } from "../steps.ts";
import type { Representation, Value } from "../values.ts";

export interface Ending {
  readonly epilogue: EpilogueSpec;
  /** Arguments behind the kernel's own. */
  readonly args: readonly number[];
  readonly constants?: Float32Array;
}

/** `stores`: what is written, all representations when absent. */
export function endingOf(
  output: Value,
  fused: readonly FusedStep[],
  accumulator: EpilogueSpec["accumulator"],
  data: Omit<EpilogueData, "fused"> & { readonly roundOnce?: boolean } = {},
): Ending {
  const stores: readonly Representation[] = data.stores ?? output.representations;
  const epilogue: EpilogueSpec = {
    accumulator,
    correction: false,
    roundOnce: data.roundOnce ?? false,
    steps: fused.map(epilogueStep),
    stores: stores.map(({ dtype }) => ({ dtype })),
    groups: output.slotCount / 4,
  };
  const residuals = fused.flatMap((done) => (done.kind === "residual" ? [floatOf(done.value).address] : []));
  const constants = packVectors(epilogue, output, { ...data, fused });
  return {
    epilogue,
    args: [...residuals, ...stores.map(({ address }) => address)],
    ...(constants.length > 0 && { constants }),
  };
}

function epilogueStep(done: FusedStep): EpilogueStep {
  return done.kind === "scale" || done.kind === "residual" ? { kind: done.kind } : done;
}
