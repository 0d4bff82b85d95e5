/** The text of `README.md`: what lies in the folder, and how it is called. */

import type { CompiledFacts, CompiledFile } from "../formats/compiled.ts";

export function readmeText(facts: Omit<CompiledFacts, "mode">, modules: readonly CompiledFile[]): string {
  const { name, pictures, detection, sizes, threads, manifest } = facts;
  const decode = detection !== undefined;
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

${(pictures ? pictureCalls(detection) : tensorCalls(detection)).map((line) => `- ${line}`).join("\n")}

Raw outputs are float32 at the addresses that \`${name}.json\` has for each file and size (\`sizes[i].outputs\`), and valid until the next call.
`;
}

type Detection = CompiledFacts["detection"];

/** What a detection has behind its class. */
function moreText({ points, mask, turned }: NonNullable<Detection>): string {
  if (turned)
    return "; then of the turned box, which the other is about, x and y of its middle, width, height, and the angle in radians from the x axis towards the y axis, which points down, as float32";
  if (points)
    return `; then ${points.count} points of ${points.values} float32: x, y${points.values === 3 ? ", and how surely it is seen" : ""}; the first is NaN where there are none`;
  if (!mask) return "";
  return `; then x, y, width, height of the pixels in which its mask lies, as integers, and ${mask.count} coefficients as float32. The mask is where the sum of coefficient times plane of the output \`${mask.prototypes}\`, a grid of the input, is positive${mask.probabilities ? " (its sigmoid is above a half, and sigmoids are interpolated)" : ""}; where the picture lies in the input is in the globals \`padX\`, \`padY\`, \`scaleX\`, \`scaleY\`: input = picture · scale + pad`;
}

const modeTexts: Readonly<Record<CompiledFile["mode"], string>> = {
  portable: "every machine with WebAssembly vectors",
  scalar: "every machine",
  signed: "Arm: relaxed vectors, products of signed bytes",
  unsigned: "x86 with VNNI: relaxed vectors",
  i7: "x86 without VNNI: relaxed vectors",
};

const pictureCalls = (detection: Detection): string[] => [
  "`picture(width, height, channels)` → address where the picture's bytes go, rows without gaps, RGB (3 channels) or RGBA (4); 0 where it is too large. Memory may have grown: get it anew.",
  "`preprocess(width, height, channels, size)` → 0; 1 for a picture or a size that there is not. It makes the network's input of those bytes.",
  ...runCalls(detection),
];

const tensorCalls = (detection: Detection): string[] => [
  "`selectSize(size)` → 0; 1 where there is none. Then write float32 numbers `[c, h, w]` at the addresses of `sizes[size].inputs`.",
  ...runCalls(detection),
];

const runCalls = (detection: Detection): string[] => [
  "`run()` → 0.",
  ...(detection
    ? [
        `\`detect(confidence: f64, iou: f64, most)\` → number of boxes, best first, at the address in the global \`detections\`; −1 where too many pass. Each is ${detection.bytes} bytes: x, y, width, height in pixels of the picture and the score as float32, and the number of the class${moreText(detection)}.`,
      ]
    : []),
];
