import { floatOf } from "../../representations.ts";
import type { JoinStep } from "../../steps.ts";
import { stridedCopy } from "./_strided-copy.ts";
import { type StepKind, trafficOf } from "./kind.ts";

export const join: StepKind<JoinStep> = {
  kind: "join",
  quantizes: false,
  needs: ({ parts }, read) => {
    for (const { view } of parts) read.float(view.value);
  },
  plan: ({ kind, nodes, parts, output }) => ({
    kind,
    nodes,
    label: `join ${parts.length} to ${output.channels}`,
    macs: 0,
    traffic: [floatOf(output), floatOf(output)].map(trafficOf),
    call: stridedCopy(
      [...parts].sort((a, b) => a.at - b.at),
      output,
    ),
  }),
};
