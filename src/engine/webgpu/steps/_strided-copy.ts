import { leftPadded } from "../../../ops/shapes.ts";
import { floatOf } from "../../representations.ts";
import type { DenseView, Value } from "../../values.ts";
import type { KernelCall } from "../records.ts";

interface Part {
  readonly view: DenseView;
  /** First element of the output. */
  readonly at: number;
}

/** Strided tensors to a dense value; parts in the order of their places. */
export function stridedCopy(parts: readonly Part[], output: Value): KernelCall {
  return {
    spec: {
      kind: "stridedCopy",
      count: output.channels * output.height * output.width,
      parts: parts.length,
      whole: parts.every(takesGroups),
    },
    args: [floatOf(output).address],
    table: Uint32Array.from(parts.flatMap(numbersOf)),
  };
}

function numbersOf({ view, at }: Part): number[] {
  const [, ...extents] = leftPadded(view.shape, 1);
  const strides = leftPadded(view.strides, 0);
  return [floatOf(view.value).address * 4 + view.offset, at, ...extents, ...strides, 0, 0, 0];
}

/** Whether four elements that lie side by side in the output do so in the input, and begin a group. */
function takesGroups({ view: { shape, strides, offset }, at }: Part): boolean {
  const rest = shape.slice(0, -1).every((extent, i) => extent === 1 || strides[i] % 4 === 0);
  return shape.at(-1)! % 4 === 0 && strides.at(-1) === 1 && rest && offset % 4 === 0 && at % 4 === 0;
}
