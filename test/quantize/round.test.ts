import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { parseParam } from "../../src/formats/ncnn/index.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import { quantize } from "../../src/ops/int8.ts";
import { type QuantizableLayer, quantizableLayers } from "../../src/quantize/layers.ts";
import { PatchMoments, patchReader } from "../../src/quantize/moments.ts";
import { inverseFactor, roundLayer } from "../../src/quantize/round.ts";
import { absmaxScales } from "../../src/quantize/weights.ts";

function layer(line: string, weights: Float32Array): QuantizableLayer {
  const graph = parseParam(`7767517\n2 2\nInput x 0 1 x\n${line}\n`);
  graph.nodes[1].weights = { weight: f32Weight(weights) };
  return quantizableLayers(graph)[0];
}

/** Channels that are mixtures of few causes, so that they vary together, and are not centered. */
function correlated(random: Random, channels: number, size: number): Float32Array {
  const causes = Array.from({ length: 3 }, () => random.floats(size * size, 0, 1));
  const out = new Float32Array(channels * size * size);
  for (let c = 0; c < channels; c++) {
    const mix = random.floats(3, 0, 1);
    for (let i = 0; i < size * size; i++) {
      out[c * size * size + i] = causes.reduce((sum, cause, k) => sum + mix[k] * cause[i], 0);
    }
  }
  return out;
}

describe("inverseFactor", () => {
  it("is the upper factor of the inverse", () => {
    const random = new Random(4);
    const n = 7;
    const b = Array.from({ length: n }, () => random.floats(n));
    const a = new Float64Array(n * n);
    for (let i = 0; i < n * n; i++) {
      a[i] = b[0].reduce((sum, _, k) => sum + b[k][Math.floor(i / n)] * b[k][i % n], i % (n + 1) ? 0 : 0.1);
    }
    const u = inverseFactor(a, n);
    // A·UᵀU must be the identity.
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let k = 0; k < n; k++) {
          for (let m = 0; m <= Math.min(k, j); m++) sum += a[i * n + k] * u[m * n + k] * u[m * n + j];
        }
        expect(sum).toBeCloseTo(i === j ? 1 : 0, 6);
        if (i > j) expect(u[i * n + j]).toBe(0);
      }
    }
  });
});

describe("patchReader", () => {
  it("reads the window that the convolution multiplies, with zeros outside", () => {
    const conv = layer("Convolution c 1 1 x c 0=1 1=3 3=2 4=1 6=9", new Float32Array(9));
    const input = { shape: [1, 4, 4], data: Float32Array.from({ length: 16 }, (_, i) => i + 1) };
    const read = patchReader(conv, input);
    const patch = new Float32Array(9);
    expect(read.positions).toBe(4);
    read.patch(0, 0, patch);
    expect([...patch]).toEqual([0, 0, 0, 0, 1, 2, 0, 5, 6]);
    read.patch(0, 3, patch);
    expect([...patch]).toEqual([6, 7, 8, 10, 11, 12, 14, 15, 16]);
  });
});

describe("roundLayer", () => {
  it.each([
    ["dense", "Convolution c 1 1 x c 0=16 1=1 6=512", 32],
    ["depthwise", "ConvolutionDepthWise c 1 1 x c 0=32 1=3 4=1 6=288 7=32", 32],
    ["grouped", "ConvolutionDepthWise c 1 1 x c 0=16 1=1 6=128 7=4", 32],
  ])("changes the outputs of a %s layer less than rounding to nearest", (_, line, channels) => {
    const random = new Random(8);
    const count = Number(/ 6=(\d+)/.exec(line)![1]);
    const conv = layer(line, random.floats(count));
    // Coarse scales, so that there is something to gain.
    const scales = absmaxScales(conv).map((scale) => scale / 16);
    const scale = 127 / 3;
    const moments = new PatchMoments(conv, scale);
    const input = { shape: [channels, 12, 12], data: correlated(random, channels, 12) };
    for (let i = 0; i < 8; i++) moments.add(input, i, random);
    const { weights, bias } = roundLayer(moments, scales);
    const nearest = Int8Array.from(conv.weights, (w, i) =>
      quantize(w, scales[Math.floor(i / conv.weightsPerScale)]),
    );

    const [mean, error] = outputError(conv, input, scale, scales, weights, bias);
    const [nearestMean, nearestError] = outputError(
      conv,
      input,
      scale,
      scales,
      nearest,
      new Float32Array(64),
    );
    expect(error).toBeLessThan(nearestError / 2);
    expect(Math.abs(mean)).toBeLessThan(Math.abs(nearestMean) / 4);
  });
});

/** Mean and mean square of the error over all positions and output channels. */
function outputError(
  conv: QuantizableLayer,
  input: { shape: number[]; data: Float32Array },
  scale: number,
  scales: Float32Array,
  integers: Int8Array,
  bias: Float32Array,
): [number, number] {
  const read = patchReader(conv, input);
  const n = conv.weights.length / conv.outputChannels;
  const groups = conv.node.type === "Convolution" ? 1 : conv.scaleCount;
  const patch = new Float32Array(n);
  let [mean, square] = [0, 0];
  for (let k = 0; k < conv.outputChannels; k++) {
    const g = Math.floor(k / (conv.outputChannels / groups));
    let channelMean = 0;
    for (let position = 0; position < read.positions; position++) {
      read.patch(g, position, patch);
      let error = bias[k];
      for (let i = 0; i < n; i++) {
        const weightScale = scales[Math.floor((k * n) / conv.weightsPerScale)];
        error += (integers[k * n + i] / weightScale) * (quantize(patch[i], scale) / scale);
        error -= conv.weights[k * n + i] * patch[i];
      }
      channelMean += error / read.positions;
      square += error ** 2;
    }
    mean += Math.abs(channelMean);
  }
  return [mean / conv.outputChannels, square / (conv.outputChannels * read.positions)];
}
