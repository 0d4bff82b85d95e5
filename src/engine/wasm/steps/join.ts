import { emitStridedCopy, type StridedCopySpec } from "../../../kernels/wasm/index.ts";
import { floatOf, writeBytes } from "../../representations.ts";
import type { JoinStep } from "../../steps.ts";
import { stridedCopy } from "./_strided-copy.ts";
import type { StepKind } from "./kind.ts";

export const join: StepKind<JoinStep, StridedCopySpec> = {
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
    bytes: 2 * writeBytes(output),
    calls: parts.map(({ view, at }) => stridedCopy(view, floatOf(output), at)),
  }),
  emit: emitStridedCopy,
};
