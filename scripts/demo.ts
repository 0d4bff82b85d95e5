/**
 * The main job in two minutes, without a network: draws pictures of codes, deploys the code finder on them, and shows its
 * boxes before and after. `npm run demo` compiles and runs it:
 *
 *   npm run demo -- [--calibration 64] [--evaluation 64] [--out out/demo]
 */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { drawDetections, listPictures, load, type Picture, readPicture, writePicture } from "ncnnkit/node";
import { scaledDetection } from "ncnnkit/steps";
import { writeDataset } from "../training/pictures/dataset.ts";

const { values } = parseArgs({
  options: {
    calibration: { type: "string", default: "64" },
    evaluation: { type: "string", default: "64" },
    out: { type: "string", default: path.join("out", "demo") },
  },
});
const { out } = values;
const size = 320;
const shown = 12;
const started = Date.now();

/** How each set of pictures is drawn. Neither has pictures that the code finder was trained or chosen on. */
const sets = {
  calibration: { count: Number(values.calibration), seed: 500_001, split: "training" },
  evaluation: { count: Number(values.evaluation), seed: 2_000_001, split: "held-out" },
} as const;

for (const [name, set] of Object.entries(sets)) {
  if (Number.isInteger(set.count) && set.count >= 4 && set.count <= 10_000) continue;
  console.error(`--${name} is ${values[name as keyof typeof sets]}, expected a whole number from 4 to 10000`);
  process.exit(2);
}

const say = (text: string): void => void process.stderr.write(text);

/** Removes what an earlier run drew, and nothing else: its files are numbers of six digits. */
function removeDrawn(...folders: string[]): void {
  for (const folder of folders) {
    const names = existsSync(folder) ? readdirSync(folder) : [];
    for (const name of names) if (/^\d{6}\.(jpg|txt)$/.test(name)) rmSync(path.join(folder, name));
  }
}

async function draw(name: keyof typeof sets): Promise<string> {
  const folder = path.join(out, name);
  removeDrawn(path.join(folder, "images"), path.join(folder, "labels"));
  const { count } = sets[name];
  let told = 0;
  await writeDataset(folder, {
    ...sets[name],
    size,
    onProgress: (done) => {
      if (process.stderr.isTTY) say(`\r  ${name}: ${done}/${count}${done === count ? "\n" : ""}`);
      else if (done - told >= count / 4 || done === count) {
        say(`  ${name}: ${done}/${count}\n`);
        told = done;
      }
    },
  });
  return folder;
}

/** Runs ncnnkit as a user would; its messages go to the terminal, its results come back. */
function ncnnkit(...args: string[]): Promise<string> {
  say(`  $ ncnnkit ${args.join(" ")}\n`);
  const child = spawn(process.execPath, [path.resolve("bin/ncnnkit.js"), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let results = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    results += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(results);
      else process.exit(code ?? 1); // it has said why
    });
  });
}

/** Each picture twice, side by side: boxes of the float model and of the int8 model. */
async function compare(pictures: readonly string[], folder: string, int8Folder: string): Promise<void> {
  const models = [await load("codefinder"), await load(int8Folder)];
  removeDrawn(folder);
  for (const file of pictures) {
    const picture = await readPicture(file);
    const large = enlarge(picture, 2);
    const drawn: Picture[] = [];
    for (const model of models) {
      const detections = await model.detect(picture, { size });
      const moved = detections.map((each) => scaledDetection(each, picture, large));
      drawn.push(drawDetections(large, moved));
    }
    await writePicture(path.join(folder, path.basename(file)), sideBySide(drawn[0], drawn[1], 8));
  }
  for (const model of models) model.close();
}

function enlarge({ width, height, data, channels = 4 }: Picture, times: number): Picture {
  const pixels = new Uint8Array(width * height * times * times * channels);
  for (let y = 0, at = 0; y < height * times; y++) {
    for (let x = 0; x < width * times; x++, at += channels) {
      const from = (Math.floor(y / times) * width + Math.floor(x / times)) * channels;
      for (let channel = 0; channel < channels; channel++) pixels[at + channel] = data[from + channel];
    }
  }
  return { width: width * times, height: height * times, data: pixels, channels };
}

/** Two RGBA pictures of the same size with a white gap. */
function sideBySide(left: Picture, right: Picture, gap: number): Picture {
  const { height } = left;
  const width = 2 * left.width + gap;
  const data = new Uint8Array(width * height * 4).fill(255);
  for (let y = 0; y < height; y++) {
    const rowOf = ({ data: pixels }: Picture) =>
      pixels.subarray(y * left.width * 4, (y + 1) * left.width * 4);
    data.set(rowOf(left), y * width * 4);
    data.set(rowOf(right), (y * width + left.width + gap) * 4);
  }
  return { width, height, data, channels: 4 };
}

say(`1/3 drawing pictures of codes, ${size}×${size}\n`);
const calibration = await draw("calibration");
const evaluation = await draw("evaluation");

say("2/3 from the checkpoint to a checked int8 model\n");
const deployed = path.join(out, "deploy");
const results = await ncnnkit(
  ...["deploy", "codefinder", "--offline", "--size", String(size)],
  ...["--calib", path.join(calibration, "images"), "--eval", path.join(evaluation, "codes.yaml")],
  ...["--out", deployed],
);

say("3/3 boxes before and after\n");
const boxes = path.join(out, "boxes");
const pictures = (await listPictures(path.join(evaluation, "images"))).slice(0, shown);
await compare(pictures, boxes, path.join(deployed, "int8"));

process.stdout.write(`
${results}
report    ${path.join(deployed, "report.html")}
boxes     ${boxes}: ${pictures.length} pictures, left float, right int8
models    ${path.join(deployed, "int8")} and ${path.join(deployed, "fp16")}, for ncnn, ncnnkit and the page
`);
say(`done in ${Math.round((Date.now() - started) / 1000)} s\n`);
