/** What LayerNorm and LRN have in common: a walk over the pixels, each of which is looked at as a whole first. */
import { address, set } from "../../wasm/expressions.ts";
import { addTo, type Func, forRange, type Local } from "../../wasm/index.ts";
import { type EpilogueSpec, emitEpilogue } from "./_epilogue.ts";
import { epiloguePointers } from "./_params.ts";
import { temp } from "./_temp.ts";
import { type WalkPointer, walk } from "./_walk.ts";
import type { Target } from "./spec.ts";

export interface NormSpec {
  readonly rows: number;
  readonly width: number;
  /** A multiple of 4. */
  readonly channels: number;
  readonly pixelBytes: number;
  readonly rowBytes: number;
  readonly epilogue: EpilogueSpec;
}

/** Every pixel: `atPixel`, then for each vector `body` puts the result into the local that it is given. */
export function normalizedWalk(
  f: Func,
  spec: NormSpec,
  target: Target,
  second: WalkPointer,
  atPixel: (y: Local, x: Local) => void,
  body: (input: Local, second: Local, value: Local) => void,
): void {
  const { pixelBytes, rowBytes, epilogue } = spec;
  const pointers: WalkPointer[] = [
    { base: f.params.input, pixelBytes, rowBytes, vectorBytes: 16 },
    second,
    ...epiloguePointers(f, epilogue),
  ];
  const value = temp(f, "value");
  const emit = (at: readonly Local[]): void => {
    body(at[0], at[1], value);
    emitEpilogue(f, target, epilogue, { constants: at[2], outputs: at.slice(3) }, [[value]]);
  };
  walk(f, { width: spec.width, vectors: spec.channels / 4 }, pointers, emit, atPixel);
}

/** Visits the addresses of the vectors of pixel (y, x) of the input. */
export function eachVector(
  f: Func,
  spec: NormSpec,
  y: Local,
  x: Local,
  body: (address: Local) => void,
): void {
  const a = temp(f, "a", "i32");
  set(f, a, address(address(f.params.input, y, spec.rowBytes), x, spec.pixelBytes));
  forRange(f, temp(f, "i", "i32"), 0, spec.channels / 4, 1, () => {
    body(a);
    addTo(f, a, 16);
  });
}
