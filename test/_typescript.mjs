/**
 * Lets worker threads of tests start from TypeScript on a Node that does not read it by itself (before 22.18): they inherit
 * `--import` of this file from vitest.config.ts.
 */
import { register } from "node:module";

if (!process.features.typescript) register("./_typescript-hooks.mjs", import.meta.url);
