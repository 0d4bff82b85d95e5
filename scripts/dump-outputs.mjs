// Runs a model on a picture and writes its input and output blobs as raw little-endian float32, with an index, so that
// other programs can be compared with it:
//   node scripts/dump-outputs.mjs MODEL PICTURE OUTDIR [size] [backend]
// Uses the built package (npm run build).
import { load, readPicture, toTensor, writeFiles } from "../dist/node.js";

const [source, pictureFile, out, size = "320", backend] = process.argv.slice(2);
if (!out) throw new Error("usage: node scripts/dump-outputs.mjs MODEL PICTURE OUTDIR [size] [backend]");

const model = await load(source, { backend });
const { input } = model.manifest;
const side = Number(size);
const { tensor } = toTensor(await readPicture(pictureFile), input, { width: side, height: side });
const outputs = await model.run({ [input.blob]: tensor });
model.close();

const bytesOf = ({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
const files = { [`${input.blob}.f32`]: bytesOf(tensor) };
for (const [blob, value] of Object.entries(outputs)) files[`${blob}.f32`] = bytesOf(value);
const shapes = Object.fromEntries(Object.entries(outputs).map(([blob, { shape }]) => [blob, shape]));
const index = { backend: model.backend, input: { blob: input.blob, shape: tensor.shape }, outputs: shapes };
await writeFiles(out, { ...files, "index.json": JSON.stringify(index) });
