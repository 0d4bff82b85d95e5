import path from "node:path";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Whether 256-bit vectors are used must not depend on what was found out on this machine before.
    env: { NCNNKIT_WIDE_VECTORS: "off" },
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    pool: "forks",
    execArgv: ["--import", path.resolve(import.meta.dirname, "test/_typescript.mjs")],
  },
});
