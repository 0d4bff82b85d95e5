// Runs files of `ncnnkit compile` on a raw RGB picture: node detect.js ./NAME.js picture.rgb WIDTH HEIGHT [ROUNDS [MODE]]
// Prints a line for each box: class, score, x, y, width, height; on stderr milliseconds, from the start and of the fastest round.
import { readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [module, file, width, height, rounds = "1", mode] = process.argv.slice(2);
const picture = { width: Number(width), height: Number(height), data: new Uint8Array(readFileSync(file)) };

const began = performance.now();
const { load } = await import(pathToFileURL(path.resolve(module)).href);
const detector = await load({ mode });
let boxes = detector.detect(picture);
const first = performance.now() - began;
let fastest = first;
for (let i = 1; i < Number(rounds); i++) {
  const start = performance.now();
  boxes = detector.detect(picture);
  fastest = Math.min(fastest, performance.now() - start);
}
console.error(`${first.toFixed(1)} ${fastest.toFixed(1)}`);
for (const { classId, score, box } of boxes) {
  const { x, y, width: w, height: h } = box;
  console.log(`${classId} ${score.toFixed(4)} ${[x, y, w, h].map((side) => side.toFixed(2)).join(" ")}`);
}
