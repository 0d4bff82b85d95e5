/** Strides of dense views. */
import type { Shape } from "../../ir/tensor.ts";
import { stridesOf } from "../../ops/shapes.ts";
import type { DenseView } from "../values.ts";

export function isRowMajor(view: DenseView): boolean {
  const expected = stridesOf(view.shape);
  return view.strides.every((stride, i) => stride === expected[i] || view.shape[i] === 1);
}

/** Strides of the same elements under a new shape, if strides can express it: axes are split and merged like numpy does. */
export function reshapeStrides(view: DenseView, shape: Shape): number[] | undefined {
  const old = view.shape
    .map((extent, i) => ({ extent, stride: view.strides[i] }))
    .filter(({ extent }) => extent !== 1);
  const strides: number[] = new Array(shape.length).fill(0);
  let o = 0;
  let n = 0;
  while (n < shape.length) {
    if (shape[n] === 1) {
      strides[n++] = 1;
      continue;
    }
    // Gather the smallest groups of old and new axes with equal products.
    let [oldEnd, newEnd] = [o + 1, n + 1];
    if (o >= old.length) return undefined;
    let [oldCount, newCount] = [old[o].extent, shape[n]];
    while (oldCount !== newCount) {
      if (oldCount < newCount) {
        if (oldEnd >= old.length) return undefined;
        oldCount *= old[oldEnd++].extent;
      } else {
        if (newEnd >= shape.length) return undefined;
        newCount *= shape[newEnd++];
      }
    }
    for (let i = o; i < oldEnd - 1; i++) {
      if (old[i].stride !== old[i + 1].stride * old[i + 1].extent) return undefined;
    }
    let stride = old[oldEnd - 1].stride;
    for (let i = newEnd - 1; i >= n; i--) {
      strides[i] = stride;
      stride *= shape[i];
    }
    [o, n] = [oldEnd, newEnd];
  }
  return strides;
}
