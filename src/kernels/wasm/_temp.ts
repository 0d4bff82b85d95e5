/** Named scratch locals: one per function and name, reused wherever the name comes up again. */
import type { Func, Local } from "../../wasm/index.ts";

const pools = new WeakMap<Func, Map<string, Local>>();

/** The v128 (or `type`) local called `name`. Its value lives until the next use of the same name. */
export function temp(f: Func, name: string, type: "v128" | "i32" = "v128"): Local {
  let pool = pools.get(f);
  if (!pool) {
    pool = new Map();
    pools.set(f, pool);
  }
  const key = `${type} ${name}`;
  let local = pool.get(key);
  if (!local) {
    local = f.local(type, name);
    pool.set(key, local);
  }
  return local;
}
