import { chmodSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { Decoder } from "../../src/node/video/_decoder.ts";
import { temporaryFolder } from "../cli/_run.ts";

const folder = temporaryFolder();

/** In place of ffmpeg: 60 frames of one pixel, in pieces, and only then how large they are. */
const program = `#!${process.execPath}
const wait = () => new Promise((resolve) => setTimeout(resolve, 100));
const pixels = Buffer.from(Array.from({ length: 240 }, (_, i) => Math.floor(i / 4)));
for (let at = 0; at < 240; at += 50) {
  process.stdout.write(pixels.subarray(at, at + 50));
  await wait();
}
process.stderr.write("[info]   Stream #0:0: Video: rawvideo, rgba, 1x1, 25 fps\\n");
`;

test.skipIf(process.platform === "win32")("frames that came before their size stay in order", async () => {
  const file = path.join(folder, "ffmpeg.mjs");
  writeFileSync(file, program);
  chmodSync(file, 0o755);
  const seen: number[] = [];
  await new Promise<void>((resolve) => {
    const decoder: Decoder = new Decoder(
      file,
      [],
      { live: false, patience: 10 },
      {
        child: () => {},
        opened: () => {},
        frame: (slot) => {
          seen.push(new Uint8Array(decoder.slots[slot])[0]);
          setTimeout(() => decoder.release(slot), 1);
        },
        ended: resolve,
      },
    );
  });
  expect(seen).toEqual(Array.from({ length: 60 }, (_, i) => i));
});
