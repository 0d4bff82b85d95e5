import { floatOf } from "../../representations.ts";
import type { CopyStep } from "../../steps.ts";
import { stridedCopy } from "./_strided-copy.ts";
import { type StepKind, trafficOf } from "./kind.ts";

export const copy: StepKind<CopyStep> = {
  kind: "copy",
  quantizes: false,
  needs: ({ input }, read) => read.float(input.value),
  plan: ({ kind, nodes, input, output }) => ({
    kind,
    nodes,
    label: `copy ${[...input.shape].reverse().join("x")}`,
    macs: 0,
    traffic: [floatOf(output), floatOf(output)].map(trafficOf),
    call: stridedCopy([{ view: input, at: 0 }], output),
  }),
};
