import { floatOf } from "../../representations.ts";
import type { ImportStep } from "../../steps.ts";
import { endingOf } from "../epilogue.ts";
import { pixelsOf, type StepKind, sizeOf, trafficThrough } from "./kind.ts";

export const importStep: StepKind<ImportStep> = {
  kind: "import",
  quantizes: true,
  needs: ({ input }, read) => read.float(input),
  plan: ({ kind, nodes, input, output }) => {
    const ending = endingOf(output, [], "none");
    return {
      kind,
      nodes,
      label: `import ${sizeOf(output)}`,
      macs: 0,
      traffic: trafficThrough([floatOf(input)], output),
      call: {
        spec: { kind, channels: output.channels, pixels: pixelsOf(output), epilogue: ending.epilogue },
        args: [floatOf(input).address, ...ending.args],
        constants: ending.constants,
      },
    };
  },
};
