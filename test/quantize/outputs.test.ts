import { describe, expect, it } from "vitest";
import { parseParam } from "../../src/formats/ncnn/index.ts";
import type { Head } from "../../src/heads/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import { assumeManifest } from "../../src/open/assume.ts";
import { type Importance, OutputShift } from "../../src/quantize/outputs.ts";
import { detectionImportance } from "../../src/tally/importance.ts";

/** A YOLO head on 2×2 cells: one convolution of 2 anchors × 3 values, reshaped and permuted; and a second output behind a ReLU. */
function headGraph(): Graph {
  const graph = parseParam(`7767517
5 5
Input       x    0 1 x 0=2 1=2 2=1
Convolution head 1 1 x raw 0=6 1=1 5=1 6=6
Reshape     cut  1 1 raw cells 0=4 1=3 2=2
Permute     out  1 1 cells out 0=1
Convolution side 1 1 x side 0=3 1=1 5=1 6=3 9=1
`);
  for (const node of graph.nodes) {
    if (node.type !== "Convolution") continue;
    const count = node.name === "head" ? 6 : 3;
    node.weights = { weight: f32Weight(new Float32Array(count)), bias: f32Weight(new Float32Array(count)) };
  }
  return graph;
}
const inputShapes = { x: [1, 2, 2] };
/** `[2 anchors, 4 cells, 3 values]`; the value of channel `3·anchor + v` in every cell is `of(anchor, v)`. */
const output = (of: (anchor: number, value: number) => number): Tensor => ({
  shape: [2, 4, 3],
  data: Float32Array.from({ length: 24 }, (_, i) => of(Math.floor(i / 12), i % 3)),
});
const corrections = () =>
  new Map([["head", { weights: new Int8Array(6), bias: new Float32Array([1, 1, 1, 1, 1, 1]) }]]);
const all =
  (weight: number): Importance =>
  (blob, outputs) =>
    new Float32Array(outputs[blob].data.length).fill(weight);

describe("OutputShift", () => {
  it("finds the channel that every output value is of, through Reshape and Permute, and leaves others alone", () => {
    const shift = new OutputShift(headGraph(), inputShapes, all(1000));
    expect(shift.outputs).toEqual(["out"]);
    shift.add({ out: output((anchor, v) => 10 * anchor + v) }, { out: output(() => 0) });
    const found = corrections();
    shift.apply(found);
    // Four cells of weight 1000 each leave little to the prior.
    const expected = [0, 1, 2, 10, 11, 12];
    found.get("head")!.bias.forEach((bias, i) => void expect(bias).toBeCloseTo(1 + expected[i], 1));
  });

  it("weighs by importance: values that do not matter do not count", () => {
    const onlyAnchor1: Importance = (blob, outputs) =>
      Float32Array.from(outputs[blob].data, (_, i) => (i >= 12 ? 1e4 : 0));
    const shift = new OutputShift(headGraph(), inputShapes, onlyAnchor1);
    shift.add({ out: output((anchor) => (anchor ? 0.5 : 7)) }, { out: output(() => 0) });
    const found = corrections();
    shift.apply(found);
    const { bias } = found.get("head")!;
    expect([...bias.slice(0, 3)]).toEqual([1, 1, 1]);
    for (const value of bias.slice(3)) expect(value).toBeCloseTo(1.5, 3);
  });

  it("trusts few observations little, and a channel without enough of its own the mean of its layer", () => {
    const shiftOf = (weight: Importance): number[] => {
      const shift = new OutputShift(headGraph(), inputShapes, weight);
      shift.add({ out: output(() => 1) }, { out: output(() => 0) });
      const found = corrections();
      shift.apply(found);
      return [...found.get("head")!.bias].map((bias) => bias - 1);
    };
    for (const moved of shiftOf(all(0.01))) expect(moved).toBeLessThan(0.05);
    for (const moved of shiftOf(all(1000))) expect(moved).toBeGreaterThan(0.98);
    // Value 0 was seen 4·0.1 times an anchor, the others often: it follows them.
    const [rare, common] = shiftOf((blob, outputs) =>
      Float32Array.from(outputs[blob].data, (_, i) => (i % 3 ? 1000 : 0.1)),
    );
    expect(common).toBeGreaterThan(0.98);
    expect(rare).toBeGreaterThan(0.9);
  });

  it("leaves out pictures of another size and outputs without importance", () => {
    const shift = new OutputShift(headGraph(), inputShapes, () => undefined);
    shift.add({ out: output(() => 1) }, { out: output(() => 0) });
    const other = { shape: [2, 9, 3], data: new Float32Array(54).fill(1) };
    const sized = new OutputShift(headGraph(), inputShapes, all(1));
    sized.add({ out: other }, { out: other });
    for (const each of [shift, sized]) {
      const found = corrections();
      each.apply(found);
      expect([...found.get("head")!.bias]).toEqual([1, 1, 1, 1, 1, 1]);
    }
  });
});

describe("detectionImportance", () => {
  const { manifest } = assumeManifest(headGraph(), "tiny");
  const heads: Head[] = [{ kind: "yolov5", blob: "out", stride: 8, anchors: [1, 1] }];
  const importance = detectionImportance({ ...manifest, heads, labels: ["a", "b"] });
  const logit = (p: number): number => Math.log(p / (1 - p));
  const values = 7;
  const cell = (objectness: number, ...classes: number[]): number[] => [
    ...[0, 0, 0, 0],
    ...[objectness, ...classes].map(logit),
  ];

  it("weighs objectness and classes by the score that they make, background and boxes not at all", () => {
    const data = Float32Array.from([
      ...cell(0.8, 0.5, 0.01), // a score of 0.4, and one of 0.008
      ...cell(0.05, 0.9, 0.9), // no object
      ...cell(0.5, 0.9, 0.6),
    ]);
    const weights = importance?.("out", { out: { shape: [1, 3, values], data } });
    const expected = [0, 0, 0, 0, 0.4, 0.4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.45, 0.45, 0.3];
    weights?.forEach((weight, i) => void expect(weight).toBeCloseTo(expected[i], 6));
    expect(weights?.length).toBe(21);
  });

  it("has nothing to say about other blobs, or without heads", () => {
    expect(
      importance?.("other", { other: { shape: [1, 1, values], data: new Float32Array(values) } }),
    ).toBeUndefined();
    expect(detectionImportance({ ...manifest, heads: [] })).toBeUndefined();
  });
});
