import { describe, expect, it } from "vitest";
import { runReference } from "../../src/engine/reference/index.ts";
import { parseParam } from "../../src/formats/ncnn/index.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import { equalize } from "../../src/quantize/equalize.ts";
import type { ChannelRanges } from "../../src/quantize/ranges.ts";
import { network, pictures, rangesOf } from "./_models.ts";

/** A blob that only a depthwise layer reads, one that is joined with another, one behind a residual. */
const silu = `7767517
10 10
Input                x     0 1 x 0=16 1=16 2=3
Convolution          stem  1 1 x stem 0=8 1=3 3=2 4=1 5=1 6=216
Swish                swish 1 1 stem act
ConvolutionDepthWise dw    1 1 act dw 0=8 1=3 4=1 5=1 6=72 7=8 9=1
Convolution          a     1 1 dw a 0=6 1=1 5=1 6=48
Convolution          b     1 1 dw b 0=2 1=1 5=1 6=16 9=6 -23310=2,0.16666667,0.5
Swish                g     1 1 a gate
Concat               cat   2 1 gate b cat
Convolution          c     1 1 cat c 0=5 1=1 6=40
Sigmoid              s     1 1 c s
`;
const shapes = { x: [3, 16, 16] };

describe("equalize", () => {
  it("does not change what the graph computes", async () => {
    const graph = network();
    const { graph: out, changed } = equalize(graph, await rangesOf(graph, pictures(4)), shapes);
    expect(changed).toBeGreaterThan(11);
    for await (const input of pictures(2, 7)()) {
      const [before, after] = [runReference(graph, input), runReference(out, input)];
      for (const [blob, { data }] of Object.entries(before)) {
        const scale = Math.max(...data.map(Math.abs));
        for (let i = 0; i < data.length; i++) {
          expect(Math.abs(after[blob].data[i] - data[i])).toBeLessThan(1e-5 * scale);
        }
      }
    }
  });

  it("gives channels that only depthwise layers read the same range, others a third of the difference", async () => {
    const graph = network();
    const before = await rangesOf(graph, pictures(4));
    const { graph: out, ranges } = equalize(graph, before, shapes);
    const after = await rangesOf(out, pictures(4));
    const spread = (ranges: ChannelRanges): number => {
      const widths = Array.from({ length: ranges.count }, (_, c) => ranges.threshold([c])).filter(
        (x) => x > 0,
      );
      return Math.log(Math.max(...widths) / Math.min(...widths));
    };
    expect(spread(before.get("a")!)).toBeGreaterThan(1);
    // Thresholds are told to an eighth of an octave.
    expect(spread(after.get("a")!)).toBeLessThan(0.2);
    const [was, is] = [before.get("dw")!, after.get("dw")!].map(spread);
    expect(Math.abs(is - was * 0.35)).toBeLessThan(0.3);
    for (let c = 0; c < ranges.get("dw")!.count; c++) {
      expect(ranges.get("dw")!.max(c)).toBeCloseTo(after.get("dw")!.max(c), 3);
      expect(ranges.get("dw")!.threshold([c]) / after.get("dw")!.threshold([c])).toBeCloseTo(1, 0);
    }
  });

  it("scales behind SiLU and hard-swish, also where channels are joined", async () => {
    const graph = network(silu);
    const before = await rangesOf(graph, pictures(4));
    const { graph: out, changed } = equalize(graph, before, shapes);
    expect(changed).toBe(8 + 8 + 6 + 2);
    expect(out.nodes.filter(({ type }) => type === "Scale").map(({ outputs }) => outputs[0])).toEqual([
      "act",
      "b",
      "gate",
    ]);
    for await (const input of pictures(2, 7)()) {
      const [expected, found] = [runReference(graph, input), runReference(out, input)];
      for (const [blob, { data }] of Object.entries(expected)) {
        const scale = Math.max(...data.map(Math.abs));
        for (let i = 0; i < data.length; i++) {
          expect(Math.abs(found[blob].data[i] - data[i])).toBeLessThan(1e-5 * scale);
        }
      }
    }
    const spread = (ranges: ChannelRanges): number => {
      const widths = Array.from({ length: ranges.count }, (_, c) => ranges.threshold([c]));
      return Math.max(...widths) / Math.min(...widths);
    };
    const after = await rangesOf(out, pictures(4));
    expect(spread(before.get("act")!)).toBeGreaterThan(3);
    expect(spread(after.get("act")!)).toBeLessThan(1.3);
  });

  it("leaves alone what an activation, an output or padding with a value holds in place", async () => {
    const clip = "9=3 -23310=2,0,6";
    for (const [first, second, extra] of [
      [clip, "", ""],
      ["9=4", "", ""],
      ["", "18=0.5", ""],
      ["", "", "Noop keep 1 1 a out"],
    ]) {
      const count = extra ? 4 : 3;
      const graph = parseParam(
        `7767517\n${count} ${count}\nInput x 0 1 x 0=4 1=4 2=1\nConvolution a 1 1 x a 0=2 1=1 6=2 ${first}\nConvolution b 1 1 a b 0=1 1=3 4=1 6=18 ${second}\n${extra}\n`,
      );
      graph.node("a")!.weights.weight = f32Weight([1, 100]);
      graph.node("b")!.weights.weight = f32Weight(new Float32Array(18).fill(1));
      const source = async function* () {
        yield { x: { shape: [1, 4, 4], data: new Float32Array(16).fill(1) } };
      };
      const { changed } = equalize(graph, await rangesOf(graph, source), { x: [1, 4, 4] });
      expect(changed, `${first} ${second} ${extra}`).toBe(0);
    }
  });
});
