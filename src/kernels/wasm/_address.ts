import type { Func, Local } from "../../wasm/index.ts";

/** local = base + index·bytes */
export function setAddress(f: Func, local: Local, base: Local, index: Local, bytes: number): void {
  f.get(base);
  f.get(index);
  f.i32(bytes);
  f.op("i32.mul");
  f.op("i32.add");
  f.set(local);
}
