/** Threads over one shared memory: a barrier inside wasm, and the commands by which workers are woken. */
import type { FuncRef, Module } from "../wasm/index.ts";

/** Control words at the beginning of memory, a cache line apart. */
export const barrierAddresses = { arrived: 64, generation: 128, end: 192 } as const;

/** Rounds of looking before a thread goes to sleep: some microseconds, longer than most steps are uneven. */
const spins = 2000;
/** A thread that does not come within this time is taken for dead. */
const patienceNanoseconds = 10_000_000_000n;

/**
 * Emits `barrier(threads) → i32`: returns 0 once all threads have called it, 1 if they do not come. The last to arrive
 * resets the count and moves the generation on; the others spin on the generation and then sleep on it.
 */
export function emitBarrier(m: Module): FuncRef {
  const { arrived, generation } = barrierAddresses;
  return m.func("barrier", { params: { threads: "i32" }, results: ["i32"] }, (f) => {
    const mine = f.local("i32", "mine");
    const count = f.local("i32", "count");
    const loadGeneration = (): void => {
      f.i32(generation);
      f.op("i32.atomic.load");
    };
    loadGeneration();
    f.set(mine);
    f.i32(arrived);
    f.i32(1);
    f.op("i32.atomic.rmw.add");
    f.i32(1);
    f.op("i32.add");
    f.get(f.params.threads);
    f.op("i32.eq");
    f.if(() => {
      f.i32(arrived);
      f.i32(0);
      f.op("i32.atomic.store");
      f.i32(generation);
      f.i32(1);
      f.op("i32.atomic.rmw.add");
      f.drop();
      f.i32(generation);
      f.i32(-1);
      f.op("memory.atomic.notify");
      f.drop();
      f.i32(0);
      f.return();
    });
    f.i32(spins);
    f.set(count);
    f.loop((again) => {
      loadGeneration();
      f.get(mine);
      f.op("i32.ne");
      f.if(() => {
        f.i32(0);
        f.return();
      });
      f.get(count);
      f.i32(1);
      f.op("i32.sub");
      f.tee(count);
      f.brIf(again);
    });
    // 0 woken, 1 the generation has moved already, 2 timed out.
    f.i32(generation);
    f.get(mine);
    f.i64(patienceNanoseconds);
    f.op("memory.atomic.wait32");
    f.i32(2);
    f.op("i32.eq");
  });
}
