/** Windows over a picture: which cells of the input an output pixel sees. */

/** Of one axis; as `ir/op.ts` has it. */
export interface Axis {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padBefore: number;
  readonly input: number;
  readonly output: number;
}

export interface WindowSpec {
  readonly y: Axis;
  readonly x: Axis;
}

/** Whether some window reaches over the edge. */
export function reachesOut({ y, x }: WindowSpec): boolean {
  return [y, x].some(
    (a) =>
      a.padBefore > 0 || (a.output - 1) * a.stride - a.padBefore + (a.kernel - 1) * a.dilation + 1 > a.input,
  );
}

/** Every output pixel sees the input pixel of its own number. */
export function isPointwise({ y, x }: WindowSpec): boolean {
  return [y, x].every((a) => a.kernel === 1 && a.stride === 1 && a.padBefore === 0 && a.input === a.output);
}

/**
 * Whether a cell is one of the input's. Both axes are always compared: branches are dear to some compilers, and numbers below 0 are large
 * ones without sign.
 */
export const insideText = (cy: string, cx: string): string =>
  `((u32(${cy}) < u32(inHeight)) & (u32(${cx}) < u32(inWidth)))`;

/** The first cell under a window, as signed WGSL. */
export function cellText({ stride, padBefore }: Axis, output: string): string {
  return `i32(${output}${stride === 1 ? "" : ` * ${stride}u`})${padBefore === 0 ? "" : ` - ${padBefore}`}`;
}
