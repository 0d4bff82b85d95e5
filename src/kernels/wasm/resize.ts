/**
 * Bilinear resize of float32 pictures. Positions and weights come in tables made by the planner, so the kernel knows no
 * coordinate convention: per output row `[offset0, offset1, weight1]` (i32 bytes, i32 bytes, f32), the same per column.
 */
import { type Expression, f32x4, i32, type Operand, set, v128 } from "../../wasm/expressions.ts";
import { addTo, type FuncRef, type Local, type Module } from "../../wasm/index.ts";
import { type EpilogueSpec, emitEpilogue } from "./_epilogue.ts";
import { epiloguePointers, kernelParams } from "./_params.ts";
import { temp } from "./_temp.ts";
import { walk } from "./_walk.ts";
import type { Target } from "./spec.ts";

export interface ResizeSpec {
  readonly kind: "resize";
  readonly rows: number;
  readonly width: number;
  readonly vectors: number;
  readonly epilogue: EpilogueSpec;
}

export const resizeEntryBytes = 12;

/** Emits `(input, rowTable, columnTable, constants, out0…, begin, end)` for output rows [begin, end). */
export function emitResize(m: Module, name: string, spec: ResizeSpec, target: Target): FuncRef {
  const params = kernelParams(["input", "rowTable", "columnTable", "constants"], spec.epilogue.stores);
  return m.func(name, { params, results: [] }, (f) => {
    const corners = [0, 1, 2, 3].map((i) => f.local("i32", `corner${i}`));
    const [wy, wx] = [f.local("v128", "wy"), f.local("v128", "wx")];
    const entry = (table: Local, index: Local): Expression =>
      i32.add(table, i32.mul(index, resizeEntryBytes));
    const atPixel = (y: Local, x: Local): void => {
      const [row, column] = [temp(f, "rowEntry", "i32"), temp(f, "columnEntry", "i32")];
      set(f, row, entry(f.params.rowTable, y));
      set(f, column, entry(f.params.columnTable, x));
      corners.forEach((corner, i) => {
        const atRow = i32.add(f.params.input, i32.load(row, i < 2 ? 0 : 4));
        set(f, corner, i32.add(atRow, i32.load(column, i % 2 ? 4 : 0)));
      });
      set(f, wy, v128.load32_splat(row, 8));
      set(f, wx, v128.load32_splat(column, 8));
    };
    const pointers = epiloguePointers(f, spec.epilogue);
    const body = ([constants, ...outputs]: readonly Local[]): void => {
      const [top, bottom, value] = [temp(f, "top"), temp(f, "bottom"), temp(f, "value")];
      const [a, b, c, d] = corners.map((corner) => v128.load(corner));
      set(f, top, mix(a, b, wx));
      set(f, bottom, mix(c, d, wx));
      set(f, value, mix(top, bottom, wy));
      emitEpilogue(f, target, spec.epilogue, { constants, outputs }, [[value]]);
      for (const corner of corners) addTo(f, corner, 16);
    };
    walk(f, { width: spec.width, vectors: spec.vectors }, pointers, body, atPixel);
  });
}

/** a + (b − a)·t would round differently; ncnn computes a·(1 − t) + b·t. */
function mix(a: Operand, b: Operand, t: Local): Expression {
  return f32x4.add(f32x4.mul(a, f32x4.sub(1, t)), f32x4.mul(b, t));
}
