import path from "node:path";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Nothing may depend on what was found out, or kept, on this machine before.
    env: { NCNNKIT_WIDE_VECTORS: "off", NCNNKIT_MODULES: "0" },
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    pool: "forks",
    execArgv: ["--import", path.resolve(import.meta.dirname, "test/_typescript.mjs")],
  },
});
