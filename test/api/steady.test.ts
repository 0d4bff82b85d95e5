/** A stream of frames: memory does not grow, and little is made anew for each. */
import path from "node:path";
import v8 from "node:v8";
import vm from "node:vm";
import { expect, test } from "vitest";
import type { Picture } from "../../src/index.ts";
import { load } from "../../src/node.ts";

v8.setFlagsFromString("--expose-gc");
const collect = vm.runInNewContext("gc") as () => void;
const model = path.join(import.meta.dirname, "../../models/codefinder-int8/codefinder-int8.param");

/** Bytes that are left for each frame, and bytes of the heap that a frame takes until the next collection (median). */
async function bytesPerFrame(
  detect: () => Promise<unknown>,
  frames: number,
): Promise<[left: number, taken: number]> {
  for (let i = 0; i < 30; i++) await detect();
  const held = (): number => {
    collect();
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = held();
  const taken: number[] = [];
  let last = process.memoryUsage().heapUsed;
  for (let i = 0; i < frames; i++) {
    await detect();
    const now = process.memoryUsage().heapUsed;
    taken.push(now - last);
    last = now;
  }
  return [(held() - before) / frames, taken.sort((a, b) => a - b)[frames >> 1]];
}

test.each<[number, number, 3 | 4]>([
  [640, 480, 3],
  [640, 480, 4],
  [1280, 720, 4],
])("detect at %ix%i of %i channels takes less than 64 kB a frame, and leaves nothing", async (...size) => {
  const [width, height, channels] = size;
  const data = Uint8Array.from({ length: width * height * channels }, (_, i) => (i * i) >> 7);
  const picture: Picture = { width, height, channels, data };
  const loaded = await load(model);
  const [left, taken] = await bytesPerFrame(() => loaded.detect(picture), 100);
  loaded.close();
  console.log(`${size.join("x")}: ${taken} bytes a frame until they are collected, ${left.toFixed()} left`);
  expect(left).toBeLessThan(2000);
  expect(taken).toBeLessThan(64 * 1024);
});
