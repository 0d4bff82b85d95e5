/**
 * Networks of ncnn's benchmark that end in detection layers or heads, with weights out of a seed, for native ncnn to find the same boxes.
 *
 *     node scripts/zoo-boxes.ts FOLDER [DATA] && python3 scripts/zoo-boxes.py FOLDER [test/zoo/data/native-boxes.json]
 *
 * Writes NAME.param, .bin, .in (the input, float32) and index.json: the seed, what the wasm backend gives for every output, and the boxes of
 * `detect`. The seed is the first that gives 5 boxes. With DATA (../shared) the networks are the official .param files there, else those of src/zoo.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isObject } from "../src/detect/detection.ts";
import { parseParam, printParam, writeWeights } from "../src/formats/ncnn/index.ts";
import { zoo } from "../src/zoo/index.ts";
import { runNetwork } from "../test/zoo/_boxes.ts";

const [folder, data] = process.argv.slice(2);
if (!folder) throw new Error("usage: node scripts/zoo-boxes.ts FOLDER [DATA]");
mkdirSync(folder, { recursive: true });
const pattern =
  /^(.*_ssd(_int8)?|mobilenet_yolo|mobilenetv2_yolov3|yolov4-tiny|yolo-fast.*|nanodet_m|FastestDet)$/;
const fewestBoxes = 5;
const mostSeeds = 40;

const index: unknown[] = [];
for (const { name, size, build } of zoo.filter((network) => pattern.test(network.name))) {
  const graphOf = () =>
    data
      ? parseParam(readFileSync(join(data, "models", "benchncnn", `${name}.param`), "utf8"), name)
      : build();
  for (let seed = 1; seed <= mostSeeds; seed++) {
    const graph = graphOf();
    const { input, blob, outputs, detections } = await runNetwork(graph, size, seed);
    if (detections.length < fewestBoxes) continue;
    writeFileSync(join(folder, `${name}.param`), printParam(graph));
    writeFileSync(join(folder, `${name}.bin`), writeWeights(graph));
    writeFileSync(join(folder, `${name}.in`), new Uint8Array(Float32Array.from(input.data).buffer));
    const found = Object.entries(outputs).map(([output, { shape, data }]) => ({
      name: output,
      shape,
      values: [...data],
    }));
    const boxes = detections
      .filter(isObject)
      .map(({ classId, score, box: { x, y, width, height } }) => [
        ...[classId, score, x, y, x + width, y + height],
      ]);
    index.push({ name, seed, size, input: blob, shape: input.shape, outputs: found, boxes });
    console.log(`${name}: seed ${seed}, ${Object.keys(outputs).join(" ")}, ${boxes.length} boxes`);
    break;
  }
}
writeFileSync(join(folder, "index.json"), JSON.stringify(index));
