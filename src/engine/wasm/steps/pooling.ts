import { emitPooling, type PoolingSpec } from "../../../kernels/wasm/index.ts";
import { floatOf, origin, soleScale, writeBytes } from "../../representations.ts";
import type { PoolingStep } from "../../steps.ts";
import type { Representation } from "../../values.ts";
import { hasEmptyWindow } from "../../windows.ts";
import { epilogueOf, packEpilogue } from "../epilogue.ts";
import { callOverRows, type StepKind, sizeOf } from "./kind.ts";

export const pooling: StepKind<PoolingStep, PoolingSpec> = {
  kind: "pooling",
  quantizes: true,
  needs: (step, read) => {
    const scale = byteScale(step);
    if (scale === undefined) read.float(step.input);
    else read.int8(step.input, scale);
  },
  // The maximum of a window without a pixel is the lowest number.
  lowest: (step, of) => (hasEmptyWindow(step) ? Number.NEGATIVE_INFINITY : of(step.input)),
  copies: (step) => {
    if (byteScale(step) === undefined) return [];
    return step.output.representations.map((target) => [sourceOf(step), target] as const);
  },
  plan: (step, { data }) => {
    const { kind, nodes, operator, divisor, fused, output, x, y } = step;
    const source = sourceOf(step);
    const input = source.dtype;
    const epilogue = epilogueOf(fused, output.representations, "none");
    const spec: PoolingSpec = {
      kind,
      operator,
      input,
      zeroPoint: source.zeroPoint,
      kernelH: y.kernel,
      kernelW: x.kernel,
      strideH: y.stride,
      strideW: x.stride,
      padTop: y.padBefore,
      padLeft: x.padBefore,
      inputRows: y.input,
      inputWidth: x.input,
      rows: y.output,
      width: x.output,
      vectors: output.slotCount / 4,
      pixelBytes: source.pixelBytes,
      rowBytes: source.rowBytes,
      divisor,
      epilogue,
    };
    const constants = packEpilogue(data, epilogue, output, { fused });
    const args = [origin(source), constants, ...output.representations.map(origin)];
    return {
      kind,
      nodes,
      label: `pool ${operator} ${input} ${x.kernel}x${y.kernel} ${sizeOf(output)}`,
      macs: 0,
      bytes: source.byteLength + writeBytes(output),
      calls: [callOverRows(spec, args, output)],
    };
  },
  emit: emitPooling,
};

/** The scale of the bytes that it works on; undefined: floats. The largest of bytes is the byte of the largest. */
function byteScale({ operator, fused, output }: PoolingStep): number | undefined {
  return operator === "max" && fused.length === 0 ? soleScale(output) : undefined;
}

function sourceOf(step: PoolingStep): Representation {
  const scale = byteScale(step);
  return scale === undefined ? floatOf(step.input) : step.input.find("i8", scale, 0);
}
