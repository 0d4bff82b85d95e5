/** The barrier by itself: a notification alone, however late or often it comes, does not open it. */
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { controlAddresses, emitBarrier } from "../../src/engine/wasm/threads.ts";
import { Module } from "../../src/wasm/index.ts";

/** `meet(threads)`, the exported barrier, over a shared page. */
function barrierModule(): WebAssembly.Module {
  const m = new Module();
  m.importMemory("env", "memory", { min: 1, max: 1, shared: true });
  const barrier = emitBarrier(m);
  m.func("meet", { params: { threads: "i32" }, results: ["i32"], export: true }, (f) => {
    f.get(f.params.threads);
    f.call(barrier);
  });
  return new WebAssembly.Module(m.encode());
}

/** Where the worker says that it is through: 1 + what `meet` has returned. */
const doneWord = 4096 / 4;
const generationWord = controlAddresses.generation / 4;

const workerSource = `
const { workerData: { module, memory, done } } = require("node:worker_threads");
const { exports } = new WebAssembly.Instance(module, { env: { memory } });
Atomics.store(new Int32Array(memory.buffer), done, 1 + exports.meet(2));
`;

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

test("a sleeping thread that an old notification wakes goes on waiting for the others", async () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const words = new Int32Array(memory.buffer);
  const module = barrierModule();
  const { meet } = new WebAssembly.Instance(module, { env: { memory } }).exports as {
    meet(threads: number): number;
  };
  const worker = new Worker(workerSource, { eval: true, workerData: { module, memory, done: doneWord } });
  try {
    // A notification that wakes one thread has found it asleep; the second can only if the first did not let it through.
    for (let round = 0; round < 3; round++) {
      while (Atomics.notify(words, generationWord) === 0 && words[doneWord] === 0) await pause();
      expect([round, Atomics.load(words, doneWord)]).toEqual([round, 0]);
    }
    expect(Atomics.load(words, controlAddresses.arrived / 4)).toBe(1);
    expect(meet(2)).toBe(0);
    while (Atomics.load(words, doneWord) === 0) await pause();
    expect(words[doneWord]).toBe(1);
    expect(words[generationWord]).toBe(1);
    expect(words[controlAddresses.arrived / 4]).toBe(0);
  } finally {
    await worker.terminate();
  }
});
