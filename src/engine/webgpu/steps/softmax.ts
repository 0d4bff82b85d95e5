import { floatOf } from "../../representations.ts";
import type { SoftmaxStep } from "../../steps.ts";
import { pixelsOf, type StepKind, sizeOf, trafficOf } from "./kind.ts";

export const softmax: StepKind<SoftmaxStep> = {
  kind: "softmax",
  quantizes: false,
  needs: ({ input }, read) => read.float(input),
  plan: ({ kind, nodes, input, output }) => ({
    kind,
    nodes,
    label: `softmax ${sizeOf(output)}`,
    macs: 0,
    traffic: [floatOf(input), floatOf(output)].map(trafficOf),
    call: {
      spec: {
        kind,
        pixels: pixelsOf(output),
        channels: output.channels,
        exact: output.representations.some(({ dtype }) => dtype === "i8"),
      },
      args: [floatOf(input).address, floatOf(output).address],
    },
  }),
};
