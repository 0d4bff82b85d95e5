import { floatOf } from "../../representations.ts";
import type { LayerNormStep } from "../../steps.ts";
import { endingOf } from "../epilogue.ts";
import { pixelsOf, type StepKind, sizeOf, trafficThrough } from "./kind.ts";

export const layerNorm: StepKind<LayerNormStep> = {
  kind: "layerNorm",
  quantizes: true,
  needs: ({ input }, read) => read.float(input),
  plan: ({ kind, nodes, input, output, eps, gamma, beta, fused }) => {
    const ending = endingOf(output, fused, "none");
    const affine = new Float32Array(2 * output.slotCount);
    affine.set(gamma);
    affine.set(beta, output.slotCount);
    return {
      kind,
      nodes,
      label: `layerNorm ${sizeOf(output)}`,
      macs: 0,
      traffic: trafficThrough([floatOf(input)], output),
      call: {
        spec: { kind, pixels: pixelsOf(output), channels: output.channels, eps, epilogue: ending.epilogue },
        args: [floatOf(input).address, ...ending.args],
        constants: ending.constants,
        table: new Uint32Array(affine.buffer),
      },
    };
  },
};
