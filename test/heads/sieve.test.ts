/** What decoding looks at: a sieve, in JavaScript or in wasm, changes nothing of what is found. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "../../src/base/random.ts";
import { floorFloat, type Sieve, type SieveGrid, sieve } from "../../src/base/sieve.ts";
import { sieveOver } from "../../src/engine/wasm/sieve.ts";
import { Candidates } from "../../src/heads/candidates.ts";
import { blobsOf, decodeHead, type Head } from "../../src/heads/index.ts";
import { elementCount, type Tensor } from "../../src/ir/tensor.ts";
import { emitNextCell, emitNextRow } from "../../src/kernels/wasm/index.ts";
import { Module } from "../../src/wasm/index.ts";

const memory = new WebAssembly.Memory({ initial: 8 });

function wasmSieve(): Sieve {
  const m = new Module();
  m.importMemory("env", "memory", { min: 1 });
  emitNextRow(m, "nextRow");
  emitNextCell(m, "nextCell");
  const module = new WebAssembly.Module(m.encode());
  return sieveOver(memory, new WebAssembly.Instance(module, { env: { memory } }).exports);
}
const inWasm = wasmSieve();

function rowsOf(which: Sieve, data: Float32Array, grid: SieveGrid, least: number): number[] {
  const rows: number[] = [];
  which(data, grid, least, (row) => rows.push(row));
  return rows;
}

describe("a sieve", () => {
  test("finds the rows of which a number is above the limit, in either layout", () => {
    const value = fc.oneof(fc.float(), fc.constantFrom(0.25, 0.5, -0, Number.NaN, Infinity, -Infinity));
    const size = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(
        ...[size, size, fc.nat(5), fc.boolean(), fc.array(value, { minLength: 1, maxLength: 60 })],
        fc.oneof(fc.double(), fc.constantFrom(0.25, 0.5, 0, -0, Infinity, -Infinity, Number.NaN)),
        (rows, columns, first, areInPlanes, some, least) => {
          const gap = first;
          const grid = areInPlanes
            ? { first, rows, columns, rowStride: 1, columnStride: rows + gap }
            : { first, rows, columns, rowStride: columns + gap, columnStride: 1 };
          const count = first + (rows + gap) * (columns + gap);
          const data = new Float32Array(memory.buffer, 64, count);
          data.forEach((_, i) => {
            data[i] = i % 3 ? -1e30 : some[i % some.length];
          });
          const expected = Array.from({ length: rows }, (_, row) => row).filter((row) =>
            Array.from(
              { length: columns },
              (_, k) => data[first + row * grid.rowStride + k * grid.columnStride],
            ).some((x) => x > least),
          );
          expect(rowsOf(sieve, data, grid, least)).toEqual(expected);
          expect(rowsOf(inWasm, data, grid, least)).toEqual(expected);
          expect(rowsOf(inWasm, data.slice(), grid, least)).toEqual(expected);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("takes off the number of another column, as floats do", () => {
    const value = fc.oneof(
      fc.integer({ min: -40, max: 40 }),
      fc.constantFrom(Infinity, -Infinity, Number.NaN),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 5 }),
        fc.array(value, { minLength: 7, maxLength: 60 }),
        (rows, columns, some) => {
          const data = new Float32Array(memory.buffer, 64, rows * (columns + 1));
          data.forEach((_, i) => {
            data[i] = some[(i * 13) % some.length] / 4;
          });
          const grid = { first: rows, rows, columns, rowStride: 1, columnStride: rows, less: 0 };
          const expected = Array.from({ length: rows }, (_, row) => row).filter((row) =>
            Array.from({ length: columns }, (_, k) => data[(k + 1) * rows + row]).some(
              (x) => x - data[row] > 2,
            ),
          );
          expect(rowsOf(sieve, data, grid, 2)).toEqual(expected);
          expect(rowsOf(inWasm, data, grid, 2)).toEqual(expected);
        },
      ),
    );
  });

  test("compares with the largest float32 that is not above the limit", () => {
    for (const [x, floor] of [
      [0.1, 0.09999999403953552],
      [-0.1, -0.10000000149011612],
      [0.5, 0.5],
      [1e-300, 0],
      [-1e-300, -(2 ** -149)],
      [1e300, 3.4028234663852886e38],
      [-1e300, -Infinity],
      [Infinity, Infinity],
    ]) {
      expect(floorFloat(x)).toBe(floor);
    }
    expect(floorFloat(Number.NaN)).toBeNaN();
  });
});

const [width, height, classes] = [64, 48, 3];
const random = new Random(11);
const logits = (...shape: number[]): Tensor & { data: Float32Array } => ({
  shape,
  data: random.floats(elementCount(shape), -5, 3),
});
const parts = (...shape: number[]): Tensor & { data: Float32Array } => ({
  shape,
  data: random.floats(elementCount(shape), 0, 1),
});
const outputs = {
  yolo: logits(2, 48, 5 + classes),
  planes: logits(classes, 6, 8),
  four: logits(4, 6, 8),
  wide: logits(2 * 4, 6, 8),
  two: logits(2, 6, 8),
  one: logits(1, 6, 8),
  more: logits(1 + classes, 6, 8),
  rows: parts(1, 70, 4 + classes),
  columns: parts(4 + classes, 70),
  objects: parts(1, 70, 5 + classes),
  table: logits(9, 6),
  list: logits(classes),
};
const grid = { stride: 8 } as const;
const decoded = { kind: "boxes", box: "cxcywh", unit: "pixels", stride: 8, objectness: false } as const;
const heads = {
  yolov5: { kind: "yolov5", blob: "yolo", ...grid, anchors: [4, 4, 8, 8] },
  distances: { kind: "distances", scores: "planes", boxes: "four", ...grid, bins: 1, point: 0.5 },
  "distances behind a channel": {
    ...{ kind: "distances", scores: "more", scoresFrom: 1, boxes: "four", ...grid, bins: 1, point: 0.5 },
  },
  "distances of one box each": {
    ...{ kind: "distances", scores: "planes", boxes: "four", ...grid, bins: 1, point: 0.5, oneToOne: true },
  },
  yolox: { kind: "yolox", boxes: "four", objectness: "one", scores: "planes", ...grid },
  fastestdet: { kind: "fastestdet", objectness: "one", boxes: "four", scores: "planes", ...grid },
  "yolo-fastestv2": {
    ...{ kind: "yolo-fastestv2", boxes: "wide", objectness: "two", scores: "planes", ...grid },
    anchors: [4, 4, 8, 8],
  },
  centerface: { kind: "centerface", scores: "planes", sizes: "two", offsets: "two", ...grid },
  priors: {
    ...{ kind: "priors", scores: "planes", boxes: "four", ...grid, anchor: [8, 8], point: 0.5 },
    variances: [0.1, 0.2],
  },
  "priors with background": {
    ...{ kind: "priors", scores: "more", scoresFrom: 1, background: 0, boxes: "four", ...grid },
    ...{ anchor: [8, 8], point: 0.5, variances: [0.1, 0.2] },
  },
  "rows of boxes": { ...decoded, blob: "rows", layout: "rows" },
  "columns of boxes": { ...decoded, blob: "columns", layout: "columns" },
  "rows of boxes with objectness": { ...decoded, blob: "objects", layout: "rows", objectness: true },
  detections: { kind: "detections", blob: "table", stride: 1 },
  classes: { kind: "classes", blob: "list", softmax: true, stride: 1 },
} satisfies Record<string, Head>;

/** Lets everything pass: every score is worked out. */
const nothing: Sieve = (_, { rows }, __, visit) => {
  for (let row = 0; row < rows; row++) visit(row);
};

/** The outputs, in the memory that the wasm sieve looks at. */
const inMemory = (): Record<string, Tensor> => {
  let at = 64;
  return Object.fromEntries(
    Object.entries(outputs).map(([blob, { shape, data }]) => {
      const moved = new Float32Array(memory.buffer, at, data.length);
      moved.set(data);
      at += data.byteLength + 64;
      return [blob, { shape, data: moved }];
    }),
  );
};

function found(
  head: Head,
  tensors: Record<string, Tensor>,
  which: Sieve,
  confidence: number,
  multiLabel: boolean,
): unknown[] {
  const out = new Candidates();
  const options = { confidence, multiLabel, width, height, sieve: which };
  decodeHead(head, tensors, classes, options, out);
  const { length } = out;
  return [...[out.boxes.slice(0, 4 * length), out.scores.slice(0, length), out.classes.slice(0, length)]];
}

describe.each(Object.entries(heads) as [string, Head][])("the candidates of %s", (_, head) => {
  test("are those without a sieve", () => {
    expect(blobsOf([head]).every((blob) => blob in outputs)).toBe(true);
    const tensors = inMemory();
    let most = 0;
    for (const confidence of [0, 0.001, 0.25, 0.5, 0.95, 1]) {
      for (const multiLabel of [false, true]) {
        const expected = found(head, outputs, nothing, confidence, multiLabel);
        most = Math.max(most, (expected[1] as Float64Array).length);
        expect(found(head, outputs, sieve, confidence, multiLabel)).toEqual(expected);
        expect(found(head, tensors, inWasm, confidence, multiLabel)).toEqual(expected);
      }
    }
    if (head.kind !== "detections") expect(most).toBeGreaterThan(0);
  });
});
