/** Tiles by timing, on request: each candidate on the network itself, the best of each layer kept by device and network. */
import type { Tile } from "../../kernels/webgpu/index.ts";
import type { ModuleStore } from "../backend.ts";
import type { ConvolutionStep } from "../steps.ts";
import type { Program } from "./program.ts";
import { candidates, layerKey, worthTrying } from "./tiles.ts";

export type TileFor = (step: ConvolutionStep) => Tile;

/** Rounds of a candidate; the shortest time of a step counts. */
const rounds = 5;

/**
 * The tile of every layer. `make` makes a program of the network with these tiles; `network` says what the network and the device are. What a store
 * has of them is taken from there.
 */
export async function tunedTiles(
  network: string,
  make: (tileFor: TileFor) => Promise<Program>,
  otherwise: TileFor,
  isSoftware: boolean,
  store?: ModuleStore,
): Promise<TileFor> {
  const key =
    store && (await store.digest(new TextEncoder().encode(`webgpu tiles ${store.maker} ${network}`)));
  const kept = key === undefined ? undefined : read(await store!.read(key));
  const best = kept ?? (await timeAll(make, worthTrying(isSoftware), otherwise));
  if (!kept && key !== undefined)
    await store!.write(key, new TextEncoder().encode(JSON.stringify([...best])));
  return (step) => {
    const at = best.get(layerKey(step));
    return at === undefined ? otherwise(step) : candidates[at];
  };
}

/** The number of the best candidate of each layer; nothing where what was kept is damaged. */
function read(bytes: Uint8Array | undefined): Map<string, number> | undefined {
  if (!bytes) return undefined;
  try {
    const found = new Map<string, number>(JSON.parse(new TextDecoder().decode(bytes)));
    return [...found.values()].every((at) => candidates[at]) ? found : undefined;
  } catch {
    return undefined;
  }
}

/** Of a time: what is gained by less may be chance. */
const least = 0.9;

async function timeAll(
  make: (tileFor: TileFor) => Promise<Program>,
  numbers: readonly number[],
  otherwise: TileFor,
): Promise<Map<string, number>> {
  const estimated = new Map<string, number>();
  const times = new Map<string, Map<number, number>>();
  for (const number of numbers) {
    const layers: string[] = [];
    const program = await make((step) => {
      const key = layerKey(step);
      layers.push(key);
      estimated.set(key, candidates.indexOf(otherwise(step)));
      return candidates[number];
    });
    for (let round = 0; round < rounds; round++) {
      const steps = await program.time();
      const ofLayers = program.steps.flatMap(({ kind }, i) => (kind === "convolution" ? [steps[i]] : []));
      ofLayers.forEach((time, i) => {
        const known = times.get(layers[i]) ?? new Map<number, number>();
        times.set(layers[i], known);
        known.set(number, Math.min(time, known.get(number) ?? Number.POSITIVE_INFINITY));
      });
    }
    program.close();
  }
  const bestOf = (key: string, known: ReadonlyMap<number, number>): number => {
    const [fastest, time] = [...known].reduce((a, b) => (b[1] < a[1] ? b : a));
    const estimate = estimated.get(key)!;
    return time < least * (known.get(estimate) ?? Number.POSITIVE_INFINITY) ? fastest : estimate;
  };
  return new Map([...times].map(([key, known]) => [key, bestOf(key, known)]));
}
