/** A checkpoint to a checked INT8 model: node examples/quantize.js MODEL PICTURES OUT */
import path from "node:path";
import { deploy, open, openPictures, writeFiles } from "ncnnkit/node";

const [source, pictures, out] = process.argv.slice(2);

// `open` reads a model without making it ready to run; a fifth of the pictures is kept out of calibration to measure on.
const { files, report } = await deploy(
  await open(source),
  { calibration: await openPictures(pictures) },
  {
    size: 320,
    onProgress: ({ stage, done, total }) => process.stderr.write(`\r${stage} ${done}/${total ?? "?"}  `),
  },
);
process.stderr.write("\n");

for (const [name, content] of Object.entries(files)) {
  await writeFiles(path.join(out, path.dirname(name)), { [path.basename(name)]: content });
}
for (const { name, fidelity, milliseconds, bytes } of report.variants) {
  const faithful = fidelity === undefined ? "" : `fidelity ${(100 * fidelity).toFixed(1)}`;
  console.log(name, `${milliseconds.toFixed(1)} ms`, `${(bytes / 2 ** 20).toFixed(2)} MiB`, faithful);
}
