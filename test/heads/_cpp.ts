/** Whether C++ headers are right: by a compiler, where there is one. */
import { spawnSync } from "node:child_process";

export const hasCompiler = spawnSync("g++", ["--version"]).status === 0;
if (!hasCompiler) console.warn("no g++: generated headers are not compiled");

const flags = ["-std=c++11", "-Wall", "-Wextra", "-Werror", "-Wno-unused", "-fsyntax-only", "-xc++", "-"];

/** What the compiler says against a header, warnings too. */
export const complaints = (header: string): string =>
  spawnSync("g++", flags, { input: header, encoding: "utf8" }).stderr;
