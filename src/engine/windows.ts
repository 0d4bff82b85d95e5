/** Windows over both axes of a picture. */
import type { WindowAxis } from "../ir/op.ts";

export interface WindowAxes {
  readonly y: WindowAxis;
  readonly x: WindowAxis;
}

export function hasPadding({ y, x }: WindowAxes): boolean {
  return y.padBefore > 0 || y.padAfter > 0 || x.padBefore > 0 || x.padAfter > 0;
}

/** Whether some window sees padding only. */
export function hasEmptyWindow({ y, x }: WindowAxes): boolean {
  return [y, x].some((a) => a.padBefore >= a.kernel || (a.output - 1) * a.stride - a.padBefore >= a.input);
}

/** A window over the whole axis. */
export function fullAxis(extent: number): WindowAxis {
  return { kernel: extent, stride: 1, dilation: 1, padBefore: 0, padAfter: 0, input: extent, output: 1 };
}

/** A window of one cell at every place of the axis. */
export function pointAxis(extent: number): WindowAxis {
  return { kernel: 1, stride: 1, dilation: 1, padBefore: 0, padAfter: 0, input: extent, output: extent };
}

/** The same windows. Steps that are never taken may be any number in a file, also one that no address can be moved by: here they are 1. */
export function withTakenSteps({ y, x }: WindowAxes): WindowAxes {
  const axis = (a: WindowAxis): WindowAxis => ({
    ...a,
    stride: a.output === 1 ? 1 : a.stride,
    dilation: a.kernel === 1 ? 1 : a.dilation,
  });
  return { y: axis(y), x: axis(x) };
}
