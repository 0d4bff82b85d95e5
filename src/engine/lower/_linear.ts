/**
 * Linear layers on the rows of a matrix. A matrix `[rows, columns]` lies in memory as a picture of height `rows`, width 1 and
 * `columns` channels, so that the kernels of pictures work on its rows, and threads share them.
 */
import type { FusedStep } from "../steps.ts";
import { pictureOf, type Value } from "../values.ts";
import { pointAxis } from "../windows.ts";
import type { Layer } from "./layer.ts";

/** Rows times a constant matrix `[outputs, inputs]`: a 1×1 convolution over the picture of the matrix. */
export function addLinear(
  { views, node }: Layer,
  name: string,
  input: Value,
  weight: Float32Array,
  bias: Float32Array | undefined,
  fused: FusedStep[] = [],
): Value {
  const rows = input.height;
  const output = views.matrixValue(name, [rows, weight.length / input.channels]);
  views.add({
    kind: "convolution",
    nodes: [node.name],
    input: pictureOf(input),
    weight,
    bias,
    y: pointAxis(rows),
    x: pointAxis(1),
    int8: undefined,
    roundOnce: false,
    fused,
    output,
  });
  return output;
}
