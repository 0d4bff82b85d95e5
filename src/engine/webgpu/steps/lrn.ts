import { floatOf } from "../../representations.ts";
import type { LrnStep } from "../../steps.ts";
import { endingOf } from "../epilogue.ts";
import { pixelsOf, type StepKind, sizeOf, trafficThrough } from "./kind.ts";

export const lrn: StepKind<LrnStep> = {
  kind: "lrn",
  quantizes: true,
  needs: ({ input }, read) => read.float(input),
  plan: ({ kind, nodes, input, output, size, factor, bias, fused }) => {
    const ending = endingOf(output, fused, "none");
    const pixels = pixelsOf(output);
    return {
      kind,
      nodes,
      label: `lrn ${sizeOf(output)}`,
      macs: 0,
      traffic: trafficThrough([floatOf(input)], output),
      call: {
        spec: { kind, pixels, channels: output.channels, size, factor, bias, epilogue: ending.epilogue },
        args: [floatOf(input).address, ...ending.args],
        constants: ending.constants,
      },
    };
  },
};
