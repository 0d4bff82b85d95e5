/**
 * `ncnnkit ncnn2table` against the native tool: 128 pictures of COCO at 320×320 through yolov5ss, time of the whole
 * command, and how many scales of activations agree within 1 %. Rounds alternate; medians count.
 *
 *   npm run build
 *   node bench/ncnn2table.ts PATH/TO/ncnn2table [--threads 1] [--rounds 3] [--method kl]
 *
 * ncnn2table is built from ncnn's sources: cmake -DNCNN_BUILD_TOOLS=ON -DNCNN_SIMPLEOCV=ON -DNCNN_VULKAN=OFF, make ncnn2table.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { data, median } from "./_peer.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: "string", default: "1" },
    rounds: { type: "string", default: "3" },
    method: { type: "string", default: "kl" },
  },
});
const [tool] = positionals;
if (!tool) throw new Error("where is ncnn2table? node bench/ncnn2table.ts PATH/TO/ncnn2table");
const root = path.resolve(import.meta.dirname, "..");
const scratch = mkdtempSync(path.join(os.tmpdir(), "ncnnkit-table-"));
const model = path.join(data, "models/yolov5ss");
const images = path.join(data, "coco/images/train2017");
const pictures = readdirSync(images).slice(0, 128);
const list = path.join(scratch, "pictures.txt");
writeFileSync(list, `${pictures.map((name) => path.join(images, name)).join("\n")}\n`);

/** Seconds of a command, which must succeed. */
function seconds(command: string, args: readonly string[]): number {
  const start = performance.now();
  const { status, stderr } = spawnSync(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr.toString().slice(-500)}`);
  return (performance.now() - start) / 1000;
}
const tables = { native: path.join(scratch, "native.table"), ours: path.join(scratch, "ours.table") };
/** Both take the same arguments. */
const run = (table: string, command: string, ...before: string[]): number =>
  seconds(command, [
    ...[...before, `${model}.param`, `${model}.bin`, list, table],
    ...["mean=[0,0,0]", "norm=[0.00392157,0.00392157,0.00392157]", "shape=[320,320,3]", "pixel=RGB"],
    ...[`thread=${options.threads}`, `method=${options.method}`],
  ]);
const native = (): number => run(tables.native, tool);
const ours = (): number =>
  run(tables.ours, process.execPath, path.join(root, "bin/ncnnkit.js"), "ncnn2table");
/** Scales of activations: the lines with one number. */
const scales = (file: string): Map<string, number> =>
  new Map(
    readFileSync(file, "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter((words) => words.length === 2)
      .map(([name, scale]) => [name, Number(scale)] as const),
  );

try {
  const times: { native: number[]; ours: number[] } = { native: [], ours: [] };
  for (let round = 0; round < Number(options.rounds); round++) {
    times.native.push(native());
    times.ours.push(ours());
  }
  const [a, b] = [median(times.native), median(times.ours)];
  const [theirs, mine] = [scales(tables.native), scales(tables.ours)];
  const near = [...theirs].filter(
    ([name, scale]) => Math.abs((mine.get(name) ?? 0) / scale - 1) <= 0.01,
  ).length;
  console.log(
    `${options.method}, ${pictures.length} pictures at 320x320, ${options.threads} thread(s), Node ${process.versions.node}, ${os.cpus()[0].model}`,
  );
  console.log(
    `ncnn2table ${a.toFixed(1)} s, ncnnkit ${b.toFixed(1)} s: ${(b / a).toFixed(2)} times its time`,
  );
  console.log(`${near} of ${theirs.size} scales of activations within 1 %`);
} finally {
  rmSync(scratch, { recursive: true });
}
