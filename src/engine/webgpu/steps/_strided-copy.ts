import type { StridedPart } from "../../../kernels/webgpu/index.ts";
import { leftPadded } from "../../../ops/shapes.ts";
import { floatOf } from "../../representations.ts";
import type { DenseView, Value } from "../../values.ts";
import type { KernelCall } from "../records.ts";

/** Strided tensors to a dense value. */
export function stridedCopy(
  parts: readonly { readonly view: DenseView; readonly at: number }[],
  output: Value,
): KernelCall {
  return {
    spec: {
      kind: "stridedCopy",
      count: output.channels * output.height * output.width,
      parts: parts.map(
        ({ view, at }): StridedPart => ({
          shape: leftPadded(view.shape, 1),
          strides: leftPadded(view.strides, 0),
          offset: view.offset,
          at,
        }),
      ),
    },
    args: [floatOf(output).address],
    table: Uint32Array.from(parts.flatMap(({ view }) => [floatOf(view.value).address, 0, 0, 0])),
  };
}
