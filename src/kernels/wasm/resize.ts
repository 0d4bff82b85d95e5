/**
 * Bilinear resize of float32 pictures. Positions and weights come in tables made by the planner, so the kernel knows no
 * coordinate convention: per output row `[offset0, offset1, weight1]` (i32 bytes, i32 bytes, f32), the same per column.
 */
import type { FuncRef, Local, Module } from "../../wasm/index.ts";
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
    const pointers = [
      ...epiloguePointers(f, spec.epilogue),
      // The four corners advance by channel vectors too.
    ];
    const entry = (table: Local, index: Local): void => {
      f.get(table);
      f.get(index);
      f.i32(resizeEntryBytes);
      f.op("i32.mul");
      f.op("i32.add");
    };
    const atPixel = (y: Local, x: Local): void => {
      const [row, column] = [temp(f, "rowEntry", "i32"), temp(f, "columnEntry", "i32")];
      entry(f.params.rowTable, y);
      f.set(row);
      entry(f.params.columnTable, x);
      f.set(column);
      corners.forEach((corner, i) => {
        f.get(f.params.input);
        f.get(row);
        f.op("i32.load", { offset: i < 2 ? 0 : 4 });
        f.op("i32.add");
        f.get(column);
        f.op("i32.load", { offset: i % 2 ? 4 : 0 });
        f.op("i32.add");
        f.set(corner);
      });
      f.get(row);
      f.op("v128.load32_splat", { offset: 8 });
      f.set(wy);
      f.get(column);
      f.op("v128.load32_splat", { offset: 8 });
      f.set(wx);
    };
    /** a + (b − a)·t would round differently; ncnn computes a·(1 − t) + b·t. */
    const mix = (pushA: () => void, pushB: () => void, t: Local): void => {
      pushA();
      f.f32x4(1);
      f.get(t);
      f.op("f32x4.sub");
      f.op("f32x4.mul");
      pushB();
      f.get(t);
      f.op("f32x4.mul");
      f.op("f32x4.add");
    };
    walk(
      f,
      { width: spec.width, vectors: spec.vectors },
      pointers,
      (at) => {
        const load = (i: number) => (): void => {
          f.get(corners[i]);
          f.op("v128.load");
        };
        const [top, bottom] = [temp(f, "top"), temp(f, "bottom")];
        mix(load(0), load(1), wx);
        f.set(top);
        mix(load(2), load(3), wx);
        f.set(bottom);
        const value = temp(f, "value");
        mix(
          () => f.get(top),
          () => f.get(bottom),
          wy,
        );
        f.set(value);
        emitEpilogue(f, target, spec.epilogue, { constants: at[0], outputs: at.slice(1) }, [[value]]);
        for (const corner of corners) {
          f.get(corner);
          f.i32(16);
          f.op("i32.add");
          f.set(corner);
        }
      },
      atPixel,
    );
  });
}
