#!/usr/bin/env node
import module from "node:module";
import { cacheFolder } from "../dist/node/cache.js";

// What Node compiles of the command lies beside the downloaded models, for the next start (NODE_DISABLE_COMPILE_CACHE=1: nowhere).
module.enableCompileCache?.(cacheFolder("code"));
const { main } = await import("../dist/cli/main.js");
process.exitCode = await main(process.argv.slice(2));
