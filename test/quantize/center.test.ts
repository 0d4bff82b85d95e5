import { describe, expect, it } from "vitest";
import { calibrate } from "../../src/deploy/calibrate.ts";
import { runReference } from "../../src/engine/reference/index.ts";
import { createSession } from "../../src/engine/session.ts";
import { type Graph, paramsOf } from "../../src/ir/graph.ts";
import { ops } from "../../src/ops/index.ts";
import { center } from "../../src/quantize/center.ts";
import { quantize } from "../../src/quantize/index.ts";
import { network, pictures, rangesOf } from "./_models.ts";

const shapes = { x: [3, 16, 16] };
const header = (lines: string): string => {
  const nodes = `Input x 0 1 x 0=16 1=16 2=3\n${lines.trim()}`.split("\n").map((line) => line.trim());
  return `7767517\n${nodes.length} 20\n${nodes.join("\n")}\n`;
};
const centred = async (graph: Graph) => center(graph, await rangesOf(graph, pictures(4)), shapes);

/** Padded and not, behind max pooling, shuffled, resized, averaged, grouped; and what cannot be shifted. */
const networks: Record<string, string> = {
  "a unit of ShuffleNet": `
    Convolution stem 1 1 x stem 0=8 1=3 3=2 4=1 5=1 6=216 9=1
    Slice cut 1 2 stem left right -23300=2,4,4
    Convolution a 1 1 right a 0=6 1=1 5=1 6=24 9=1
    ConvolutionDepthWise dw 1 1 a dw 0=6 1=3 4=1 5=1 6=54 7=6
    Convolution b 1 1 dw b 0=4 1=1 5=1 6=24 9=1
    Concat cat 2 1 left b cat
    ShuffleChannel mix 1 1 cat mix 0=2
    Interp up 1 1 mix up 0=1 1=2.0 2=2.0
    Convolution last 1 1 up last 0=5 1=1 5=1 6=40`,
  "maxima before a padded depthwise layer": `
    Convolution stem 1 1 x stem 0=8 1=3 4=1 5=1 6=216 9=1
    Pooling pool 1 1 stem pool 0=0 1=3 2=2 3=1 5=1
    ConvolutionDepthWise dw 1 1 pool dw 0=8 1=3 3=2 4=1 5=1 6=72 7=8
    Convolution a 1 1 pool a 0=4 1=1 6=32
    Convolution b 1 1 dw b 0=4 1=1 6=32`,
  "SiLU, hard-swish and ReLU6, padded and not": `
    Convolution stem 1 1 x stem 0=8 1=3 3=2 4=1 5=1 6=216
    Swish swish 1 1 stem act
    Convolution a 1 1 act a 0=6 1=3 4=1 6=432 9=6 -23310=2,0.16666667,0.5
    Convolution b 1 1 act b 0=6 1=1 6=48 9=3 -23310=2,0.0,6.0
    Concat cat 2 1 a b cat
    Convolution c 1 1 cat c 0=5 1=1 6=60`,
  "a dense window over averages, SAME padding": `
    Convolution stem 1 1 x stem 0=8 1=3 4=1 5=1 6=216 9=1
    Pooling pool 1 1 stem pool 0=1 1=2 2=2 5=1
    Convolution a 1 1 pool a 0=6 1=3 3=2 4=-233 6=432 9=1
    ConvolutionDepthWise g 1 1 a g 0=4 1=3 4=1 6=108 7=2`,
};

describe("center", () => {
  it.each(Object.entries(networks))("%s: computes the same, around zero", async (_, text) => {
    const graph = network(header(text));
    const { graph: out, changed } = await centred(graph);
    expect(changed).toBeGreaterThan(0);
    for await (const input of pictures(2, 7)()) {
      const [before, after] = [runReference(graph, input), runReference(out, input)];
      const session = await createSession(out);
      const fast = await session.run(input);
      session.close();
      for (const [blob, { data }] of Object.entries(before)) {
        const most = Math.max(...data.map(Math.abs));
        for (let i = 0; i < data.length; i++) {
          expect(Math.abs(after[blob].data[i] - data[i])).toBeLessThan(1e-5 * most);
          expect(Math.abs(fast[blob].data[i] - data[i])).toBeLessThan(1e-5 * most);
        }
      }
    }
  });

  it("uses both halves of the integers where ReLU used one, and pads with what zero has become", async () => {
    const graph = network(header(networks["a unit of ShuffleNet"]));
    const { graph: out } = await centred(graph);
    const dw = paramsOf(out.node("dw")!, ops);
    const a = paramsOf(out.node("a")!, ops);
    expect(a.activation_type).toBe(3);
    expect(dw.pad_value).toBe((a.activation_params as number[])[1]);
    const options = { method: "auto", without: ["equalize", "round"] } as const;
    const { graph: calibrated, table } = await calibrate(graph, pictures(8), options);
    const plain = await calibrate(graph, pictures(8), {
      ...options,
      without: ["equalize", "center", "round"],
    });
    const ratio = table.activations.get("dw")! / plain.table.activations.get("dw")!;
    expect(ratio).toBeGreaterThan(1.6);
    const int8 = quantize(calibrated, table).graph;
    expect(int8.node("dw")!.params.pad_value).toBeGreaterThan(120);
  });

  it("keeps a layer float that would have to pad int8 with less than 0", async () => {
    const graph = network(header(networks["maxima before a padded depthwise layer"]));
    const { graph: calibrated, table } = await calibrate(graph, pictures(4), { without: ["equalize"] });
    expect(calibrated.node("dw")!.params.pad_value).toBeLessThan(0);
    const { record } = quantize(calibrated, table);
    expect(record.keptFloat).toEqual([{ name: "dw", reason: "its padding is below 0" }]);
  });

  it.each([
    [
      "sums",
      "Convolution a 1 1 x a 0=3 1=1 6=9 9=1\nBinaryOp s 2 1 a x s\nConvolution b 1 1 s b 0=2 1=1 6=6",
    ],
    [
      "maxima before a dense window",
      "Convolution a 1 1 x a 0=3 1=1 6=9 9=1\nPooling p 1 1 a p 1=2 2=2\nConvolution b 1 1 p b 0=2 1=3 4=1 6=54",
    ],
    [
      "averages that count padding",
      "Convolution a 1 1 x a 0=3 1=1 6=9 9=1\nPooling p 1 1 a p 0=1 1=3 2=2 3=1 5=1 6=1\nConvolution b 1 1 p b 0=2 1=1 6=6",
    ],
    [
      "padding with a value",
      "Convolution a 1 1 x a 0=3 1=1 6=9 9=1\nConvolution b 1 1 a b 0=2 1=3 4=1 6=54 18=0.5",
    ],
  ])("leaves alone: %s", async (_, text) => {
    expect((await centred(network(header(text)))).changed).toBe(0);
  });
});
