import { describe, expect, it } from "vitest";
import { runReference } from "../../src/engine/reference/index.ts";
import { parseParam } from "../../src/formats/ncnn/index.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import { equalize } from "../../src/quantize/equalize.ts";
import { observeSource } from "../../src/quantize/index.ts";
import { network, pictures } from "./_models.ts";

const shapes = { x: [3, 16, 16] };

describe("equalize", () => {
  it("does not change what the graph computes", async () => {
    const graph = network();
    const { graph: out, changed } = equalize(graph, await observeSource(graph, pictures(4)), shapes);
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

  it("gives channels that only depthwise layers read the same range, others half the difference", async () => {
    const graph = network();
    const before = await observeSource(graph, pictures(4));
    const { graph: out } = equalize(graph, before, shapes);
    const after = await observeSource(out, pictures(4));
    const spread = (values: Float32Array) =>
      Math.log(Math.max(...values) / Math.min(...values.filter((x) => x > 0)));
    expect(spread(before.get("a")!.channelMax!)).toBeGreaterThan(1);
    expect(spread(after.get("a")!.channelMax!)).toBeCloseTo(0, 4);
    const [was, is] = [before.get("dw")!.channelMax!, after.get("dw")!.channelMax!].map(spread);
    expect(is).toBeCloseTo(was / 2, 3);
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
      const { changed } = equalize(graph, await observeSource(graph, source), { x: [1, 4, 4] });
      expect(changed, `${first} ${second} ${extra}`).toBe(0);
    }
  });
});
