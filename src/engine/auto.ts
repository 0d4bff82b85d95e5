/** The backend `auto`: each network is made by all that can run here, timed for a few frames, and kept by the fastest. */
import { version } from "../base/version.ts";
import type { Graph } from "../ir/graph.ts";
import type { LevelMap, Pixels, Taps } from "../ir/pixels.ts";
import { elementCount, type Shape, type Tensor } from "../ir/tensor.ts";
import { features } from "../wasm/index.ts";
import type { Backend, BackendOptions, Compiled, Looked, ModuleStore, PixelInput } from "./backend.ts";
import { type BackendName, backends } from "./backends.ts";
import { findAdapter, nameOf } from "./webgpu/adapter.ts";

/** The first is the default, which runs wherever one of them does, and whose numbers the others are held to. */
const racers: readonly Racer[] = backends.filter(({ name }) => name !== "reference");

/** A network, and who made it. */
export interface Raced {
  readonly network: Compiled;
  readonly name: BackendName;
}

export type Race = (
  graph: Graph,
  shapes: Record<string, Shape>,
  outputs: readonly string[],
  source?: PixelInput,
) => Promise<Raced>;

/**
 * Prepares the backends that are there and may be the fastest, and says why which is not. Throws UnsupportedError where the default one
 * cannot be had.
 */
export async function prepareRace(
  options: BackendOptions,
): Promise<{ race: Race; missing: string | undefined }> {
  const [first, ...others] = racers;
  first.prepare(options);
  const ready: Racer[] = [first];
  const missing: string[] = [];
  for (const other of others) {
    try {
      await other.prepare(options);
      const slow = await other.slowBecause?.();
      if (slow === undefined) ready.push(other);
      else missing.push(slow);
    } catch (error) {
      missing.push((error as Error).message);
    }
  }
  return {
    race: (...what) => race(ready, what, options),
    missing: missing.length ? `${missing.join("; ")}: ${first.name} computes` : undefined,
  };
}

type Racer = Backend & { readonly name: BackendName };
type Network = Parameters<Race>;

async function race(ready: readonly Racer[], network: Network, options: BackendOptions): Promise<Raced> {
  const make = async (backend: Racer): Promise<Raced> => {
    const [graph, shapes, outputs, source] = network;
    return { network: await backend.compile(graph, shapes, outputs, options, source), name: backend.name };
  };
  const [first, ...others] = ready;
  if (!others.length) return make(first);
  const key = await keyOf(network, options);
  const before = await winnerOf(key, options.modules);
  const known = ready.find(({ name }) => name === before);
  if (known) {
    // What ran before may not run today, when others hold the device's memory.
    const made = await make(known).catch((error: unknown) => {
      if (known === first) throw error;
    });
    if (made) return made;
  }
  let best = await make(first);
  const expected = await onSample(best.network, network)();
  let least = await bestOf(best.network, network);
  for (const other of others) {
    const made = await make(other).catch(() => undefined);
    if (!made) continue;
    const ms = await timeOf(made.network, network, expected, least).catch(() => Number.POSITIVE_INFINITY);
    const [winner, loser] = ms < least ? [made, best] : [best, made];
    loser.network.close();
    [best, least] = [winner, Math.min(ms, least)];
  }
  await keepWinner(key, best.name, options.modules);
  return best;
}

/** Enough for a compiler to have done its work, and little enough to wait for. */
const settling = { frames: 5, milliseconds: 400, most: 60 };

/** The shortest time of a frame, once frames get no faster. */
async function bestOf(network: Compiled, what: Network): Promise<number> {
  const frame = onSample(network, what);
  let least = Number.POSITIVE_INFINITY;
  const start = performance.now();
  for (let i = 0; i < settling.most; i++) {
    const before = performance.now();
    await frame();
    const now = performance.now();
    least = Math.min(least, now - before);
    if (i + 1 >= settling.frames && now - start > settling.milliseconds) break;
  }
  return least;
}

/** The same of a rival, Infinity where its numbers are others; given up as soon as it is clearly slower. */
async function timeOf(
  network: Compiled,
  what: Network,
  expected: Record<string, Tensor>,
  rival: number,
): Promise<number> {
  const frame = onSample(network, what);
  if (!isLike(await frame(), expected)) return Number.POSITIVE_INFINITY;
  const before = performance.now();
  await frame();
  const first = performance.now() - before;
  return first > 4 * rival ? first : Math.min(first, await bestOf(network, what));
}

/** As far as float16 may be off, and integers that it moves by one. */
const tolerance = 0.05;

function isLike(found: Record<string, Tensor>, expected: Record<string, Tensor>): boolean {
  return Object.entries(expected).every(([blob, { data, shape }]) => {
    // Lists of boxes have as many rows as there are boxes.
    if (found[blob].data.length !== data.length) return shape.length === 2;
    let [most, worst] = [1e-3, 0];
    for (const [i, x] of data.entries()) {
      if (!Number.isFinite(x)) continue;
      most = Math.max(most, Math.abs(x));
      worst = Math.max(worst, Math.abs(x - found[blob].data[i]));
    }
    return worst <= tolerance * most;
  });
}

/** Runs one frame as they will come: pixels where the network is made of them. */
function onSample(network: Compiled, what: Network): () => Promise<Record<string, Tensor>> {
  const [, shapes, , source] = what;
  const { look } = network;
  if (!source || !look) {
    const inputs = sampleInputs(what);
    return async () => network.run(inputs);
  }
  const pixels = samplePixels(shapes[source.blob]);
  // They are the engine's own, until it runs again.
  const copied = ({ blobs }: Looked): Record<string, Tensor> =>
    Object.fromEntries(
      Object.entries(blobs).map(([blob, { shape, data }]) => [blob, { shape, data: data.slice() }]),
    );
  return async () => look(pixels, copied);
}

/** A picture of the input's size. */
function samplePixels([, height, width]: Shape): Pixels {
  const lines = (count: number): Taps => {
    const all = Array.from({ length: count }, (_, i) => i);
    return {
      ...{ from: Int32Array.from(all), next: Int32Array.from(all, (i) => Math.min(i + 1, count - 1)) },
      ...{ first: new Int32Array(count).fill(2048), second: new Int32Array(count) },
    };
  };
  const placement = {
    ...{ sourceWidth: width, sourceHeight: height, width, height, left: 0, top: 0, border: 0 },
    ...{ columns: lines(width), rows: lines(height) },
  };
  return { data: Uint8Array.from({ length: width * height * 3 }, noise), channels: 3, placement };
}

/** Levels without a pattern, always the same. */
const noise = (_: unknown, i: number): number => (Math.imul(i, 2654435761) >>> 16) & 255;

/** The same picture as a tensor; of other inputs, numbers from 0 to 1. */
function sampleInputs([, shapes, , source]: Network): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(shapes).map(([blob, shape]) => {
      const data = Float32Array.from({ length: elementCount(shape) }, (_, i) => noise(_, i) / 255);
      if (source?.blob === blob) levelsInto(data, samplePixels(shape).data, source.levels);
      return [blob, { shape, data }];
    }),
  );
}

function levelsInto(out: Float32Array, pixels: Pixels["data"], { mix, values }: LevelMap): void {
  const area = pixels.length / 3;
  mix.forEach(([red, green, blue], c) => {
    for (let i = 0; i < area; i++) {
      const level = (red * pixels[3 * i] + green * pixels[3 * i + 1] + blue * pixels[3 * i + 2]) >> 8;
      out[c * area + i] = values[c][level];
    }
  });
}

/** Found out in this process. */
const winners = new Map<string, string>();

async function winnerOf(key: string, store: ModuleStore | undefined): Promise<string | undefined> {
  const known = winners.get(key);
  if (known !== undefined || !store) return known;
  try {
    const bytes = await store.read(await digestOf(key, store));
    return bytes && new TextDecoder().decode(bytes);
  } catch {
    return undefined;
  }
}

async function keepWinner(key: string, name: string, store: ModuleStore | undefined): Promise<void> {
  winners.set(key, name);
  try {
    await store?.write(await digestOf(key, store), new TextEncoder().encode(name));
  } catch {
    // it is found out again
  }
}

const digestOf = async (key: string, store: ModuleStore): Promise<string> =>
  store.digest(new TextEncoder().encode(`${store.maker} ${key}`));

/** What speed follows from: the network without its numbers, and the machine. */
async function keyOf([graph, shapes, outputs, source]: Network, options: BackendOptions): Promise<string> {
  const { userAgent, hardwareConcurrency } = (globalThis.navigator ?? {}) as Partial<Navigator>;
  const { threads = 1, wideVectors, precision } = options;
  const adapter = await findAdapter();
  const machine = [adapter && nameOf(adapter), features(), userAgent, hardwareConcurrency];
  const layers = graph.nodes.map(({ type, inputs, outputs: made, params, weights }) => [
    ...[type, inputs, made, params],
    Object.entries(weights).map(([name, { storage }]) => [name, storage]),
  ]);
  const how = [threads, wideVectors, precision, source !== undefined];
  return JSON.stringify(["auto", version, machine, how, shapes, outputs, layers]);
}
