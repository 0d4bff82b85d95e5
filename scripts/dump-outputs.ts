/**
 * Runs a model on a picture and writes its input and output blobs as raw little-endian float32, with an index, so that other
 * programs can be compared with it. Uses the built package.
 *
 *   npm run build && node scripts/dump-outputs.ts MODEL PICTURE OUTDIR [--size 320] [--backend wasm|reference]
 */
import { parseArgs } from "node:util";
import { type Backend, load, readPicture, type Tensor, writeFiles } from "ncnnkit/node";
import { toTensor } from "ncnnkit/steps";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { size: { type: "string", default: "320" }, backend: { type: "string" } },
});
const [source, pictureFile, out] = positionals;
if (!out)
  throw new Error("usage: node scripts/dump-outputs.ts MODEL PICTURE OUTDIR [--size N] [--backend NAME]");

const model = await load(source, { backend: values.backend as Backend | undefined });
const { input } = model.manifest;
const side = Number(values.size);
const { tensor } = toTensor(await readPicture(pictureFile), input, { width: side, height: side });
const outputs = await model.run({ [input.blob]: tensor });
model.close();

const bytesOf = ({ data }: Tensor): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
const files: Record<string, Uint8Array> = { [`${input.blob}.f32`]: bytesOf(tensor) };
for (const [blob, value] of Object.entries(outputs)) files[`${blob}.f32`] = bytesOf(value);
const shapes = Object.fromEntries(Object.entries(outputs).map(([blob, { shape }]) => [blob, shape]));
const index = { backend: model.backend, input: { blob: input.blob, shape: tensor.shape }, outputs: shapes };
await writeFiles(out, { ...files, "index.json": JSON.stringify(index) });
