import { defineConfig } from "vite";

// These headers isolate the page, which gives it shared memory and so threads; without them ncnnkit runs on one.
const headers = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

export default defineConfig({
  base: "./",
  build: { target: "es2022" },
  worker: { format: "es" },
  server: { headers },
  preview: { headers },
});
