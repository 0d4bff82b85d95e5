/** Strided tensors become dense ones. */
import { address, i32, set } from "../../wasm/expressions.ts";
import { addTo, type Func, type FuncRef, forRange, type Local, type Module } from "../../wasm/index.ts";
import { temp } from "./_temp.ts";

/** Copies a strided float32 tensor of up to four axes to a dense one. Strides in elements. */
export interface StridedCopySpec {
  readonly kind: "stridedCopy";
  /** Outermost first; always four. */
  readonly shape: readonly [number, number, number, number];
  readonly strides: readonly [number, number, number, number];
}

/** Emits `(source, out, begin, end)`, a range of the flattened two outer axes. */
export function emitStridedCopy(m: Module, name: string, spec: StridedCopySpec): FuncRef {
  const params = { source: "i32", out: "i32", begin: "i32", end: "i32" } as const;
  const [, d1, d2, d3] = spec.shape;
  const [s0, s1, s2, s3] = spec.strides;
  return m.func(name, { params, results: [] }, (f) => {
    const outer = f.local("i32", "outer");
    const from = f.local("i32", "from");
    const to = f.local("i32", "to");
    const row = f.local("i32", "row");
    const i = f.local("i32", "i");
    set(f, to, address(f.params.out, f.params.begin, d2 * d3 * 4));
    forRange(f, outer, f.params.begin, f.params.end, 1, () => {
      const first = address(f.params.source, i32.div_u(outer, d1), s0 * 4);
      set(f, row, address(first, i32.rem_u(outer, d1), s1 * 4));
      forRange(f, temp(f, "j", "i32"), i32.of(0), i32.of(d2), 1, () => {
        set(f, from, row);
        emitLine(f, from, to, i, d3, s3);
        addTo(f, row, s2 * 4);
      });
    });
  });
}

/** Copies `count` floats that lie `stride` apart; moves both pointers on. */
function emitLine(f: Func, from: Local, to: Local, i: Local, count: number, stride: number): void {
  const vector = (): void => {
    f.get(to);
    if (stride === 1) {
      f.get(from);
      f.op("v128.load", { align: 2 });
    } else {
      f.get(from);
      f.op("v128.load32_zero");
      f.set(temp(f, "line"));
      for (let lane = 1; lane < 4; lane++) {
        f.get(from);
        f.get(temp(f, "line"));
        f.op("v128.load32_lane", { offset: lane * stride * 4, lane });
        f.set(temp(f, "line"));
      }
      f.get(temp(f, "line"));
    }
    f.op("v128.store", { align: 2 });
    addTo(f, from, 4 * stride * 4);
    addTo(f, to, 16);
  };
  const vectors = Math.floor(count / 4);
  if (vectors > 0) forRange(f, i, i32.of(0), i32.of(vectors), 1, vector);
  for (let rest = 0; rest < count % 4; rest++) {
    f.get(to);
    f.get(from);
    f.op("i32.load");
    f.op("i32.store");
    addTo(f, from, stride * 4);
    addTo(f, to, 4);
  }
}
