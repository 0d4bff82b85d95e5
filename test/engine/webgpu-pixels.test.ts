/** Pixels that the GPU places: the same numbers as on the processor, to the last bit. */
import { describe, expect, it } from "vitest";
import { Placer } from "../../src/detect/placer.ts";
import { createSession } from "../../src/engine/session.ts";
import type { ModelInput } from "../../src/heads/manifest.ts";
import { hasGpu } from "./gpu.ts";
import { graphOf } from "./graph-of.ts";

const input: ModelInput = {
  ...{ blob: "x", channels: 3, width: 32, height: 32, stride: 8, pixel: "RGB" },
  ...{ mean: [0, 0, 0], norm: [1 / 255, 1 / 255, 1 / 255] },
  ...{ resize: "letterbox", letterboxColor: 114, letterboxAlign: "center", antialias: false },
};
const grey = { ...input, channels: 1, pixel: "GRAY", mean: [127.5], norm: [1 / 127.5] } as const;

function pictureOf(width: number, height: number, channels: 3 | 4) {
  const data = Uint8Array.from(
    { length: width * height * channels },
    (_, i) => (Math.imul(i + 1, 2654435761) >>> 15) & 255,
  );
  return { width, height, channels, data };
}

/** The input as the GPU makes it: a network that gives it back. */
async function placedOnGpu(
  of: ModelInput,
  pictures: readonly ReturnType<typeof pictureOf>[],
  precision?: "float16",
) {
  const text = "Scale a 1 1 x y 0=CHANNELS\nBinaryOp b 1 1 y z 0=0 1=1 2=0".replace(
    "CHANNELS",
    String(of.channels),
  );
  const shapes = { x: [of.channels, of.height, of.width] };
  const graph = graphOf(text, shapes);
  for (const { weights } of graph.nodes) {
    for (const weight of Object.values(weights)) (weight.data as Float32Array).fill?.(1);
  }
  const session = await createSession(graph, { backend: "webgpu", ...(precision && { precision }) });
  const placer = new Placer(of);
  const look = session.lookFor({ blob: "x", levels: placer.levels });
  // All at once: looks overlap, and none reads what another one has placed.
  const found = await Promise.all(
    pictures.map(async (picture) => {
      const { pixels, tensor } = placer.place(picture, {});
      const none = (): never => expect.fail("it was placed on the processor");
      return look(pixels, none, ["z"], ({ blobs, turn }) => ({
        ...{ found: blobs.z.data.slice() as Float32Array, turn, expected: tensor().data as Float32Array },
      }));
    }),
  );
  session.close();
  return found;
}

describe.skipIf(!hasGpu)("pixels on webgpu", () => {
  it.each([
    [
      "letterbox",
      input,
      [
        [50, 20],
        [20, 50],
        [32, 32],
        [7, 5],
        [1, 1],
        [640, 480],
      ],
    ],
    ["BGR, another mean", { ...input, pixel: "BGR", mean: [104, 117, 123], norm: [1, 1, 0.5] }, [[50, 21]]],
    [
      "stretched",
      { ...input, resize: "stretch" },
      [
        [50, 21],
        [13, 90],
      ],
    ],
    [
      "cut",
      { ...input, resize: "crop" },
      [
        [50, 21],
        [13, 90],
      ],
    ],
    ["averaged before", { ...input, resize: "crop", antialias: true }, [[50, 71]]],
    ["grey, odd sides", { ...grey, width: 27, height: 21, stride: 1 }, [[50, 20]]],
  ] as const)("%s", async (_, of, sizes) => {
    for (const channels of [3, 4] as const) {
      const pictures = sizes.map(([width, height]) => pictureOf(width, height, channels));
      for (const { found, expected } of await placedOnGpu(of as ModelInput, pictures)) {
        expect(found).toEqual(expected);
      }
    }
  });

  it("in float16 to half precision", async () => {
    for (const { found, expected } of await placedOnGpu(input, [pictureOf(50, 20, 3)], "float16")) {
      const worst = found.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i])), 0);
      expect(worst).toBeLessThan(1e-3);
    }
  });
});
