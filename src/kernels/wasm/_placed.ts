/** From the network's input back to the picture. */
import { type Expression, f64, type Operand } from "../../wasm/expressions.ts";
import type { Func, Local } from "../../wasm/index.ts";

/** Where the picture lies in the input: expressions of doubles. */
export interface PlacedPicture {
  readonly padX: Expression;
  readonly padY: Expression;
  readonly scaleX: Expression;
  readonly scaleY: Expression;
  readonly width: Expression;
  readonly height: Expression;
}

/** A coordinate of the picture, x with the axis 0 and y with 1. */
export const toPicture = (picture: PlacedPicture, axis: number, at: Operand): Expression => {
  const [pad, scale] = axis ? [picture.padY, picture.scaleY] : [picture.padX, picture.scaleX];
  return f64.div(f64.sub(at, pad), scale);
};

/** No farther than the border of the picture. */
export const clamped = ({ width, height }: PlacedPicture, axis: number, at: Operand): Expression =>
  f64.min(f64.max(at, 0), axis ? height : width);

/** Stores a double as a float. */
export function storeFloat(f: Func, to: Local, value: Operand, offset: number): void {
  f.get(to);
  if (typeof value === "number") f.f64(value);
  else if (typeof value === "function") value(f);
  else f.get(value);
  f.op("f32.demote_f64");
  f.op("f32.store", { offset });
}
