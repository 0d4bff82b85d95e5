/** A process that runs the engine's self-test, `wide` or `plain`, and prints what it found as JSON. */
import { selfTest } from "../open/self-test.ts";

process.stdout.write(JSON.stringify(await selfTest({ wideVectors: process.argv[2] === "wide" })));
