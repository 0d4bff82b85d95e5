import { floatOf, soleScale } from "../../representations.ts";
import type { PoolingStep } from "../../steps.ts";
import { endingOf } from "../epilogue.ts";
import { type StepKind, sizeOf, trafficThrough } from "./kind.ts";

export const pooling: StepKind<PoolingStep> = {
  kind: "pooling",
  quantizes: true,
  needs: (step, read) => {
    const scale = byteScale(step);
    if (scale === undefined) read.float(step.input);
    else read.int8(step.input, scale);
  },
  plan: (step) => {
    const { kind, nodes, input, operator, divisor, fused, output, x, y } = step;
    const scale = byteScale(step);
    const source = scale === undefined ? floatOf(input) : input.find("i8", scale, 0);
    const ending = endingOf(output, fused, "none");
    return {
      kind,
      nodes,
      label: `pool ${operator} ${source.dtype} ${x.kernel}x${y.kernel} ${sizeOf(output)}`,
      macs: 0,
      traffic: trafficThrough([source], output),
      call: {
        spec: { kind, operator, input: source.dtype, divisor, y, x, epilogue: ending.epilogue },
        args: [source.address, ...ending.args],
        constants: ending.constants,
      },
    };
  },
};

/** The scale of the bytes that it works on; undefined: floats. The largest of bytes is the byte of the largest. */
function byteScale({ operator, fused, output }: PoolingStep): number | undefined {
  return operator === "max" && fused.length === 0 ? soleScale(output) : undefined;
}
