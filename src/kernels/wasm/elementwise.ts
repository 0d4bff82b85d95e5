/** Element-wise kernels over pictures: activations that no convolution could take along, and arithmetic of two inputs. */
import { type Expression, f32x4, set, v128 } from "../../wasm/expressions.ts";
import type { FuncRef, Local, Module } from "../../wasm/index.ts";
import type { BinaryOperator } from "../operators.ts";
import { type EpilogueSpec, emitEpilogue } from "./_epilogue.ts";
import { arithmetic } from "./_math.ts";
import { epiloguePointers, kernelParams } from "./_params.ts";
import { temp } from "./_temp.ts";
import { walk } from "./_walk.ts";
import type { Target } from "./spec.ts";

/** The second operand: nothing, a constant, or a picture whose zero strides and `splat` express broadcasting. */
export type Operand =
  | { readonly kind: "none" }
  | { readonly kind: "constant"; readonly value: number }
  | {
      readonly kind: "picture";
      readonly pixelBytes: number;
      readonly rowBytes: number;
      /** One value for all channels of a pixel. */
      readonly splat: boolean;
    };

export interface ElementwiseSpec {
  readonly kind: "elementwise";
  readonly operator: BinaryOperator;
  readonly rows: number;
  readonly width: number;
  readonly vectors: number;
  readonly a: { readonly pixelBytes: number; readonly rowBytes: number; readonly splat: boolean };
  readonly b: Operand;
  readonly epilogue: EpilogueSpec;
}

/** Emits `(a, b, constants, out0…, begin, end)` for rows [begin, end). */
export function emitElementwise(m: Module, name: string, spec: ElementwiseSpec, target: Target): FuncRef {
  const params = kernelParams(["a", "b", "constants"], spec.epilogue.stores);
  return m.func(name, { params, results: [] }, (f) => {
    const b = spec.b;
    const pointers = [
      { base: f.params.a, ...spec.a, vectorBytes: spec.a.splat ? 0 : 16 },
      ...(b.kind === "picture" ? [{ base: f.params.b, ...b, vectorBytes: b.splat ? 0 : 16 }] : []),
      ...epiloguePointers(f, spec.epilogue),
    ];
    const first = b.kind === "picture" ? 2 : 1;
    const value = temp(f, "value");
    walk(f, { width: spec.width, vectors: spec.vectors }, pointers, (at) => {
      const load = (at: Local, splat: boolean): Expression => (splat ? v128.load32_splat(at) : v128.load(at));
      const left = load(at[0], spec.a.splat);
      if (b.kind === "none") set(f, value, left);
      else {
        const right = b.kind === "constant" ? f32x4.of(b.value) : load(at[1], b.splat);
        set(f, value, arithmetic(spec.operator, left, right));
      }
      const pointersAt = { constants: at[first], outputs: at.slice(first + 1) };
      emitEpilogue(f, target, spec.epilogue, pointersAt, [[value]]);
    });
  });
}
