/** The text of `NAME.js`: facts, and the functions of `_glue.ts` as they are written. */
import { maskBitmap, maskParts } from "../detect/mask-bitmap.ts";
import type { CompiledFacts, CompiledFile } from "../formats/compiled.ts";
import { probeBytes } from "../wasm/index.ts";
import { chooseMode, glue, startThreads } from "./_glue.ts";

const names = ["load", "detect", "run"] as const;

export function moduleText(facts: Omit<CompiledFacts, "mode">, modules: readonly CompiledFile[]): string {
  const { name, threads, task, pictures, decode, whyNoDecode, detection, sizes, manifest } = facts;
  const list = modules.map(
    ({ file, mode, sha256 }) =>
      `{ file: ${quote(file)}, mode: ${quote(mode)}, sha256: ${quote(sha256)}, locate: () => new URL(${quote(`./${file}`)}, import.meta.url) }`,
  );
  const known = {
    ...{ name, threads, task, pictures, decode, whyNoDecode, detection, sizes },
    labels: manifest.labels,
  };
  const parts = [
    ...(modules.length > 1 ? [`choose: () => choose(${bytesText(probeBytes())})`] : []),
    ...(threads > 1 ? ["startThreads"] : []),
    ...(detection?.mask ? ["mask"] : []),
  ];
  return `// ${name}: compiled by ncnnkit ${facts.kit}. Needs nothing but the files beside it; README.md says what is in them.
const glue = ${String(glue)};
${modules.length > 1 ? `const choose = ${String(chooseMode)};\n` : ""}${threads > 1 ? `const startThreads = ${String(startThreads)};\n` : ""}${detection?.mask ? maskText() : ""}const facts = ${JSON.stringify(known)};
facts.files = [
  ${list.join(",\n  ")},
];
export const { ${names.join(", ")} } = glue(facts, { ${parts.join(", ")} });
`;
}

/** `mask(mask, window, placed)` */
function maskText(): string {
  const parts = Object.entries(maskParts).map(([name, part]) => `${name}: ${String(part)}`);
  return `const maskBitmap = ${String(maskBitmap)};
const maskParts = { ${parts.join(", ")} };
const mask = (mask, window, placed) => maskBitmap(mask, window, placed, maskParts);
`;
}

const quote = (text: string): string => JSON.stringify(text);

const bytesText = (bytes: Uint8Array): string =>
  `Uint8Array.from(atob("${btoa(String.fromCharCode(...bytes))}"), (char) => char.charCodeAt(0))`;
