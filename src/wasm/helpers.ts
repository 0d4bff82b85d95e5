/** Loops and address arithmetic above single instructions. */
import type { Func } from "./function.ts";
import type { Local } from "./types.ts";

/** An i32: a constant, a variable, or code that pushes it. */
export type I32Source = number | Local | ((f: Func) => void);

export function pushI32(f: Func, source: I32Source): void {
  if (typeof source === "number") f.i32(source);
  else if (typeof source === "function") source(f);
  else f.get(source);
}

/**
 * `for (counter = start; counter < end; counter += step) body()`, signed, step ≥ 1. `end` is pushed anew for each test, so
 * it must stay the same and cost little. Tested once before and then at the bottom; constants need no test before. After the
 * loop `counter` is at or beyond the end (start, where there was no round). The last sum must not exceed 2^31 − 1.
 */
export function forRange(
  f: Func,
  counter: Local,
  start: I32Source,
  end: I32Source,
  step: number,
  body: () => void,
): void {
  if (!(Number.isInteger(step) && step >= 1))
    throw new Error(`forRange: step ${step} is not a positive number`);
  pushI32(f, start);
  f.set(counter);
  const loop = (): void =>
    f.loop((next) => {
      body();
      f.get(counter);
      f.i32(step);
      f.op("i32.add");
      f.tee(counter);
      pushI32(f, end);
      f.op("i32.lt_s");
      f.brIf(next);
    });
  if (typeof start === "number" && typeof end === "number") {
    if (start < end) loop();
    return;
  }
  f.get(counter);
  pushI32(f, end);
  f.op("i32.lt_s");
  f.if(loop);
}

/** `while (condition) body()`: `condition` pushes an i32. */
export function whileLoop(f: Func, condition: () => void, body: () => void): void {
  f.block((done) => {
    f.loop((next) => {
      condition();
      f.op("i32.eqz");
      f.brIf(done);
      body();
      f.br(next);
    });
  });
}

/** local += constant (i32). */
export function addTo(f: Func, local: Local, constant: number): void {
  if (constant === 0) return;
  f.get(local);
  f.i32(constant);
  f.op("i32.add");
  f.set(local);
}

/** Pushes base + index · strideBytes. */
export function pushAddress(f: Func, base: I32Source, index: I32Source, strideBytes: number): void {
  pushI32(f, base);
  if (typeof index === "number") {
    if (index * strideBytes === 0) return;
    f.i32(index * strideBytes);
  } else {
    pushI32(f, index);
    if (strideBytes !== 1) {
      f.i32(strideBytes);
      f.op("i32.mul");
    }
  }
  f.op("i32.add");
}
