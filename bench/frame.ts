/**
 * The whole frame: what a picture costs besides the network, for RGB and RGBA pictures of several sizes, beside the way by tensors.
 *
 *   npm run build && node --expose-gc bench/frame.ts MODEL [--size 320] [--rounds 200]
 *
 * `MODEL` is a file that `load` takes, best an int8 one. Ways are measured in turns in one process; best and median are told, in
 * milliseconds, and the bytes of the heap that a frame takes.
 */
import os from "node:os";
import { parseArgs } from "node:util";
import { load, type Picture } from "../dist/node.js";
import { blobsOf, postprocess, toTensor } from "../dist/steps.js";
import { median } from "./_peer.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: "string", default: "320" },
    rounds: { type: "string", default: "200" },
  },
});
const [file] = positionals;
if (!file) throw new Error("give a model");
const [size, rounds] = [Number(options.size), Number(options.rounds)];
const model = await load(file);
const { input, heads } = model.manifest;
const blobs = blobsOf(heads);
const machine = `${os.cpus()[0].model}, ${process.arch}, Node ${process.versions.node}`;
console.log(`${model.manifest.name} at ${size}x${size}: ${machine}, one thread, ${rounds} rounds`);

/** Smooth shapes and some noise: as much work as a photograph. */
function picture(width: number, height: number, channels: 3 | 4): Picture {
  const data = new Uint8Array(width * height * channels);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++, i++) data[i] = (x * (c + 1)) ^ (y * 3) ^ ((i * 2654435761) >>> 29);
    }
  }
  return { width, height, channels, data };
}

/** Times of all rounds, by what took them. */
class Times {
  private readonly lists = new Map<string, number[]>();
  add(what: string, ms: number): void {
    const list = this.lists.get(what) ?? [];
    list.push(ms);
    this.lists.set(what, list);
  }
  best = (what: string): number => Math.min(...(this.lists.get(what) ?? []));
  middle = (what: string): number => median(this.lists.get(what) ?? []);
}

async function measure(frame: Picture): Promise<Times> {
  const times = new Times();
  for (let round = -20; round < rounds; round++) {
    const start = performance.now();
    const look = await model.look(frame, { size });
    const looked = performance.now();
    look.detections();
    const decoded = performance.now();
    const { tensor, transform } = toTensor(frame, input, { width: size, height: size });
    const placed = performance.now();
    const outputs = await model.run({ [input.blob]: tensor }, blobs);
    postprocess(outputs, model.manifest, transform);
    const end = performance.now();
    if (round < 0) continue;
    const { placing, running } = look.milliseconds;
    times.add("placing", placing);
    times.add("network", running);
    times.add("decoding", decoded - looked);
    times.add("frame", decoded - start);
    times.add("rest", decoded - start - running);
    times.add("by tensors", end - decoded);
    times.add("tensor", placed - decoded);
  }
  return times;
}

async function bytesPerFrame(frame: Picture): Promise<number> {
  const { gc } = globalThis as { gc?: () => void };
  gc?.();
  const taken: number[] = [];
  for (let i = 0, last = process.memoryUsage().heapUsed; i < 50; i++) {
    await model.detect(frame, { size });
    const { heapUsed } = process.memoryUsage();
    taken.push(heapUsed - last);
    last = heapUsed;
  }
  return median(taken);
}

const columns = ["placing", "network", "decoding", "frame", "rest", "by tensors", "tensor"];
console.log(`| picture | ${columns.join(" | ")} | rest of the frame | kB a frame |`);
console.log(`|---|${columns.map(() => "--:").join("|")}|--:|--:|`);
for (const [width, height] of [
  [640, 480],
  [1280, 720],
  [1920, 1080],
]) {
  for (const channels of [3, 4] as const) {
    const frame = picture(width, height, channels);
    const times = await measure(frame);
    const cells = columns.map((what) => `${times.best(what).toFixed(2)} (${times.middle(what).toFixed(2)})`);
    const part = (of: (what: string) => number): string =>
      `${((100 * of("rest")) / of("frame")).toFixed(1)} %`;
    const kilobytes = (await bytesPerFrame(frame)) / 1024;
    console.log(
      `| ${width}x${height} ${channels === 3 ? "RGB" : "RGBA"} | ${cells.join(" | ")} | ${part(times.best)} (${part(times.middle)}) | ${kilobytes.toFixed(0)} |`,
    );
  }
}
model.close();
