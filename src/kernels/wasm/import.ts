/** The network's inputs become pictures. */
import { address, f32x4, i32, set, v128 } from "../../wasm/expressions.ts";
import { addTo, type Func, type FuncRef, forRange, type Local, type Module } from "../../wasm/index.ts";
import { type EpilogueSpec, emitEpilogue, epilogueGroupBytes } from "./_epilogue.ts";
import { kernelParams, vectorBytes } from "./_params.ts";
import { temp } from "./_temp.ts";
import type { Target } from "./spec.ts";

/** Planes `[channels][rows][width]` float32 (ncnn's layout) to a picture, quantized where a store asks for it. */
export interface ImportSpec {
  readonly kind: "import";
  readonly channels: number;
  readonly rows: number;
  readonly width: number;
  readonly epilogue: EpilogueSpec;
}

/** Emits `(planes, constants, out0…, begin, end)` for rows [begin, end). Reads up to 12 bytes beyond the last plane. */
export function emitImport(m: Module, name: string, spec: ImportSpec, target: Target): FuncRef {
  const params = kernelParams(["planes", "constants"], spec.epilogue.stores);
  const planeBytes = spec.rows * spec.width * 4;
  return m.func(name, { params, results: [] }, (f) => {
    const y = f.local("i32", "y");
    const a = f.local("i32", "a");
    const constants = f.local("i32", "e");
    const outputs = spec.epilogue.stores.map((_, i) => f.local("i32", `o${i}`));
    const rowStarts = spec.epilogue.stores.map((_, i) => f.local("i32", `row${i}`));
    const tile = (group: number, pixels: number): void => {
      const plane = (c: number): Local => temp(f, `plane${c}`);
      for (let c = 0; c < 4; c++) {
        const channel = group * 4 + c;
        set(f, plane(c), channel < spec.channels ? v128.load(a, channel * planeBytes) : f32x4.of(0));
      }
      transpose4(f, [0, 1, 2, 3].map(plane));
      const values = Array.from({ length: pixels }, (_, p) => [plane(p)]);
      emitEpilogue(f, target, spec.epilogue, { constants, outputs }, values);
      addTo(f, a, pixels * 4);
      spec.epilogue.stores.forEach((store, i) => addTo(f, outputs[i], pixels * store.pixelBytes));
    };
    forRange(f, y, f.params.begin, f.params.end, 1, () => {
      spec.epilogue.stores.forEach((store, i) =>
        set(f, rowStarts[i], address(f.params[`out${i}`], y, store.rowBytes)),
      );
      f.get(f.params.constants);
      f.set(constants);
      for (let group = 0; group < Math.ceil(spec.channels / 4); group++) {
        set(f, a, address(f.params.planes, y, spec.width * 4));
        spec.epilogue.stores.forEach((store, i) => {
          f.get(rowStarts[i]);
          f.i32(group * vectorBytes(store));
          f.op("i32.add");
          f.set(outputs[i]);
        });
        const tiles = Math.floor(spec.width / 4);
        if (tiles > 0) {
          forRange(f, temp(f, "tile", "i32"), i32.of(0), i32.of(tiles), 1, () => tile(group, 4));
        }
        if (spec.width % 4) tile(group, spec.width % 4);
        addTo(f, constants, epilogueGroupBytes(spec.epilogue));
      }
    });
  });
}

/** Transposes the 4×4 floats in four locals. */
function transpose4(f: Func, rows: readonly Local[]): void {
  const lanes = (...floats: number[]): number[] =>
    floats.flatMap((lane) => [0, 1, 2, 3].map((b) => lane * 4 + b));
  const pairs = [temp(f, "t0"), temp(f, "t1"), temp(f, "t2"), temp(f, "t3")];
  const shuffle = (a: Local, b: Local, pattern: number[], to: Local): void => {
    f.get(a);
    f.get(b);
    f.op("i8x16.shuffle", { lanes: pattern });
    f.set(to);
  };
  shuffle(rows[0], rows[1], lanes(0, 4, 1, 5), pairs[0]);
  shuffle(rows[0], rows[1], lanes(2, 6, 3, 7), pairs[1]);
  shuffle(rows[2], rows[3], lanes(0, 4, 1, 5), pairs[2]);
  shuffle(rows[2], rows[3], lanes(2, 6, 3, 7), pairs[3]);
  shuffle(pairs[0], pairs[2], lanes(0, 1, 4, 5), rows[0]);
  shuffle(pairs[0], pairs[2], lanes(2, 3, 6, 7), rows[1]);
  shuffle(pairs[1], pairs[3], lanes(0, 1, 4, 5), rows[2]);
  shuffle(pairs[1], pairs[3], lanes(2, 3, 6, 7), rows[3]);
}
