/** Convolutions by Winograd's minimal filtering: for which layers, and their constants. */
import {
  integerMatrices,
  type WinogradRun,
  type WinogradSize,
  type WinogradSpec,
  winogradChannels,
  winogradMatrices,
  winogradScratchBytes,
  winogradTiles,
} from "../../../kernels/wasm/index.ts";
import { floatOf, origin, slotsOf, windowOrigin } from "../../representations.ts";
import type { ConvolutionStep } from "../../steps.ts";
import type { WindowAxes } from "../../windows.ts";
import { packEpilogue } from "../epilogue.ts";
import type { StaticData } from "../memory.ts";
import type { KernelCall } from "../records.ts";
import type { DotMode, PlanTarget } from "../target.ts";
import { correctionOf, sumEpilogue } from "./_pack-convolution.ts";
import type { InputRun } from "./_segments.ts";
import { wholeTile } from "./_tile.ts";
import type { Planning } from "./kind.ts";

/** A kernel has code for each run of its input. */
const mostRuns = 4;

/** The windows with the outputs of whole tiles: how far the input is read. */
export function wholeTiles({ y, x }: WindowAxes, size: WinogradSize): WindowAxes {
  const up = (count: number): number => Math.ceil(count / size) * size;
  return { y: { ...y, output: up(y.output) }, x: { ...x, output: up(x.output) } };
}

/**
 * The size of tiles with which a layer is fastest; undefined where it is not to be done in tiles. The shape decides, and of int8 layers
 * the machine and whether sums are small enough.
 */
export function winogradSize(
  step: ConvolutionStep,
  { dot, compact }: Pick<PlanTarget, "dot" | "compact">,
): WinogradSize | undefined {
  const { y, x, int8, input } = step;
  const isSuited = [y, x].every((a) => a.kernel === 3 && a.stride === 1 && a.dilation === 1);
  if (!isSuited || y.output * x.output === 1) return undefined;
  const costs = int8 ? integerCosts[dot] : floatCosts;
  if (!costs || (int8 && compact)) return undefined;
  const values = new Set(input.channels.map(({ value }) => value));
  const sizes = ([2, 4] as const).filter((size) => {
    const whole = wholeTiles(step, size);
    const hangsOver = whole.y.output > y.output || whole.x.output > x.output;
    return costs[size] && (!hangsOver || [...values].every(({ pinned, constant }) => !pinned && !constant));
  });
  let [best, least] = [undefined as WinogradSize | undefined, worthwhile * directCost(step, costs)];
  for (const size of sizes) {
    const cost = tiledCost(step, size, costs);
    if (cost < least) [best, least] = [size, cost];
  }
  // Last, since it reads all weights.
  return best && int8 && !fitsWinograd(step, true) ? undefined : best;
}

/** Whether the sums of an int8 layer are within 26 bits, whatever its inputs: −127 to 127, or from 0. */
function fitsWinograd({ weight, output }: ConvolutionStep, nonNegative: boolean): boolean {
  const perOutput = weight.length / output.channels;
  const most = Math.floor((2 ** 25 - 1) / 127);
  for (let first = 0; first < weight.length; first += perOutput) {
    let [positive, negative] = [0, 0];
    for (let k = first; k < first + perOutput; k++) {
      if (weight[k] > 0) positive += weight[k];
      else negative -= weight[k];
    }
    if ((nonNegative ? Math.max(positive, negative) : positive + negative) > most) return false;
  }
  return true;
}

/** Instructions, those that several of which are done at a time counting less. */
interface Costs {
  /** For a vector of four products, loads included: as the layer is done directly, and in tiles. */
  readonly direct: number;
  readonly tiled: number;
  /** How many tiles are multiplied at a time. */
  readonly together: number;
  /** Both transforms for a tile and a vector of four channels. */
  readonly 2?: readonly [input: number, output: number];
  readonly 4: readonly [input: number, output: number];
}

/** Below this share of the direct way's cost. */
const worthwhile = 0.9;
/** Instructions around the sums of a tile of accumulators. */
const sumCost = 40;

const floatCosts: Costs = { direct: 20 / 12, tiled: 20 / 12, together: 6, 2: [110, 90], 4: [330, 280] };
const integers = { tiled: 0.9, together: 4, 4: [200, 330] } as const;
/** By how dot products are done directly. Where one instruction does sixteen products of signed bytes (Arm), it does few of 16 bits. */
const integerCosts: Readonly<Record<DotMode, Costs | undefined>> = {
  signed: undefined,
  unsigned: { ...integers, direct: 0.43 },
  i7: { ...integers, direct: 0.6 },
  i16: { ...integers, direct: 0.9 },
};

function directCost({ y, x, input, output }: ConvolutionStep, { direct }: Costs): number {
  const pixels = y.output * Math.ceil(x.output / 6) * 6;
  const vectors = output.slotCount / 4;
  return pixels * vectors * (9 * input.channels.length * direct + sumCost / 12);
}

function tiledCost({ y, x, input, output }: ConvolutionStep, size: WinogradSize, costs: Costs): number {
  const tiles = Math.ceil(y.output / size) * Math.ceil(x.output / size);
  const [inputVectors, vectors] = [Math.ceil(input.channels.length / 4), output.slotCount / 4];
  const points = (size + 2) ** 2;
  const [forth, back] = costs[size]!;
  const { together, tiled } = costs;
  const rounded = Math.ceil(tiles / together) * together;
  const products = rounded * vectors * points * (inputVectors * 4 * tiled + sumCost / 12);
  return products + tiles * (inputVectors * forth + vectors * back);
}

/** Of a point. */
const manyWeights = 2 ** 17;

/** The call that does it; undefined where the input lies in too many pieces. */
export function winogradCall(
  step: ConvolutionStep,
  runs: readonly InputRun[],
  { data, target, lowestOf, needScratch }: Planning,
): { call: KernelCall; name: string; rest: string } | undefined {
  const size = winogradSize(step, target);
  if (!size || runs.length > mostRuns) return undefined;
  const { output, y, x, fused, int8, input } = step;
  // From 0 they fit: a size was found.
  const nonNegative = input.channels.every(({ value }) => lowestOf(value) === 0);
  if (int8 && !nonNegative && !fitsWinograd(step, false)) return undefined;
  const [rows, width] = [y.output, x.output];
  const { count } = winogradTiles({ size, rows, width });
  const own = runs.map(
    ({ representation: { pixelBytes, rowBytes, zeroPoint }, channels }): WinogradRun => ({
      channels: channels.length,
      pixelBytes,
      rowBytes,
      unsigned: zeroPoint > 0,
    }),
  );
  const weights = winogradChannels(own) * output.slotCount;
  const together = blockOf(count, weights, target.threads);
  const tile = wholeTile(target.tiles[int8 ? "i16" : "f32"], together, output.slotCount / 4, target.wide);
  const spec: WinogradSpec = {
    kind: "winograd",
    dtype: int8 ? "i8" : "f32",
    size,
    runs: own,
    rows,
    width,
    outputVectors: output.slotCount / 4,
    blockTiles: Math.ceil(together / tile.pixels) * tile.pixels,
    tile,
    block: target.wide ? 2 : 1,
    epilogue: sumEpilogue(step, runs),
  };
  needScratch(winogradScratchBytes(spec));
  const residual = fused.find((done) => done.kind === "residual");
  const args = [
    ...runs.map(({ representation, slot }) => windowOrigin(representation, step) + slot * (int8 ? 1 : 4)),
    addWeights(data, step, runs, size, tile.vectors),
    packEpilogue(data, spec.epilogue, output, {
      fused,
      bias: step.bias,
      int8,
      correction: correctionOf(step, runs),
    }),
    residual ? origin(floatOf(residual.value)) : 0,
    "scratch" as const,
    ...output.representations.map(origin),
  ];
  const call = { spec, args, total: Math.ceil(count / spec.blockTiles), unit: 1 };
  return { call, name: `${int8 ? "s8" : "f32"}-winograd${size}`, rest: "" };
}

/**
 * Tiles that are handled together: enough to use weights often, more where they come from beyond the cache; few enough to stay in the
 * cache themselves, and as many blocks for each thread.
 */
function blockOf(count: number, weights: number, threads: number): number {
  const most = weights > manyWeights ? 48 : 24;
  const blocks = Math.ceil(count / most / threads) * threads;
  return Math.ceil(count / blocks);
}

function addWeights(
  data: StaticData,
  step: ConvolutionStep,
  runs: readonly InputRun[],
  size: WinogradSize,
  vectors: number,
): number {
  const packed = packWeights(step, runs, size, vectors);
  const { weight, input, output, int8 } = step;
  if (int8) return data.add(packed);
  const [slots, columns] = [slotsOf(output), Int32Array.from(placesOf(runs))];
  const from = { weight, perOutput: input.channels.length, slots, columns, inLane: 1, vectors, size };
  return data.add(packed, { kind: "winograd", ...from });
}

/** Input channel of every place, -1 where a run is rounded up. */
const placesOf = (runs: readonly InputRun[]): number[] =>
  runs.flatMap(({ channels }) =>
    Array.from({ length: winogradChannels([{ channels: channels.length }]) }, (_, i) => channels[i] ?? -1),
  );

/** Transformed weights `[point][block of output channels][input channel or, of int8, pair][channel of the block](2)`. */
function packWeights(
  { weight, input, output, int8 }: ConvolutionStep,
  runs: readonly InputRun[],
  size: WinogradSize,
  vectors: number,
): Float32Array | Int16Array {
  const matrix = (int8 ? integerMatrices() : winogradMatrices(size)).weight;
  const inLane = int8 ? 2 : 1;
  const n = matrix.length;
  // Side by side: lists in lists are slow where this runs, before anything is compiled well.
  const factors = Float64Array.from(matrix.flat());
  const slots = slotsOf(output);
  const places = placesOf(runs);
  const pointSize = places.length * slots.length;
  const out = new (int8 ? Int16Array : Float32Array)(n * n * pointSize);
  const half = new Float64Array(n * 3);
  for (let slot = 0; slot < slots.length; slot++) {
    const channel = slots[slot];
    if (channel < 0) continue;
    const first = Math.floor(slot / 4 / vectors) * vectors * 4;
    const blockSize = Math.min(vectors * 4, slots.length - first);
    for (let place = 0; place < places.length; place++) {
      const from = places[place];
      if (from < 0) continue;
      const taps = (channel * input.channels.length + from) * 9;
      const inBlock = (place - (place % inLane)) * blockSize + (slot - first) * inLane + (place % inLane);
      const at = first * places.length + inBlock;
      // half = matrix · taps, out = half · matrixᵀ
      for (let i = 0; i < 3 * n; i += 3) {
        const [a, b, c] = [factors[i], factors[i + 1], factors[i + 2]];
        for (let x = 0; x < 3; x++)
          half[i + x] = a * weight[taps + x] + b * weight[taps + 3 + x] + c * weight[taps + 6 + x];
      }
      for (let i = 0, point = at; i < 3 * n; i += 3) {
        const [a, b, c] = [half[i], half[i + 1], half[i + 2]];
        for (let j = 0; j < 3 * n; j += 3, point += pointSize) {
          out[point] = factors[j] * a + factors[j + 1] * b + factors[j + 2] * c;
        }
      }
    }
  }
  return out;
}
