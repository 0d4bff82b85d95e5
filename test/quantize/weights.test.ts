import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { parseParam, readNcnn } from "../../src/formats/ncnn/index.ts";
import { parseTable } from "../../src/formats/table.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import { type QuantizableLayer, quantizableLayers } from "../../src/quantize/layers.ts";
import {
  absmaxScales,
  aciqScales,
  finestScales,
  greatestSum,
  isWinogradSafe,
} from "../../src/quantize/weights.ts";
import { dataBytes, dataText, testData } from "../data.ts";

function layer(line: string, weights: Float32Array): QuantizableLayer {
  const graph = parseParam(`7767517\n2 2\nInput x 0 1 x\n${line}\n`);
  graph.nodes[1].weights = { weight: f32Weight(weights) };
  return quantizableLayers(graph)[0];
}
/** A wide 3×3 stride 1 convolution, 1024 channels to 2. */
const wide = (weights: Float32Array) => layer("Convolution c 1 1 x c 0=2 1=3 4=1 6=18432", weights);

describe("weight scales", () => {
  it("have a range per output channel, or per group, and six bits for Winograd layers", () => {
    const two = Float32Array.of(1, -2, 0, 0.5);
    expect([...absmaxScales(layer("Convolution c 1 1 x c 0=2 1=1 6=4", two))]).toEqual([63.5, 254]);
    const depthwise = layer("ConvolutionDepthWise c 1 1 x c 0=4 1=1 6=4 7=2", two);
    expect([...absmaxScales(depthwise)]).toEqual([63.5, 254]);
    expect(absmaxScales(wide(new Float32Array(18432).fill(0.5)))[0]).toBe(62);
  });

  it("are as fine as native Winograd allows", () => {
    const random = new Random(2);
    const dense = wide(random.floats(18432, -0.1, 1));
    const scales = finestScales(dense, true);
    const integers = Int8Array.from(dense.weights, (w, i) => Math.round(w * scales[Math.floor(i / 9216)]));
    expect(scales[0]).toBe(absmaxScales(dense)[0]);
    expect(isWinogradSafe(dense, integers, true)).toBe(false);

    const sparse = wide(random.floats(18432).map((w) => w ** 15));
    const finer = finestScales(sparse, true);
    expect(finer[0]).toBeGreaterThan(absmaxScales(sparse)[0]);
    expect(
      isWinogradSafe(
        sparse,
        Int8Array.from(sparse.weights, (w, i) => Math.round(w * finer[Math.floor(i / 9216)])),
        true,
      ),
    ).toBe(true);
    expect(finestScales(wide(new Float32Array(18432)), true)[0]).toBe(1);
  });

  it("greatestSum bounds every sum of products", () => {
    expect(greatestSum([3, -5, 1], false)).toBe(127 * 9);
    expect(greatestSum([3, -5, 1], true)).toBe(127 * 5);
  });

  testData("equal those of the official tables, all 9,909, kl and aciq", () => {
    const graph = readNcnn(dataText("models/yolov5ss.param"), dataBytes("models/yolov5ss.bin"));
    for (const [name, scales] of [
      ["kl", absmaxScales],
      ["aciq", aciqScales],
    ] as const) {
      const official = parseTable(dataText(`golden/off-${name}-320.table`));
      let compared = 0;
      for (const each of quantizableLayers(graph)) {
        const printed = Float32Array.from(scales(each), (scale) => Number(scale.toFixed(6)));
        expect(printed).toEqual(official.weights.get(each.name));
        compared += printed.length;
      }
      expect(compared).toBe(9909);
    }
  });
});
