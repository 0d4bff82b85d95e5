/** The text of `README.md`: what lies in the folder, and how it is called. */

import type { CompiledFacts, CompiledFile } from "../formats/compiled.ts";
import { detectionBytes } from "../kernels/wasm/index.ts";

export function readmeText(facts: Omit<CompiledFacts, "mode">, modules: readonly CompiledFile[]): string {
  const { name, pictures, decode, sizes, threads, manifest } = facts;
  const files = modules.map(
    ({ file, mode, bytes, sha256 }) => `| \`${file}\` | ${modeTexts[mode]} | ${bytes} | \`${sha256}\` |`,
  );
  const sizeList = sizes.map(({ width, height }, i) => `${i}: ${width}x${height}`).join(", ");
  return `# ${name}

A network as WebAssembly, compiled by ncnnkit ${facts.kit}. It needs no library.

| file | for | bytes | SHA-256 |
|---|---|--:|---|
${files.join("\n")}

\`${name}.js\` is an ES module (\`${name}.d.ts\` its types), \`${name}.json\` says all that is known of the model: sizes, addresses, labels.

\`\`\`js
import { ${decode ? "detect" : "run"} } from "./${name}.js";
${decode ? "const boxes = await detect(imageData, { confidence: 0.25 });" : `const outputs = await run(${pictures ? "imageData" : "{ … }"});`}
\`\`\`

Input sizes: ${sizeList}.${manifest.labels.length ? ` Classes: ${manifest.labels.length}.` : ""}${threads > 1 ? ` Up to ${threads} threads.` : ""}

## From any host

Numbers are 32-bit integers unless said otherwise; memory is little-endian. ${threads > 1 ? "The module imports its memory, which is shared, as `env.memory`; call `start()` once, and then from every other thread, in an instance of its own over the same memory, `serve(thread, threads)`, which does not return; `share(threads)` says how many share a run." : "The module imports nothing and exports its `memory`."}

${(pictures ? pictureCalls(decode) : tensorCalls(decode)).map((line) => `- ${line}`).join("\n")}

Raw outputs are float32 at the addresses that \`${name}.json\` has for each file and size (\`sizes[i].outputs\`), and valid until the next call.
`;
}

const modeTexts: Readonly<Record<CompiledFile["mode"], string>> = {
  portable: "every machine with WebAssembly vectors",
  scalar: "every machine",
  signed: "Arm: relaxed vectors, products of signed bytes",
  unsigned: "x86 with VNNI: relaxed vectors",
  i7: "x86 without VNNI: relaxed vectors",
};

const pictureCalls = (decode: boolean): string[] => [
  "`picture(width, height, channels)` → address where the picture's bytes go, rows without gaps, RGB (3 channels) or RGBA (4); 0 where it is too large. Memory may have grown: get it anew.",
  "`preprocess(width, height, channels, size)` → 0; 1 for a picture or a size that there is not. It makes the network's input of those bytes.",
  ...runCalls(decode),
];

const tensorCalls = (decode: boolean): string[] => [
  "`selectSize(size)` → 0; 1 where there is none. Then write float32 numbers `[c, h, w]` at the addresses of `sizes[size].inputs`.",
  ...runCalls(decode),
];

const runCalls = (decode: boolean): string[] => [
  "`run()` → 0.",
  ...(decode
    ? [
        `\`detect(confidence: f64, iou: f64, most)\` → number of boxes, best first, at the address in the global \`detections\`; −1 where too many pass. Each is ${detectionBytes} bytes: x, y, width, height in pixels of the picture and the score as float32, and the number of the class.`,
      ]
    : []),
];
