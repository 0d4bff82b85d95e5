import { emitLayerNorm, type LayerNormSpec } from "../../../kernels/wasm/index.ts";
import type { LayerNormStep } from "../../steps.ts";
import { planNormalized } from "./_normalize.ts";
import type { StepKind } from "./kind.ts";

export const layerNorm: StepKind<LayerNormStep, LayerNormSpec> = {
  kind: "layerNorm",
  quantizes: true,
  needs: ({ input }, read) => read.float(input),
  plan: (step, at) => {
    const { kind, gamma, beta, eps } = step;
    const affine = new Float32Array(2 * gamma.length);
    for (let i = 0; i < gamma.length; i += 4) {
      affine.set(gamma.subarray(i, i + 4), 2 * i);
      affine.set(beta.subarray(i, i + 4), 2 * i + 4);
    }
    return planNormalized(step, { kind, eps }, at.data.add(affine), at);
  },
  emit: emitLayerNorm,
};
