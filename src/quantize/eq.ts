/**
 * `eq`, the "easy quant" search of ncnn2table: starting from kl, every weight scale and then the input scale of a layer is
 * searched between half and twice its value for the greatest cosine similarity of the int8 output with the float one.
 * The official tool compares whole outputs (and in the version that was read crashes on more than one channel); here the
 * outputs at a sample of positions are compared.
 */
import { Random } from "../base/random.ts";
import type { CalibrationTable } from "../formats/table.ts";
import { paramsOf } from "../ir/graph.ts";
import type { Blobs } from "../ir/tensor.ts";
import { activationFunction } from "../ops/activations.ts";
import { ops } from "../ops/index.ts";
import { quantize } from "../ops/int8.ts";
import type { QuantizableLayer } from "./layers.ts";
import { patchReader } from "./moments.ts";

/** Positions sampled from each picture, and pictures at most. */
const samplesPerImage = 8;
export const eqPictures = 32;
const candidates = 100;

interface LayerSamples {
  readonly layer: QuantizableLayer;
  readonly groups: number;
  /** Length of a patch. */
  readonly length: number;
  /** By position: the patches of all groups, `[groups, length]`. */
  readonly patches: readonly Float32Array[];
}

export class EqSamples {
  private readonly of: readonly QuantizableLayer[];
  /** By the number of the picture: the patches of each layer, `[positions, groups, length]`. */
  readonly pictures = new Map<number, readonly Float32Array[]>();

  constructor(layers: readonly QuantizableLayer[]) {
    this.of = layers;
  }

  /** Adds picture number `index`: the float inputs of the layers by blob name. Those from number `eqPictures` on say nothing. */
  add(blobs: Blobs, index: number): void {
    if (index >= eqPictures) return;
    const random = new Random(1).skip(index * this.of.length * samplesPerImage);
    const sampled = this.of.map((layer) => {
      const read = patchReader(layer, blobs[layer.input]);
      const length = layer.weights.length / layer.outputChannels;
      const patches = new Float32Array(samplesPerImage * layer.groups * length);
      let at = 0;
      for (let s = 0; s < samplesPerImage; s++) {
        const position = random.int(0, read.positions - 1);
        for (let g = 0; g < layer.groups; g++) {
          read.patch(g, position, patches.subarray(at, at + length));
          at += length;
        }
      }
      return patches;
    });
    this.pictures.set(index, sampled);
  }

  get layers(): LayerSamples[] {
    const sorted = [...this.pictures].sort(([a], [b]) => a - b);
    return this.of.map((layer, l) => {
      const length = layer.weights.length / layer.outputChannels;
      const size = layer.groups * length;
      const patches = sorted.flatMap(([, of]) =>
        Array.from({ length: samplesPerImage }, (_, s) => of[l].subarray(s * size, (s + 1) * size)),
      );
      return { layer, groups: layer.groups, length, patches };
    });
  }
}

/** A table whose scales are the best found. */
export function refineByCosine(samples: EqSamples, table: CalibrationTable): CalibrationTable {
  const out = { weights: new Map(table.weights), activations: new Map(table.activations) };
  for (const layerSamples of samples.layers) {
    const { name } = layerSamples.layer;
    const weights = out.weights.get(name);
    const input = out.activations.get(name);
    // A dead layer has infinite scales: nothing to search.
    if (!weights || input === undefined || !Number.isFinite(input)) continue;
    const search = new LayerSearch(layerSamples, weights.slice(), input);
    for (let k = 0; k < weights.length; k++) search.refineWeightScale(k);
    search.refineInputScale();
    out.weights.set(name, search.weightScales);
    out.activations.set(name, search.inputScale);
  }
  return out;
}

/** Sums over positions that make up a cosine: float·float, float·int8, int8·int8. */
type Sums = [ff: number, fq: number, qq: number];
const cosine = ([ff, fq, qq]: Sums): number => (ff > 0 && qq > 0 ? fq / Math.sqrt(ff * qq) : 0);

function candidatesAround(scale: number): number[] {
  const step = (2 * scale - 0.5 * scale) / candidates;
  return Array.from({ length: candidates }, (_, k) => Math.fround(0.5 * scale + k * step));
}

class LayerSearch {
  private readonly samples: LayerSamples;
  private readonly activate: (x: number) => number;
  readonly weightScales: Float32Array;
  inputScale: number;
  /** Float outputs `[outputChannels][positions]`. */
  private readonly float: Float64Array[];
  private readonly sums: Sums[];
  private readonly perScale: number;
  /** Patches rounded with the input scale that the weight scales are searched at. */
  private readonly integers: Int8Array[];

  constructor(samples: LayerSamples, weightScales: Float32Array, inputScale: number) {
    this.samples = samples;
    this.weightScales = weightScales;
    this.inputScale = inputScale;
    const p = paramsOf(samples.layer.node, ops) as { activation_type: number; activation_params: number[] };
    this.activate = activationFunction(p.activation_type, p.activation_params) ?? ((x) => x);
    const channels = samples.layer.outputChannels;
    this.perScale = channels / weightScales.length;
    this.float = Array.from({ length: channels }, (_, k) =>
      this.outputs(k, this.weightsOf(k), samples.patches, 1),
    );
    this.integers = this.integerPatches(inputScale);
    this.sums = this.float.map((_, k) => this.sumsOf(k, this.weightScaleOf(k), this.integers, inputScale));
  }

  private weightsOf(k: number): Float32Array {
    const { length, layer } = this.samples;
    return layer.weights.subarray(k * length, (k + 1) * length);
  }

  private weightScaleOf(k: number): number {
    return this.weightScales[Math.floor(k / this.perScale)];
  }

  private integerPatches(scale: number): Int8Array[] {
    return this.samples.patches.map((patch) => Int8Array.from(patch, (x) => quantize(x, scale)));
  }

  /** The outputs of channel k: products times `factor`, plus bias, activated. */
  private outputs(
    k: number,
    weights: ArrayLike<number>,
    patches: readonly ArrayLike<number>[],
    factor: number,
  ): Float64Array {
    const { length, groups, layer } = this.samples;
    const at = Math.floor(k / (layer.outputChannels / groups)) * length;
    const bias = layer.bias?.[k] ?? 0;
    return Float64Array.from(patches, (patch) => {
      let sum = 0;
      for (let i = 0; i < length; i++) sum += weights[i] * patch[at + i];
      return this.activate(sum * factor + bias);
    });
  }

  private sumsOf(k: number, scale: number, patches: readonly Int8Array[], inputScale: number): Sums {
    const integers = Int8Array.from(this.weightsOf(k), (w) => quantize(w, scale));
    const factor = Number.isFinite(scale) && scale > 0 ? 1 / (scale * inputScale) : 0;
    const int8 = this.outputs(k, integers, patches, factor);
    const sums: Sums = [0, 0, 0];
    this.float[k].forEach((f, i) => {
      sums[0] += f * f;
      sums[1] += f * int8[i];
      sums[2] += int8[i] * int8[i];
    });
    return sums;
  }

  private total(sums: readonly Sums[]): Sums {
    return sums.reduce<Sums>((a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]], [0, 0, 0]);
  }

  /** Searches one weight scale; only its channels change, the rest of the similarity is kept. */
  refineWeightScale(index: number): void {
    if (!Number.isFinite(this.weightScales[index])) return;
    const own = Array.from({ length: this.perScale }, (_, i) => index * this.perScale + i);
    const rest = this.total(this.sums.filter((_, k) => !own.includes(k)));
    let best = 0;
    let chosen = this.weightScales[index];
    for (const scale of candidatesAround(chosen)) {
      const sums = own.map((k) => this.sumsOf(k, scale, this.integers, this.inputScale));
      const similarity = cosine(this.total([rest, ...sums]));
      if (similarity <= best) continue;
      [best, chosen] = [similarity, scale];
      own.forEach((k, i) => {
        this.sums[k] = sums[i];
      });
    }
    this.weightScales[index] = chosen;
  }

  refineInputScale(): void {
    let best = 0;
    let chosen = this.inputScale;
    for (const scale of candidatesAround(chosen)) {
      const patches = this.integerPatches(scale);
      const sums = this.float.map((_, k) => this.sumsOf(k, this.weightScaleOf(k), patches, scale));
      const similarity = cosine(this.total(sums));
      if (similarity > best) [best, chosen] = [similarity, scale];
    }
    this.inputScale = chosen;
  }
}
