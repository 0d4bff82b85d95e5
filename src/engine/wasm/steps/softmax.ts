import { emitSoftmax, type SoftmaxSpec } from "../../../kernels/wasm/index.ts";
import { floatOf, origin } from "../../representations.ts";
import type { SoftmaxStep } from "../../steps.ts";
import { callOverRows, type StepKind, sizeOf } from "./kind.ts";

export const softmax: StepKind<SoftmaxStep, SoftmaxSpec> = {
  kind: "softmax",
  quantizes: false,
  needs: ({ input }, read) => read.float(input),
  lowest: () => 0,
  plan: ({ kind, nodes, input, output }) => {
    const [source, target] = [floatOf(input), floatOf(output)];
    const spec: SoftmaxSpec = {
      kind,
      rows: output.height,
      width: output.width,
      channels: output.channels,
      pixelBytes: source.pixelBytes,
      rowBytes: source.rowBytes,
      outPixelBytes: target.pixelBytes,
      outRowBytes: target.rowBytes,
    };
    return {
      kind,
      nodes,
      label: `softmax ${sizeOf(output)}`,
      macs: 0,
      bytes: source.byteLength + target.byteLength,
      calls: [callOverRows(spec, [origin(source), origin(target)], output)],
    };
  },
  emit: emitSoftmax,
};
