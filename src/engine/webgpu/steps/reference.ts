import type { ReferenceStep } from "../../steps.ts";
import type { StepKind } from "./kind.ts";

export const reference: StepKind<ReferenceStep> = {
  kind: "reference",
  quantizes: false,
  needs: ({ inputs, outputs }, read) => {
    for (const { value } of inputs) read.float(value);
    // All outputs are made, whoever reads them.
    for (const { value } of outputs) if (value.needs.length === 0) read.float(value);
  },
  plan: (step) => ({
    kind: step.kind,
    nodes: step.nodes,
    label: `reference ${step.node.type}`,
    macs: 0,
    traffic: [],
    reference: step,
  }),
};
