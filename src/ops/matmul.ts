/** MatMul: matrix product with numpy's rules: batches over outer axes of equal extents or 1, rank 1 as a vector. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int } from "../ir/op.ts";
import { elementCount, formatShape, type Shape } from "../ir/tensor.ts";
import { leftPadded } from "./shapes.ts";

interface Plan {
  /** Outer extents of A, B and the result, as two values. */
  readonly batchA: number[];
  readonly batchB: number[];
  readonly batch: number[];
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly shape: number[];
}

function plan(a: Shape, b: Shape, transB: number): Plan {
  const fullA = leftPadded(a, 1);
  const fullB = b.length === 1 ? (transB ? [1, 1, 1, b[0]] : [1, 1, b[0], 1]) : leftPadded(b, 1);
  const [m, k] = fullA.slice(2);
  const [otherK, n] = transB ? [fullB[3], fullB[2]] : [fullB[2], fullB[3]];
  if (k !== otherK) {
    throw new GraphError(
      `cannot multiply ${formatShape(a)} and ${formatShape(b)}: inner extents are ${k} and ${otherK}`,
    );
  }
  const batchA = fullA.slice(0, 2);
  const batchB = fullB.slice(0, 2);
  const batch = batchA.map((extent, i) => {
    if (extent !== batchB[i] && extent !== 1 && batchB[i] !== 1) {
      throw new GraphError(`batch extents ${extent} and ${batchB[i]} differ`);
    }
    return Math.max(extent, batchB[i]);
  });
  const rank = Math.max(a.length, b.length, 2);
  const outer = batch.slice(2 - (rank - 2));
  const shape = [...outer, ...(a.length > 1 ? [m] : []), ...(b.length > 1 ? [n] : [])];
  return { batchA, batchB, batch, m, n, k, shape: shape.length ? shape : [1] };
}

export const matMul = defineOp({
  type: "MatMul",
  typeIndex: 87,
  params: { transB: int(0) },
  inputs: [2, 2],
  shape: ([a, b], { transB }) => [plan(a, b, transB).shape],
  reference: ([a, b], { transB }) => {
    const { batchA, batchB, batch, m, n, k, shape } = plan(a.shape, b.shape, transB);
    const [stepI, stepN] = transB ? [1, k] : [n, 1];
    const out = new Float32Array(elementCount(shape));
    const blockOf = ([outer, inner]: number[], d: number, c: number): number =>
      (outer === 1 ? 0 : d) * inner + (inner === 1 ? 0 : c);
    let o = 0;
    for (let d = 0; d < batch[0]; d++) {
      for (let c = 0; c < batch[1]; c++) {
        const startA = blockOf(batchA, d, c) * m * k;
        const startB = blockOf(batchB, d, c) * k * n;
        for (let row = 0; row < m; row++) {
          for (let column = 0; column < n; column++) {
            let sum = 0;
            for (let i = 0; i < k; i++) {
              sum += a.data[startA + row * k + i] * b.data[startB + column * stepN + i * stepI];
            }
            out[o++] = sum;
          }
        }
      }
    }
    return [{ shape, data: out }];
  },
  macs: ([a, b], _, { transB }) => {
    const { batch, m, n, k } = plan(a, b, transB);
    return batch[0] * batch[1] * m * n * k;
  },
});
