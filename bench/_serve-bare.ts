/** The model without a server, on one thread: each line on stdin is seconds, the answer how many were done in which time. */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { decodePicture } from "../dist/node/picture.js";
import { load } from "../dist/node.js";

const [kind, file, side, pictureFile] = process.argv.slice(2);
const size = Number(side);
const model = await load(file, { size });
const { blob } = model.manifest.input;
const inputs = {
  [blob]: {
    shape: [3, size, size],
    data: Float32Array.from({ length: 3 * size * size }, () => Math.random()),
  },
};
const bytes = readFileSync(pictureFile);
const once =
  kind === "infer"
    ? () => model.run(inputs)
    : async () => model.detect(await decodePicture(bytes, "picture"), { size });
for (let i = 0; i < 20; i++) await once();
for await (const line of createInterface({ input: process.stdin })) {
  const start = performance.now();
  let done = 0;
  while (performance.now() - start < Number(line) * 1000) {
    await once();
    done++;
  }
  console.log(JSON.stringify({ done, time: (performance.now() - start) / 1000 }));
}
