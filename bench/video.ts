/**
 * How much of the rate of inference alone the whole pipeline reaches: a video is decoded, searched, drawn into and encoded, and in the same
 * process, in turn, frames that are in memory are only searched. `npm run build && node bench/video.ts CLIP [MODEL] [--rounds 5] [--frames 200]`
 *
 * Beside the rates, which other work on the machine bends, processor time a frame: that of the thread that searches (Node 24), which is
 * what bounds the rate where another processor is free, and that of our other threads.
 */
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { load, type Picture } from "../dist/node.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "5" }, frames: { type: "string", default: "200" } },
});
const [clip, modelFile = path.resolve(import.meta.dirname, "../models/codefinder-int8")] = positionals;
// The pipeline is no part of the front door: the built file of the repository.
const { openVideo } = await import("../dist/node/video/video.js");
const { videoSource } = await import("../dist/node/video/source.js");

const model = await load(modelFile);
const folder = mkdtempSync(path.join(os.tmpdir(), "ncnnkit-bench-"));
const count = Number(values.frames);

interface Result {
  rate: number;
  /** Milliseconds of processor time a frame. */
  searching: number;
  others: number;
}

/** Processor time since `start` told before, of this thread and of the others. */
function spent(): { searching: number; others: number } {
  const sum = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1000;
  const searching = sum(process.threadCpuUsage());
  return { searching, others: sum(process.cpuUsage()) - searching };
}

function result(started: number, before: ReturnType<typeof spent>, frames: number): Result {
  const now = spent();
  return {
    rate: (frames * 1000) / (performance.now() - started),
    searching: (now.searching - before.searching) / frames,
    others: (now.others - before.others) / frames,
  };
}

async function pipeline(encode: boolean): Promise<Result> {
  const file = path.join(folder, "out.mp4");
  const video = await openVideo(videoSource(clip), encode ? { encode: { file, format: "mp4" } } : {});
  let [done, started, before] = [0, 0, spent()];
  for (let frame = await video.next(); frame && done < count; frame = await video.next()) {
    if (!started) [started, before] = [performance.now(), spent()];
    const detections = await model.detect(frame.picture);
    const texts = detections.map(({ label, score }) => `${label} ${score.toFixed(2)}`);
    video.release(frame, encode ? { detections, texts, shapes: [] } : undefined);
    done++;
  }
  const measured = result(started, before, done);
  video.abort();
  return measured;
}

async function alone(pictures: readonly Picture[]): Promise<Result> {
  const [started, before] = [performance.now(), spent()];
  for (let i = 0; i < count; i++) await model.detect(pictures[i % pictures.length]);
  return result(started, before, count);
}

const kept: Picture[] = [];
const video = await openVideo(videoSource(clip));
for (let frame = await video.next(); frame && kept.length < 20; frame = await video.next()) {
  kept.push({ ...frame.picture, data: frame.picture.data.slice() });
  video.release(frame);
}
video.abort();
await alone(kept);
const rates: [string, Result[]][] = [
  ["inference alone", []],
  ["decoded and searched", []],
  ["and drawn and encoded", []],
];
for (let round = 0; round < Number(values.rounds); round++) {
  rates[0][1].push(await alone(kept));
  rates[1][1].push(await pipeline(false));
  rates[2][1].push(await pipeline(true));
}
const fewest = (name: string, of: (each: Result) => number): string => {
  const [, results] = rates.find(([each]) => each === name) ?? ["", []];
  return Math.min(...results.map(of)).toFixed(2);
};
const base = rates[0][1];
console.log(
  `${os.cpus()[0].model}, ${os.availableParallelism()} threads, Node ${process.version.slice(1)}, ${video.width}x${video.height}`,
);
console.log(
  "                        frames/s  of alone | ms of the searching thread  of alone | ms of other threads",
);
for (const [name, each] of rates) {
  const most = Math.max(...each.map(({ rate }) => rate));
  const share = most / Math.max(...base.map(({ rate }) => rate));
  const time = fewest(name, ({ searching }) => searching);
  const timeShare = Number(fewest(rates[0][0], ({ searching }) => searching)) / Number(time);
  const others = fewest(name, ({ others: ms }) => ms);
  console.log(
    `${name.padEnd(22)} ${most.toFixed(1).padStart(9)} ${share.toFixed(2).padStart(9)} | ${time.padStart(26)} ${timeShare.toFixed(2).padStart(9)} | ${others.padStart(19)}`,
  );
}
model.close();
rmSync(folder, { recursive: true });
