/** Convolutions by Winograd's minimal filtering: for which layers, and their constants. Only the shape decides. */
import {
  type WinogradRun,
  type WinogradSize,
  type WinogradSpec,
  winogradChannels,
  winogradMatrices,
  winogradScratchBytes,
  winogradTiles,
} from "../../../kernels/wasm/index.ts";
import type { ConvolutionStep } from "../../steps.ts";
import type { WindowAxes } from "../../windows.ts";
import { epilogueOf, packEpilogue } from "../epilogue.ts";
import type { KernelCall } from "../records.ts";
import { floatOf, origin, slotsOf, windowOrigin } from "../representations.ts";
import type { InputRun } from "./_segments.ts";
import type { Planning } from "./kind.ts";

/** A kernel has code for each run of its input. */
const mostRuns = 4;

/** The windows with the outputs of whole tiles: how far the input is read. */
export function wholeTiles({ y, x }: WindowAxes, size: WinogradSize): WindowAxes {
  const up = (count: number): number => Math.ceil(count / size) * size;
  return { y: { ...y, output: up(y.output) }, x: { ...x, output: up(x.output) } };
}

/** The size of tiles with which a layer is fastest; undefined where it is not to be done in tiles. */
export function winogradSize(step: ConvolutionStep): WinogradSize | undefined {
  const { y, x, int8, input } = step;
  const isSuited = [y, x].every((a) => a.kernel === 3 && a.stride === 1 && a.dilation === 1);
  if (int8 || !isSuited || y.output * x.output === 1) return undefined;
  const values = new Set(input.channels.map(({ value }) => value));
  const sizes = ([2, 4] as const).filter((size) => {
    const whole = wholeTiles(step, size);
    const hangsOver = whole.y.output > y.output || whole.x.output > x.output;
    return !hangsOver || [...values].every(({ pinned, constant }) => !pinned && !constant);
  });
  let [best, least] = [undefined as WinogradSize | undefined, worthwhile * directCost(step)];
  for (const size of sizes) {
    const cost = tiledCost(step, size);
    if (cost < least) [best, least] = [size, cost];
  }
  return best;
}

/** Below this share of the direct way's cost. */
const worthwhile = 0.9;
/** Instructions for a vector of four products, loads included, in tiles of 6 × 2. */
const productCost = 20 / 12;
/** Instructions around the sums of a tile of accumulators. */
const sumCost = 40;
/** Instructions of both transforms for a tile and a vector of channels. */
const transformCosts: Readonly<Record<WinogradSize, readonly [input: number, output: number]>> = {
  2: [110, 90],
  4: [330, 280],
};

/** In instructions. */
function directCost({ y, x, input, output }: ConvolutionStep): number {
  const pixels = y.output * Math.ceil(x.output / 6) * 6;
  const vectors = output.slotCount / 4;
  return pixels * vectors * (9 * input.channels.length * productCost + sumCost / 12);
}

function tiledCost({ y, x, input, output }: ConvolutionStep, size: WinogradSize): number {
  const tiles = Math.ceil(y.output / size) * Math.ceil(x.output / size);
  const [inputVectors, vectors] = [Math.ceil(input.channels.length / 4), output.slotCount / 4];
  const points = (size + 2) ** 2;
  const [forth, back] = transformCosts[size];
  const products =
    Math.ceil(tiles / 6) * 6 * vectors * points * (inputVectors * 4 * productCost + sumCost / 12);
  return products + tiles * (inputVectors * forth + vectors * back);
}

/** Of a point. */
const manyWeights = 2 ** 17;

/** The call that does it; undefined where the input lies in too many pieces. */
export function winogradCall(
  step: ConvolutionStep,
  runs: readonly InputRun[],
  { data, target, needScratch }: Planning,
): { call: KernelCall; name: string; rest: string } | undefined {
  const size = winogradSize(step);
  if (!size || runs.length > mostRuns) return undefined;
  const { output, y, x, fused } = step;
  const [rows, width] = [y.output, x.output];
  const { count } = winogradTiles({ size, rows, width });
  const tile = {
    pixels: target.tiles.f32.pixels,
    vectors: Math.min(target.tiles.f32.vectors, output.slotCount / 4),
  };
  const own = runs.map(
    ({ representation: { pixelBytes, rowBytes }, channels }): WinogradRun => ({
      channels: channels.length,
      pixelBytes,
      rowBytes,
    }),
  );
  const spec: WinogradSpec = {
    kind: "winograd",
    size,
    runs: own,
    rows,
    width,
    outputVectors: output.slotCount / 4,
    blockTiles: blockOf(count, tile.pixels, winogradChannels(own) * output.slotCount, target.threads),
    tile,
    epilogue: epilogueOf(fused, output.representations, "f32"),
  };
  needScratch(winogradScratchBytes(spec));
  const residual = fused.find((done) => done.kind === "residual");
  const args = [
    ...runs.map(({ representation, slot }) => windowOrigin(representation, step) + slot * 4),
    data.add(packWeights(step, runs, size, tile.vectors)),
    packEpilogue(data, spec.epilogue, output, { fused, bias: step.bias }),
    residual ? origin(floatOf(residual.value)) : 0,
    "scratch" as const,
    ...output.representations.map(origin),
  ];
  const call = { spec, args, total: Math.ceil(count / spec.blockTiles), unit: 1 };
  return { call, name: `f32-winograd${size}`, rest: "" };
}

/**
 * Tiles that are handled together: enough to use weights often, more where they come from beyond the cache; few enough to stay in the
 * cache themselves, and for each thread some.
 */
function blockOf(count: number, pixels: number, weights: number, threads: number): number {
  const most = weights > manyWeights ? 48 : 24;
  const blocks = Math.ceil(count / Math.min(most, Math.ceil(count / threads)));
  return Math.ceil(Math.ceil(count / blocks) / pixels) * pixels;
}

/** Transformed weights `[point][block of output channels][input channel][channel of the block]`. */
function packWeights(
  { weight, input, output }: ConvolutionStep,
  runs: readonly InputRun[],
  size: WinogradSize,
  vectors: number,
): Float32Array {
  const matrix = winogradMatrices(size).weight;
  const n = matrix.length;
  const slots = slotsOf(output);
  // Input channel of every place, -1 where a run is rounded up.
  const places = runs.flatMap(({ channels }) =>
    Array.from({ length: winogradChannels([{ channels: channels.length }]) }, (_, i) => channels[i] ?? -1),
  );
  const pointSize = places.length * slots.length;
  const out = new Float32Array(n * n * pointSize);
  const half = new Float64Array(n * 3);
  for (const [slot, channel] of slots.entries()) {
    if (channel < 0) continue;
    const first = Math.floor(slot / 4 / vectors) * vectors * 4;
    const blockSize = Math.min(vectors * 4, slots.length - first);
    for (const [place, from] of places.entries()) {
      if (from < 0) continue;
      const taps = (channel * input.channels.length + from) * 9;
      const at = first * places.length + place * blockSize + slot - first;
      // half = matrix · taps, out = half · matrixᵀ
      for (let i = 0; i < n; i++) {
        const [a, b, c] = matrix[i];
        for (let x = 0; x < 3; x++)
          half[i * 3 + x] = a * weight[taps + x] + b * weight[taps + 3 + x] + c * weight[taps + 6 + x];
      }
      for (let i = 0, point = at; i < n; i++) {
        for (let j = 0; j < n; j++, point += pointSize) {
          const [a, b, c] = matrix[j];
          out[point] = a * half[i * 3] + b * half[i * 3 + 1] + c * half[i * 3 + 2];
        }
      }
    }
  }
  return out;
}
