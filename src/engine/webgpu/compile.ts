/** A network on WebGPU: planned, and made anew where the device went away between two runs. */
import { median } from "../../base/maths.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Pixels } from "../../ir/pixels.ts";
import type { Shape, Tensor } from "../../ir/tensor.ts";
import type { Target } from "../../kernels/webgpu/index.ts";
import type { BackendOptions, Compiled, Looked, PixelInput, Profile } from "../backend.ts";
import { lower } from "../lower/index.ts";
import { acquireDevice, type Device } from "./device.ts";
import { PixelFeed } from "./pixels.ts";
import { describePlan, makePlan } from "./plan.ts";
import { Program } from "./program.ts";
import { chooseTile, extentsOf, layerKey } from "./tiles.ts";
import { type TileFor, tunedTiles } from "./tune.ts";

export async function compile(
  graph: Graph,
  shapes: Record<string, Shape>,
  outputs: readonly string[],
  options: BackendOptions,
  source?: PixelInput,
): Promise<Compiled> {
  let text = "";
  const make = async (): Promise<Program> => {
    const device = await acquireDevice();
    try {
      const target = targetOf(device, options);
      const programWith = (tileFor: TileFor): Promise<Program> => {
        const plan = makePlan(graph, shapes, outputs, { target, tileFor });
        text = describePlan(plan);
        return Program.make(device, plan, target);
      };
      const chosen: TileFor = (step) => chooseTile(extentsOf(step), device.isSoftware);
      if (!options.tune || !device.hasTimestamps) return await programWith(chosen);
      const network = JSON.stringify([device.name, target.storage, layersOf(graph, shapes, outputs)]);
      return await programWith(
        await tunedTiles(network, programWith, chosen, device.isSoftware, options.modules),
      );
    } finally {
      // What was made holds it by itself.
      device.release();
    }
  };
  let program = Promise.resolve(await make());
  /** The program, on a new device where the last one is gone. */
  const ready = async (): Promise<Program> => {
    const current = program;
    const found = await current;
    if (found.device.lost === undefined || found.isClosed) return found;
    if (program === current) {
      found.close();
      program = make();
    }
    return program;
  };
  const feeds = new WeakMap<Program, Promise<PixelFeed>>();
  /** Of a program whose pixels are placed on its device. */
  const feedOf = (made: Program, { blob, levels }: PixelInput): Promise<PixelFeed> => {
    const known = feeds.get(made);
    if (known) return known;
    const feed = PixelFeed.make(made.device, made.pixelTarget(blob)!, levels);
    feeds.set(made, feed);
    made.onClose = () =>
      void feed.then(
        (one) => one.close(),
        () => {}, // who looked was told
      );
    return feed;
  };
  const first = await program;
  const { memoryBytes } = first;
  const canLook = source && first.isAllOnDevice && first.pixelTarget(source.blob);
  return {
    ...(canLook && {
      look: async <T>(pixels: Pixels, read: (looked: Looked) => T): Promise<T> => {
        const made = await ready();
        const feed = await feedOf(made, source);
        return made.look((encoder) => feed.encode(encoder, pixels), read);
      },
    }),
    run: async (inputs) => (await ready()).run(inputs),
    profile: async (inputs, loops) => profileProgram(await ready(), inputs, loops),
    plan: () => text,
    memoryBytes,
    close: () => void program.then((one) => one.close()),
  };
}

/** What the layers of a network are, for tiles. */
function layersOf(graph: Graph, shapes: Record<string, Shape>, outputs: readonly string[]): string[] {
  const steps = lower(graph, shapes, outputs).steps;
  return [...new Set(steps.flatMap((step) => (step.kind === "convolution" ? [layerKey(step)] : [])))];
}

function targetOf({ probed, hasHalf }: Device, { precision = "float32" }: BackendOptions): Target {
  return { ...probed, storage: precision === "float32" ? "f32" : hasHalf ? "f16" : "packed" };
}

/** Times every step, `loops` rounds after one that warms up. */
async function profileProgram(
  program: Program,
  inputs: Record<string, Tensor>,
  loops: number,
): Promise<Profile> {
  await program.run(inputs);
  const rounds: Float64Array[] = [];
  const totals: number[] = [];
  for (let loop = 0; loop < loops; loop++) {
    const start = performance.now();
    await program.run(inputs);
    totals.push(performance.now() - start);
    rounds.push(await program.time());
  }
  return {
    steps: program.steps.map(({ label, nodes, macs, bytes }, i) => ({
      label,
      nodes,
      ms: median(Float64Array.from(rounds, (round) => round[i])),
      macs,
      bytes,
    })),
    total: median(Float64Array.from(totals)),
    loops,
    memoryBytes: program.memoryBytes,
  };
}
