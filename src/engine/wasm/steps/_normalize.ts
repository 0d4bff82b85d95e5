/** What LayerNorm and LRN have in common. */
import type { LayerNormSpec, LrnSpec } from "../../../kernels/wasm/index.ts";
import { floatOf, origin, writeBytes } from "../../representations.ts";
import type { LayerNormStep, LrnStep } from "../../steps.ts";
import { epilogueOf, packEpilogue } from "../epilogue.ts";
import type { PlanStep } from "../records.ts";
import { callOverRows, type Planning, sizeOf } from "./kind.ts";

/** `what`: the spec's own facts; `second`: the kernel's second argument. */
export function planNormalized(
  { nodes, input, fused, output }: LayerNormStep | LrnStep,
  what: Pick<LayerNormSpec, "kind" | "eps"> | Pick<LrnSpec, "kind" | "size" | "factor" | "bias">,
  second: number | "scratch",
  { data }: Planning,
): PlanStep {
  const source = floatOf(input);
  const epilogue = epilogueOf(fused, output.representations, "none");
  const spec: LayerNormSpec | LrnSpec = {
    ...what,
    rows: output.height,
    width: output.width,
    channels: output.channels,
    pixelBytes: source.pixelBytes,
    rowBytes: source.rowBytes,
    epilogue,
  };
  const constants = packEpilogue(data, epilogue, output, { fused });
  const args = [origin(source), second, constants, ...output.representations.map(origin)];
  return {
    kind: what.kind,
    nodes,
    label: `${what.kind} ${sizeOf(output)}`,
    macs: 0,
    bytes: source.byteLength + writeBytes(output),
    calls: [callOverRows(spec, args, output)],
  };
}
