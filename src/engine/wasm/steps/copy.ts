import { emitStridedCopy, type StridedCopySpec } from "../../../kernels/wasm/index.ts";
import { floatOf } from "../../representations.ts";
import type { CopyStep } from "../../steps.ts";
import { stridedCopy } from "./_strided-copy.ts";
import type { StepKind } from "./kind.ts";

export const copy: StepKind<CopyStep, StridedCopySpec> = {
  kind: "copy",
  quantizes: false,
  needs: ({ input }, read) => read.float(input.value),
  plan: ({ kind, nodes, input, output }) => ({
    kind,
    nodes,
    label: `copy ${[...input.shape].reverse().join("x")}`,
    macs: 0,
    bytes: 2 * output.channels * 4,
    calls: [stridedCopy(input, floatOf(output))],
  }),
  emit: emitStridedCopy,
};
