/** `auto`: which backend goes on, what is remembered, and what happens without WebGPU. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { ModuleStore } from "../../src/engine/backend.ts";
import { runReference } from "../../src/engine/reference/index.ts";
import { createSession, type PixelInput, type Session } from "../../src/engine/session.ts";
import { entry, findAdapter, provideGpu } from "../../src/engine/webgpu/adapter.ts";
import { provideNodeGpu } from "../../src/node/gpu.ts";
import { expectLike, hasGpu } from "./gpu.ts";
import { graphOf, randomInputs } from "./graph-of.ts";

/** A store in memory, with what was asked of it. */
function memoryStore(): ModuleStore & { readonly kept: Map<string, Uint8Array>; reads: number } {
  const kept = new Map<string, Uint8Array>();
  return {
    ...{ kept, reads: 0, maker: "test", most: 2 ** 20 },
    digest: (bytes) => new TextDecoder().decode(bytes),
    async read(key) {
      this.reads++;
      return kept.get(key);
    },
    write: async (key, bytes) => void kept.set(key, bytes),
  };
}

const text = "Convolution a 1 1 x b 0=8 1=3 4=1 5=1 9=1\nConvolution c 1 1 b y 0=5 1=1 5=1";
const shapes = { x: [3, 12, 12] };

/** Names of the winners that a store holds. */
const winnersIn = (store: ReturnType<typeof memoryStore>): string[] =>
  [...store.kept]
    .filter(([key]) => key.includes('"auto"'))
    .map(([, bytes]) => new TextDecoder().decode(bytes));

async function raced(store: ModuleStore, use: (session: Session) => Promise<void>): Promise<void> {
  const session = await createSession(graphOf(text, shapes), { backend: "auto", modules: store });
  try {
    await use(session);
  } finally {
    session.close();
  }
}

/** The adapter that is there, under another name: one in software is not raced. */
async function calledOtherwise(info: Partial<GPUAdapterInfo>): Promise<void> {
  const gpu = await entry();
  const adapter = await findAdapter();
  if (!gpu || !adapter) return;
  const { features, limits } = adapter;
  const requestDevice: GPUAdapter["requestDevice"] = (descriptor) => adapter.requestDevice(descriptor);
  const other = { features, limits, info, requestDevice } as GPUAdapter;
  const { wgslLanguageFeatures } = gpu;
  provideGpu(() => ({ requestAdapter: async () => other, wgslLanguageFeatures }) as unknown as GPU);
}

describe.skipIf(!hasGpu)("auto", () => {
  beforeAll(() => calledOtherwise({ vendor: "a", architecture: "card" }));
  afterAll(provideNodeGpu);

  it("runs right, and remembers the faster one for the machine and the size", async () => {
    const store = memoryStore();
    const inputs = randomInputs(shapes);
    await raced(store, async (session) => {
      const { y } = await session.run(inputs);
      expectLike(y, runReference(session.graph, inputs).y, "y");
      // On a software adapter a small network is faster by far on the processor.
      expect(winnersIn(store)).toEqual([session.backend]);
      expect(session.fallback).toBeUndefined();
      await session.run(randomInputs({ x: [3, 16, 12] }));
      expect(winnersIn(store)).toHaveLength(2);
    });
  });

  it("what is remembered is taken, if it is a backend", async () => {
    const inputs = randomInputs(shapes);
    for (const [outputs, told] of [
      [6, "webgpu"],
      [7, "wasm"],
      [9, "nonsense"],
    ] as const) {
      const store = memoryStore();
      const modules = { ...store, read: async () => new TextEncoder().encode(told) };
      const graph = graphOf(`Convolution a 1 1 x y 0=${outputs} 1=3 4=1 5=1 9=1`, shapes);
      const session = await createSession(graph, { backend: "auto", modules });
      expectLike((await session.run(inputs)).y, runReference(graph, inputs).y, "y");
      if (told === "nonsense") expect(winnersIn(store)).toEqual([session.backend]);
      else expect([session.backend, winnersIn(store)]).toEqual([told, []]);
      session.close();
    }
  });

  it("pixels are raced as pixels", async () => {
    const store = memoryStore();
    const values = [0, 1, 2].map(() => Float32Array.from({ length: 256 }, (_, i) => i / 255));
    const mix = [0, 1, 2].map((c) => [0, 1, 2].map((i) => (i === c ? 256 : 0)) as [number, number, number]);
    const source: PixelInput = { blob: "x", levels: { mix, values } };
    await raced(store, async (session) => {
      const one = Int32Array.from({ length: 12 }, (_, i) => i);
      const lines = {
        ...{ from: one, next: one.map((i) => Math.min(i + 1, 11)) },
        ...{ first: new Int32Array(12).fill(2048), second: new Int32Array(12) },
      };
      const placement = {
        ...{ sourceWidth: 12, sourceHeight: 12, width: 12, height: 12, left: 0, top: 0, border: 0 },
        ...{ columns: lines, rows: lines },
      };
      const data = Uint8Array.from({ length: 432 }, (_, i) => (i * 7) & 255);
      const planes = Float32Array.from(
        { length: 432 },
        (_, i) => data[(i % 144) * 3 + Math.floor(i / 144)] / 255,
      );
      const tensor = { shape: [3, 12, 12], data: planes };
      const look = session.lookFor(source);
      await look(
        { data, channels: 3, placement },
        () => tensor,
        ["y"],
        ({ blobs }) => {
          expectLike(blobs.y, runReference(session.graph, { x: tensor }).y, "y");
        },
      );
      expect(winnersIn(store)).toEqual([session.backend]);
    });
  });
});

describe.skipIf(!hasGpu)("auto on an adapter in software", () => {
  afterEach(provideNodeGpu);

  it.each([
    [{ vendor: "google", architecture: "swiftshader" }, "google swiftshader"],
    [{ vendor: "mesa", description: "llvmpipe (LLVM 19, 256 bits)" }, "mesa llvmpipe (LLVM 19, 256 bits)"],
    [{ vendor: "microsoft", isFallbackAdapter: true }, "microsoft"],
  ])("%o is not raced, which is said, and runs where it is asked for", async (info, name) => {
    await calledOtherwise(info);
    const store = memoryStore();
    const inputs = randomInputs(shapes);
    await raced(store, async (session) => {
      await session.run(inputs);
      expect(session.backend).toBe("wasm");
      const why = `the only WebGPU adapter (${name}) computes on the processor: wasm computes`;
      expect(session.fallback).toBe(why);
      expect(winnersIn(store)).toEqual([]);
    });
    const asked = await createSession(graphOf(text, shapes), { backend: "webgpu" });
    await asked.run(inputs);
    expect([asked.backend, asked.fallback]).toEqual(["webgpu", undefined]);
    asked.close();
  });
});

describe("auto without an adapter", () => {
  afterAll(provideNodeGpu);

  it("is wasm, says why, and times nothing", async () => {
    provideGpu(() => undefined);
    const store = memoryStore();
    await raced(store, async (session) => {
      await session.run(randomInputs(shapes));
      expect(session.backend).toBe("wasm");
      expect(session.fallback).toMatch(/^no WebGPU adapter here .*: wasm computes$/);
      expect(winnersIn(store)).toEqual([]);
    });
  });
});
