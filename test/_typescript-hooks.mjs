/** Strips the types of a TypeScript file when it is loaded; runs in Node's thread for module hooks. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { transform } from "rolldown/utils";

export async function load(url, context, next) {
  if (!url.startsWith("file:") || !url.endsWith(".ts")) return next(url, context);
  const file = fileURLToPath(url);
  const { code } = await transform(file, await readFile(file, "utf8"));
  return { format: "module", source: code, shortCircuit: true };
}
