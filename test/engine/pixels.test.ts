/** Networks that are fed with pixels: the same numbers, to the last bit, as from the tensor that `detect/` makes of the picture. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "../../src/base/random.ts";
import type { InputOptions } from "../../src/detect/letterbox.ts";
import type { Picture } from "../../src/detect/picture.ts";
import { Placer } from "../../src/detect/placer.ts";
import { createSession } from "../../src/engine/session.ts";
import { Program } from "../../src/engine/wasm/program.ts";
import type { PlanTarget } from "../../src/engine/wasm/target.ts";
import { preprocessingOf } from "../../src/heads/families.ts";
import type { ModelInput } from "../../src/heads/input.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { expectEqual, floatMachines, graphOf, int8Machines } from "./harness.ts";

const random = new Random(7);

function noise(width: number, height: number, channels: 3 | 4): Picture {
  const data = Uint8Array.from({ length: width * height * channels }, () => random.next() * 256);
  return { width, height, channels, data };
}

const base: ModelInput = {
  ...{ blob: "data", width: 32, height: 24, stride: 8, channels: 3 },
  ...preprocessingOf("yolov5", 3),
};
/** Means that are no whole numbers of levels: every step of the arithmetic rounds. */
const skewed = { mean: [103.53, 116.28, 123.675], norm: [0.017429, 0.017507, 0.017125] };

const [plain] = floatMachines[0].slice(1) as [PlanTarget];

/** The network on pixels, and on the tensor. */
async function bothWays(
  graph: Graph,
  input: ModelInput,
  pictures: readonly Picture[],
  { target = plain, outputs = graph.outputs, options = {} as InputOptions } = {},
): Promise<[found: Record<string, Tensor>, expected: Record<string, Tensor>][]> {
  const placer = new Placer(input);
  const placed = pictures.map((picture) => placer.place(picture, options));
  const { shape } = placed[0].tensor();
  const source = { blob: "data", levels: placer.levels };
  const onPixels = await Program.make(graph, { data: shape }, outputs, target, source);
  const onTensor = await Program.make(graph, { data: shape }, outputs, target);
  try {
    return placed.map(({ pixels, tensor }) => {
      const { blobs } = onPixels.look(pixels);
      const found = Object.fromEntries(
        outputs.map((blob) => [blob, { ...blobs[blob], data: blobs[blob].data.slice() }]),
      );
      return [found, onTensor.run({ data: tensor() })];
    });
  } finally {
    onPixels.close();
    onTensor.close();
  }
}

async function expectSame(...given: Parameters<typeof bothWays>): Promise<void> {
  for (const [i, [found, expected]] of (await bothWays(...given)).entries()) {
    for (const blob of Object.keys(expected))
      expectEqual(found[blob], expected[blob], `${blob}, picture ${i}`);
  }
}

/** What is fed is what comes out. */
const echo = (channels: 1 | 3, width: number, height: number): Graph =>
  graphOf("ReLU relu 1 1 data out", { data: [channels, height, width] });

const side = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 160 }));

describe("the picture in the engine", () => {
  test("is that of the tensor at every size, fit, order of channels and channel count", async () => {
    await fc.assert(
      fc.asyncProperty(
        side,
        side,
        fc.constantFrom(3 as const, 4 as const),
        fc.constantFrom("letterbox" as const, "stretch" as const, "crop" as const),
        fc.constantFrom("RGB" as const, "BGR" as const, "GRAY" as const),
        fc.record({
          align: fc.constantFrom("center" as const, "corner" as const),
          color: fc.nat(255),
          antialias: fc.boolean(),
          rectangle: fc.boolean(),
          channels: fc.constantFrom(1 as const, 3 as const),
          width: fc.integer({ min: 1, max: 6 }),
          height: fc.integer({ min: 1, max: 6 }),
        }),
        async (width, height, channels, resize, pixel, more) => {
          const input: ModelInput = {
            ...base,
            ...skewed,
            ...{ resize, pixel, channels: more.channels, letterboxAlign: more.align },
            ...{ width: more.width * 8, height: more.height * 8, letterboxColor: more.color },
            ...(more.antialias && resize !== "letterbox" && { antialias: true }),
          };
          const graph = echo(input.channels, input.width, input.height);
          await expectSame(graph, input, [noise(width, height, channels)], {
            outputs: ["data"],
            options: { rectangle: more.rectangle },
          });
        },
      ),
      { numRuns: 150 },
    );
  });

  test("is that of the tensor for pictures that take several pieces, and for the widest", async () => {
    const sizes: [number, number, 3 | 4][] = [
      [1920, 1080, 4],
      [640, 480, 3],
      [65535, 2, 4],
      [1, 3000, 3],
      [1, 1, 4],
      [5, 1, 3],
      [32, 24, 3],
    ];
    for (const resize of ["letterbox", "crop", "stretch"] as const) {
      const input = { ...base, resize };
      for (const size of sizes) {
        await expectSame(echo(3, 32, 24), input, [noise(...size)], { outputs: ["data"] });
      }
    }
  });

  test("follows pictures whose size, channels and border change", async () => {
    const pictures = [noise(40, 30, 3), noise(40, 30, 4), noise(30, 40, 4), noise(40, 30, 3), noise(9, 9, 3)];
    const graph = graphOf("Convolution conv 1 1 data out 0=8 1=3 4=1 5=1 9=1", { data: [3, 24, 32] });
    await expectSame(graph, base, pictures, { outputs: ["out"] });
    await expectSame(graph, base, pictures, { outputs: ["data", "out"] });
  });

  test("is bytes where the first layers are int8: equal integers on every machine", async () => {
    const graph = graphOf(
      `Split split 1 2 data a b
       Convolution conv 1 1 a c 0=8 1=3 3=2 4=1 5=1 8=1 9=1
       Convolution other 1 1 b d 0=4 1=1 5=1 8=1
       ReLU relu 1 1 d e`,
      { data: [3, 24, 32] },
    );
    const pictures = [noise(100, 50, 3), noise(100, 50, 4), noise(7, 60, 3)];
    for (const input of [base, { ...base, ...skewed }]) {
      for (const [, target] of int8Machines) await expectSame(graph, input, pictures, { target });
    }
  });

  test("is kept in floats and bytes for readers of both", async () => {
    const graph = graphOf(
      `Split split 1 2 data a b
       Convolution conv 1 1 a c 0=8 1=3 4=1 5=1 8=1
       Convolution float 1 1 b d 0=8 1=3 4=1 5=1`,
      { data: [3, 24, 32] },
    );
    await expectSame(graph, { ...base, ...skewed, pixel: "BGR" }, [noise(50, 50, 4)]);
  });

  test("is read by layers that want a dense tensor", async () => {
    const graph = graphOf("Reshape flat 1 1 data out 0=96 1=8 2=3", { data: [3, 24, 32] });
    await expectSame(graph, base, [noise(50, 50, 4)]);
  });

  test("is the same for any number of threads", async () => {
    const graph = graphOf("Convolution conv 1 1 data out 0=8 1=3 4=1 5=1 8=1", { data: [3, 24, 32] });
    await expectSame(graph, base, [noise(50, 50, 4), noise(60, 20, 3)], {
      target: { ...plain, threads: 2 },
    });
  });
});

describe("a session", () => {
  const graph = graphOf("Convolution conv 1 1 data out 0=8 1=3 4=1 5=1", { data: [3, 24, 32] });
  const picture = noise(40, 40, 3);

  test("gives a backend without the kernel the tensor", async () => {
    const placer = new Placer(base);
    const { pixels, tensor } = placer.place(picture, {});
    const found: Tensor[] = [];
    for (const backend of ["wasm", "reference"] as const) {
      const session = await createSession(graph, { backend });
      const look = session.lookFor({ blob: "data", levels: placer.levels });
      const { out } = await session.run({ data: tensor() });
      await look(pixels, tensor, ["out"], ({ blobs }) => expectEqual(blobs.out, out, backend));
      found.push(out);
      session.close();
    }
    expect(found).toHaveLength(2);
  });

  test("keeps the networks of two sources apart, and makes one anew that was dropped", async () => {
    const session = await createSession(graph);
    const sources = [base, { ...base, ...skewed }].map((input) => {
      const placer = new Placer(input);
      return { placer, look: session.lookFor({ blob: "data", levels: placer.levels }) };
    });
    for (let round = 0; round < 3; round++) {
      for (const { placer, look } of sources) {
        for (const height of [8, 16, 24]) {
          const { pixels, tensor } = placer.place(picture, { height });
          const { out } = await session.run({ data: tensor() });
          await look(pixels, tensor, ["out"], ({ blobs }) => expectEqual(blobs.out, out, `height ${height}`));
        }
      }
    }
    session.close();
    const { pixels, tensor } = sources[0].placer.place(picture, {});
    await expect(sources[0].look(pixels, tensor, ["out"], () => 0)).rejects.toThrow("the session is closed");
  });

  test("refuses a graph of several inputs as run does", async () => {
    const two = await createSession(
      graphOf("BinaryOp add 2 1 data more out 0=0", { data: [3, 8, 8], more: [3, 8, 8] }),
    );
    const placer = new Placer({ ...base, width: 8, height: 8 });
    const { pixels, tensor } = placer.place(picture, {});
    const look = two.lookFor({ blob: "data", levels: placer.levels });
    await expect(look(pixels, tensor, ["out"], () => 0)).rejects.toThrow('input "more" is missing');
    two.close();
  });
});
