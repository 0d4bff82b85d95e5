import type { StridedCopySpec } from "../../../kernels/wasm/index.ts";
import { leftPadded } from "../../../ops/shapes.ts";
import { floatOf, origin } from "../../representations.ts";
import type { DenseView, Representation } from "../../values.ts";
import type { KernelCall } from "../records.ts";

/** A strided tensor to the elements of `target` from number `at` on. */
export function stridedCopy(view: DenseView, target: Representation, at = 0): KernelCall {
  const shape = leftPadded(view.shape, 1);
  const spec: StridedCopySpec = { kind: "stridedCopy", shape, strides: leftPadded(view.strides, 0) };
  const args = [origin(floatOf(view.value)) + view.offset * 4, origin(target) + at * 4];
  return { spec, args, total: shape[0] * shape[1], unit: 1 };
}
