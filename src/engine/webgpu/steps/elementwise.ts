import { floatOf } from "../../representations.ts";
import type { ElementwiseStep } from "../../steps.ts";
import { endingOf } from "../epilogue.ts";
import { pixelsOf, type StepKind, sizeOf, trafficThrough } from "./kind.ts";

export const elementwise: StepKind<ElementwiseStep> = {
  kind: "elementwise",
  quantizes: true,
  needs: ({ a, b }, read) => {
    read.float(a);
    if (b.kind === "value") read.float(b.value);
  },
  plan: ({ kind, nodes, operator, a, b, fused, output }) => {
    const source = floatOf(a);
    const ending = endingOf(output, fused, "none");
    const [second, from] =
      b.kind === "value"
        ? ([
            { kind: "value", broadcast: b.broadcast, groups: b.value.slotCount / 4 },
            floatOf(b.value).address,
          ] as const)
        : ([b, 0] as const);
    return {
      kind,
      nodes,
      label: `elementwise ${b.kind === "none" ? fused.map((done) => (done.kind === "activation" ? done.activation.kind : done.kind)).join("+") : operator} ${sizeOf(output)}`,
      macs: 0,
      traffic: trafficThrough(b.kind === "value" ? [source, floatOf(b.value)] : [source], output),
      call: {
        spec: { kind, operator, pixels: pixelsOf(output), b: second, epilogue: ending.epilogue },
        args: [source.address, from, ...ending.args],
        constants: ending.constants,
      },
    };
  },
};
