/** `model.look`: boxes chosen anew from one run of the network. */
import path from "node:path";
import { expect, test } from "vitest";
import type { Picture } from "../../src/index.ts";
import { load } from "../../src/node.ts";

const model = path.join(import.meta.dirname, "../../models/codefinder-int8/codefinder-int8.param");
const noise = (width: number, height: number, channels: 3 | 4): Picture => ({
  ...{ width, height, channels },
  data: Uint8Array.from({ length: width * height * channels }, (_, i) => (i * i * 31) >> 9),
});
const least = { confidence: 0.001, iou: 0.9 };

test("boxes at several thresholds, until another picture is looked at", async () => {
  const loaded = await load(model);
  const [first, second] = [noise(300, 200, 3), noise(200, 200, 4)];
  const expected = await loaded.detect(first, least);
  expect(expected.length).toBeGreaterThan(0);
  const look = await loaded.look(first);
  expect(look.transform).toMatchObject({ sourceWidth: 300, sourceHeight: 200 });
  const all = look.detections(least);
  expect(all).toEqual(expected);
  const limit = all[0].score / 2;
  expect(look.detections({ ...least, confidence: limit })).toEqual(
    await loaded.detect(first, { ...least, confidence: limit }),
  );
  expect(() => look.detections(least)).toThrow("detections: the model has looked at another picture since");
  // Another size is another network.
  const small = await loaded.look(second, { size: 64 });
  const boxes = small.detections(least);
  await loaded.detect(second, least);
  expect(small.detections(least)).toEqual(boxes);
  await expect(loaded.look(first, { size: 33 })).rejects.toThrow("expected a multiple of the model's stride");
  expect(() => small.detections({ confidence: 2 })).toThrow("confidence is 2");
  loaded.close();
});

test("many at once, each of its own picture; the other backend agrees", async () => {
  const loaded = await load(model);
  const pictures = [noise(90, 60, 3), noise(60, 90, 4), noise(50, 50, 3), noise(90, 60, 3)];
  const options = { ...least, size: 64 };
  const together = await Promise.all(pictures.map((picture) => loaded.detect(picture, options)));
  const reference = await load(model, { backend: "reference" });
  for (const [i, picture] of pictures.entries()) {
    expect(together[i]).toEqual(await loaded.detect(picture, options));
    const found = await reference.detect(picture, options);
    expect(found.map(({ label }) => label)).toEqual(together[i].map(({ label }) => label));
    for (const [k, { score }] of found.entries()) expect(score).toBeCloseTo(together[i][k].score, 4);
  }
  loaded.close();
  reference.close();
});
