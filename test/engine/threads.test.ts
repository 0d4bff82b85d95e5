/** Threads: results that do not depend on their number, sessions side by side, workers that end, die and stay few. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import v8 from "node:v8";
import vm from "node:vm";
import type { Worker as NodeWorker } from "node:worker_threads";
import { build } from "vite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runReference } from "../../src/engine/reference/index.ts";
import { createSession } from "../../src/engine/session.ts";
import { detectTarget } from "../../src/engine/wasm/target.ts";
import { readNcnn } from "../../src/formats/ncnn/index.ts";
import type { Shape } from "../../src/ir/tensor.ts";
import { dataBytes, dataText, testData } from "../data.ts";
import {
  expectClose,
  expectEqual,
  graphOf,
  graphTolerance,
  int8Machines,
  largest,
  randomInputs,
  runEngine,
} from "./harness.ts";

const workerThreads = process.getBuiltinModule("node:worker_threads") as { Worker: typeof NodeWorker };
const { Worker } = workerThreads;
/** Every worker that the engine has started in the running test, and whether it has ended. */
let workers: { worker: NodeWorker; ended: boolean }[] = [];

beforeEach(() => {
  workers = [];
  workerThreads.Worker = class extends Worker {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args);
      const entry = { worker: this, ended: false };
      workers.push(entry);
      this.on("exit", () => {
        entry.ended = true;
      });
    }
  };
});
afterEach(async () => {
  workerThreads.Worker = Worker;
  await Promise.all(workers.map(({ worker }) => worker.terminate()));
});

async function allEnded(): Promise<boolean> {
  for (let i = 0; i < 200 && workers.some(({ ended }) => !ended); i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return workers.every(({ ended }) => ended);
}

/** Every kind of step, and one in JavaScript in the middle. */
const everyStep = `
Convolution a 1 1 x p 0=12 1=3 4=1 5=1 9=1
ConvolutionDepthWise b 1 1 p q 0=12 7=12 1=3 4=1 5=1
BinaryOp c 2 1 q p r
Slice d 1 2 r s t -23300=2,5,-233
Convolution e 1 1 t u 0=7 1=1 5=1 9=1 8=2
Concat f 2 1 s u v
ShuffleChannel g 1 1 v w 0=2
ConvolutionDepthWise h 1 1 w x1 0=12 7=12 1=3 4=1 5=1 8=1
Convolution i 1 1 x1 x2 0=9 1=3 4=1 5=1 8=2
ELU j 1 1 x2 x3 0=0.5
Pooling k 1 1 x3 x4 0=1 1=3 2=1 3=1 5=1
Interp l 1 1 x4 x5 0=2 1=2.0 2=2.0
Interp m 1 1 x4 x6 0=1 1=2.0 2=2.0
BinaryOp n 2 1 x5 x6 x7 0=2
Softmax o 1 1 x7 x8 0=0 1=1
Permute y 1 1 x8 y 0=3`;

describe("any number of threads", () => {
  const sizes: Shape[] = [
    [5, 9, 11],
    [5, 1, 1],
    [5, 2, 3],
    [5, 1, 40],
    [5, 17, 2],
  ];
  it.each(sizes.map((shape) => [shape.join("x"), shape] as const))(
    "every kind of step on %s",
    async (_, shape) => {
      const graph = graphOf(everyStep, { x: shape });
      const inputs = randomInputs({ x: shape });
      const expected = runReference(graph, inputs).y;
      const i16 = int8Machines[0][1];
      for (const target of [detectTarget(), i16]) {
        const one = (await runEngine(graph, inputs, target)).outputs.y;
        expectClose(one, expected, () => 100 * graphTolerance(graph) * largest(expected), "one thread");
        for (const threads of [2, 3, 4]) {
          const { outputs } = await runEngine(graph, inputs, { ...target, threads }, ["y"], 3);
          expectEqual(outputs.y, one, `${threads} threads`);
        }
      }
      expect(await allEnded()).toBe(true);
    },
  );

  testData.each(["yolov5ss", "yolov5ss-int8"])("%s", async (model) => {
    const graph = readNcnn(dataText(`models/${model}.param`), dataBytes(`models/${model}.bin`));
    const [input] = graph.inputs;
    const inputs = randomInputs({ [input]: [3, 96, 160] }, 3, 0.5);
    const one = await runEngine(graph, inputs, detectTarget());
    for (const threads of [2, 3, 4]) {
      const { outputs } = await runEngine(graph, inputs, detectTarget(threads));
      for (const blob of graph.outputs)
        expectEqual(outputs[blob], one.outputs[blob], `${threads} threads, ${blob}`);
    }
  });
});

const shape = [5, 12, 10];
const small = graphOf(everyStep, { x: shape });
const other = graphOf("Convolution a 1 1 x p 0=8 1=3 4=1 5=1 9=1\nConvolution b 1 1 p y 0=6 1=3 4=1 5=1", {
  x: shape,
});

describe("sessions", () => {
  it("run side by side", async () => {
    const graphs = [small, other, small];
    const sessions = await Promise.all(graphs.map((graph) => createSession(graph, { threads: 2 })));
    const single = await Promise.all(graphs.map((graph) => createSession(graph)));
    const inputs = [0, 1, 2, 3].map((seed) => randomInputs({ x: shape }, seed + 1));
    const results = await Promise.all(
      sessions.flatMap((session) => inputs.map((input) => session.run(input))),
    );
    const expected = await Promise.all(
      single.flatMap((session) => inputs.map((input) => session.run(input))),
    );
    results.forEach((result, i) => {
      expectEqual(result.y, expected[i].y, `run ${i}`);
    });
    expect(workers.length).toBe(3);
    sessions[0].close();
    expectEqual((await sessions[1].run(inputs[0])).y, expected[4].y, "after another was closed");
    for (const session of [...sessions, ...single]) session.close();
    expect(await allEnded()).toBe(true);
  });

  it("refuse to run once closed, and close twice", async () => {
    const session = await createSession(small, { threads: 2 });
    const inputs = randomInputs({ x: shape });
    const running = session.run(inputs);
    session.close();
    session.close();
    // A run that began before is finished or refused, but never left hanging.
    await running.catch((error: Error) => expect(error.message).toMatch(/closed/));
    await expect(session.run(inputs)).rejects.toThrow(/closed/);
    expect(await allEnded()).toBe(true);
  });

  it("keep the workers of the last few sizes only", async () => {
    const session = await createSession(other, { threads: 2 });
    for (let width = 4; width < 16; width++) await session.run(randomInputs({ x: [5, 3, width] }));
    expect(workers.length).toBe(12);
    for (let i = 0; i < 200 && workers.filter(({ ended }) => !ended).length > 4; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(workers.filter(({ ended }) => !ended).length).toBe(4);
    // Many sizes in flight at once: each is answered though its program is dropped at once.
    const widths = [16, 17, 18, 19, 20, 21, 22];
    const all = await Promise.all(widths.map((width) => session.run(randomInputs({ x: [5, 3, width] }))));
    expect(all.map(({ y }) => y.shape[2])).toEqual(widths);
    session.close();
    expect(await allEnded()).toBe(true);
  });
});

describe("a worker that dies", () => {
  it("between runs is an error", async () => {
    const session = await createSession(small, { threads: 3 });
    const inputs = randomInputs({ x: shape });
    await session.run(inputs);
    await workers[1].worker.terminate();
    await expect(session.run(inputs)).rejects.toThrow(/worker thread 2 ended.*new session/);
    await expect(session.run(inputs)).rejects.toThrow(/new session/);
    session.close();
    expect(await allEnded()).toBe(true);
  });

  it("unnoticed is an error after some seconds, not a hang", async () => {
    const session = await createSession(small, { threads: 3 });
    const inputs = randomInputs({ x: shape });
    await session.run(inputs);
    void workers[0].worker.terminate();
    // Sleep without an event loop: the thread ends, and nobody is told.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    const start = performance.now();
    await expect(session.run(inputs)).rejects.toThrow(/did not answer.*new session/);
    expect(performance.now() - start).toBeLessThan(15_000);
    session.close();
    expect(await allEnded()).toBe(true);
  });

  it("before it is ready is an error", async () => {
    workerThreads.Worker = class extends Worker {
      constructor(_source: string | URL, options?: ConstructorParameters<typeof Worker>[1]) {
        super("throw new Error('no memory left')", options);
      }
    };
    const session = await createSession(small, { threads: 2 });
    await expect(session.run(randomInputs({ x: shape }))).rejects.toThrow(/no memory left/);
    session.close();
  });
});

describe("memory", () => {
  v8.setFlagsFromString("--expose-gc");
  const collect = vm.runInNewContext("gc") as () => void;
  const used = async (): Promise<number> => {
    collect();
    // Freed buffers are counted off in the event loop.
    await new Promise((resolve) => setTimeout(resolve, 50));
    collect();
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    return heapUsed + external + arrayBuffers;
  };

  it.each([1, 2])("does not grow over 2000 runs, threads: %d", async (threads) => {
    const session = await createSession(small, { threads });
    const inputs = randomInputs({ x: shape });
    for (let i = 0; i < 200; i++) await session.run(inputs);
    const size = session.memoryBytes;
    const [before, rss] = [await used(), process.memoryUsage.rss()];
    for (let i = 0; i < 2000; i++) await session.run(inputs);
    expect(session.memoryBytes).toBe(size);
    expect((await used()) - before).toBeLessThan(2e6);
    expect(process.memoryUsage.rss() - rss).toBeLessThan(60e6);
    session.close();
  });
});

describe("a process", () => {
  const source = (file: string): string => JSON.stringify(path.resolve("src", file));
  const script = `
    import { createSession } from ${source("engine/session.ts")};
    import { readNcnn } from ${source("formats/ncnn/index.ts")};
    const param = "7767517\\n2 2\\nInput x 0 1 x\\nConvolution c 1 1 x y 0=8 1=3 4=1 6=360\\n";
    const graph = readNcnn(param, new Uint8Array(4 + 360 * 4));
    const session = await createSession(graph, { threads: 3 });
    const { y } = await session.run({ x: { shape: [5, 12, 10], data: new Float32Array(600) } });
    if (process.argv[2] === "close") session.close();
    console.log("done", y.data.length);
  `;

  it("ends by itself, whether its session was closed or not", async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "ncnnkit-threads-"));
    try {
      const entry = path.join(folder, "script.js");
      writeFileSync(entry, script);
      writeFileSync(path.join(folder, "package.json"), `{ "type": "module" }`);
      // Node 20 cannot read TypeScript.
      await build({
        configFile: false,
        logLevel: "silent",
        build: { ssr: entry, outDir: path.join(folder, "out"), target: "node20" },
        ssr: { noExternal: true },
      });
      for (const how of ["close", "leave"]) {
        const out = await new Promise<string>((resolve, reject) => {
          const options = { timeout: 20_000 };
          execFile(
            process.execPath,
            [path.join(folder, "out", "script.js"), how],
            options,
            (error, stdout) => {
              if (error) reject(error);
              else resolve(stdout);
            },
          );
        });
        expect(out).toBe("done 960\n");
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
