/**
 * ncnnkit's part of scripts/quantize-peers.py: inputs as ncnnkit makes them, outputs of its engine, and its own evaluator on
 * outputs of any program. Arrays are `.npy` files of float32.
 *
 *   node scripts/quantize-peers.ts inputs MODEL FOLDER CALIB EVAL
 *       FOLDER/calib and FOLDER/eval: an input a picture; FOLDER/index.json: heads, labels, and how pictures lie in inputs
 *   node scripts/quantize-peers.ts outputs MODEL INPUTS FOLDER
 *       FOLDER/PICTURE.0.npy …: the blobs of the heads, in their order, of every input of INPUTS/eval
 *   node scripts/quantize-peers.ts evaluate INPUTS REFERENCE FOLDER …
 *       prints JSON: AP, and fidelity to REFERENCE, of each folder of outputs
 *
 * Needs Node 24 (types are stripped).
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { evaluationOptions, postprocess } from "../src/detect/detect.ts";
import { isObject } from "../src/detect/detection.ts";
import { type Transform, toTensor } from "../src/detect/letterbox.ts";
import { evaluateCoco } from "../src/evaluate/coco-ap.ts";
import { fidelity } from "../src/evaluate/fidelity.ts";
import type { DetectionRow, GroundTruth } from "../src/evaluate/rows.ts";
import { blobsOf } from "../src/heads/index.ts";
import type { Head } from "../src/heads/manifest.ts";
import type { Tensor } from "../src/ir/tensor.ts";
import { openDataset, openPictures } from "../src/node/dataset.ts";
import { load, open } from "../src/node.ts";
import { readNpy } from "../src/official/table-inputs.ts";
import { type EvaluationItem, readEntries } from "../src/tally/pictures.ts";

/** FOLDER/index.json of `inputs`. */
interface Index {
  heads: Head[];
  labels: string[];
  pictures: { name: string; transform: Transform; truth?: readonly GroundTruth[] }[];
}

const skip = (message: string): void => {
  throw new Error(message); // All programs are to see the same pictures.
};

const readIndex = (folder: string): Index =>
  JSON.parse(readFileSync(path.join(folder, "index.json"), "utf8"));

function writeNpy(file: string, { shape, data }: Tensor): void {
  const facts = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const header = `${facts.padEnd(64 * Math.ceil((facts.length + 11) / 64) - 11)}\n`;
  const size = Buffer.from([header.length & 255, header.length >> 8]);
  const values = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  writeFileSync(
    file,
    Buffer.concat([Buffer.from("\x93NUMPY\x01\x00", "latin1"), size, Buffer.from(header, "latin1"), values]),
  );
}

const readArray = (file: string): Tensor => readNpy(readFileSync(file), file);

async function inputs(source: string, folder: string, calib: string, evaluation: string): Promise<void> {
  const { manifest } = await open(source);
  const { heads, labels, input } = manifest;
  const write = async (part: string, items: AsyncIterable<EvaluationItem>): Promise<Index["pictures"]> => {
    mkdirSync(path.join(folder, part), { recursive: true });
    const pictures: Index["pictures"] = [];
    for await (const { id, picture, truth } of items) {
      const { tensor, transform } = toTensor(picture, input);
      const name = path.parse(String(id)).name;
      if (pictures.some((other) => other.name === name)) throw new Error(`two pictures are called ${name}`);
      writeNpy(path.join(folder, part, `${name}.npy`), tensor);
      pictures.push({ name, transform, truth });
    }
    return pictures;
  };
  await write("calib", readEntries(await openPictures(calib), skip));
  const dataset = await openDataset(evaluation, { labels, labelsOptional: true });
  const pictures = await write("eval", readEntries(dataset.entries, skip));
  writeFileSync(
    path.join(folder, "index.json"),
    JSON.stringify({ input, heads, blobs: blobsOf(heads), labels, pictures }),
  );
}

async function outputs(source: string, from: string, folder: string): Promise<void> {
  const model = await load(source, { threads: 2 });
  const { heads, input } = model.manifest;
  mkdirSync(folder, { recursive: true });
  const blobs = blobsOf(heads);
  for (const file of readdirSync(path.join(from, "eval"))) {
    const found = await model.run({ [input.blob]: readArray(path.join(from, "eval", file)) }, blobs);
    blobs.forEach((blob, i) => {
      writeNpy(path.join(folder, `${path.parse(file).name}.${i}.npy`), found[blob]);
    });
  }
  model.close();
}

/** What a program found, from its outputs. */
function detections({ heads, labels, pictures }: Index, folder: string): DetectionRow[] {
  return pictures.flatMap(({ name, transform }) => {
    const arrays = blobsOf(heads).map((blob, i) => [blob, readArray(path.join(folder, `${name}.${i}.npy`))]);
    const found = postprocess(Object.fromEntries(arrays), { heads, labels }, transform, evaluationOptions);
    return found
      .filter(isObject)
      .map(({ classId, score, box }) => ({ image: name, category: classId, score, box }));
  });
}

function evaluate(from: string, reference: string, folders: readonly string[]): void {
  const index = readIndex(from);
  const truth = index.pictures.flatMap(({ name, truth = [] }) =>
    truth.map((object) => ({ ...object, image: name })),
  );
  const expected = detections(index, reference);
  const rows = folders.map((folder) => {
    const found = folder === reference ? expected : detections(index, folder);
    const { pairs, ...facts } = fidelity(expected, found);
    return [folder, { AP: truth.length ? evaluateCoco(truth, found).AP : null, ...facts }];
  });
  process.stdout.write(`${JSON.stringify(Object.fromEntries(rows))}\n`);
}

const [what, ...given] = process.argv.slice(2);
if (what === "inputs" && given.length === 4) await inputs(given[0], given[1], given[2], given[3]);
else if (what === "outputs" && given.length === 3) await outputs(given[0], given[1], given[2]);
else if (what === "evaluate" && given.length > 2) evaluate(given[0], given[1], given.slice(2));
else throw new Error("usage: see the head of scripts/quantize-peers.ts");
