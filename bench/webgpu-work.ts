/**
 * What an inference on WebGPU comes to, counted from plans with the tiles of hardware, beside the least that the network needs: dispatches, bytes that
 * they move, products, bytes read back. Nothing runs, and no adapter is needed. `node bench/webgpu.ts` times it.
 *
 *   npm run build && node bench/webgpu-work.ts [--only REGEXP] [--software] [--steps] [--model FILE --size 640]
 *
 * `--model`: that one instead. For YOLOv8, `python3 -c "from ultralytics import YOLO; YOLO('yolov8n.yaml').save('yolov8n.pt')"` makes a file.
 * `--software`: with the tiles that a software adapter takes; `--steps`: each step that does 1.3 times what it has to. Models come from NCNNKIT_DATA
 * (default ../shared). Node 24.
 */
import path from "node:path";
import { parseArgs } from "node:util";
import { makePlan } from "../dist/engine/webgpu/plan.js";
import { chooseTile, extentsOf } from "../dist/engine/webgpu/tiles.js";
import { macsDone } from "../dist/kernels/webgpu/index.js";
import { load, type ModelSource } from "../dist/node.js";
import { benchmarkNetworks, networkFiles } from "../dist/official.js";
import { data } from "./_peer.ts";

const { values: options } = parseArgs({
  options: {
    model: { type: "string" },
    size: { type: "string", default: "640" },
    only: { type: "string", default: "." },
    software: { type: "boolean", default: false },
    steps: { type: "boolean", default: false },
  },
});

type Storage = "f32" | "f16";
const file = (name: string) => (): ModelSource => path.join(data, "models", name);
const zoo = (name: string) => (): ModelSource =>
  networkFiles(benchmarkNetworks.find((network) => network.name === name)!);
const rows: readonly (readonly [
  name: string,
  source: () => ModelSource,
  sizes: number[],
  storage: Storage[],
])[] = [
  ["FastestDet", file("FastestDet.onnx"), [352], ["f32", "f16"]],
  ["yolov5ss", file("yolov5ss.param"), [320, 640], ["f32", "f16"]],
  ["yolov5ss int8", file("yolov5ss-int8.param"), [320, 640], ["f32"]],
  ["v5lite-s", file("v5lite-s.param"), [320], ["f32"]],
  ["nanodet-m", file("nanodet_m.param"), [320], ["f32"]],
  ["yolox-nano", file("real/yolox-nano.param"), [416], ["f32"]],
  ["yolov9t", file("real/yolov9t-ball.pt"), [640], ["f32", "f16"]],
  ["squeezenet", zoo("squeezenet"), [227], ["f32"]],
  ["mobilenet_v2", zoo("mobilenet_v2"), [224], ["f32"]],
  ["efficientnet_b0", zoo("efficientnet_b0"), [224], ["f32"]],
  ["resnet18", zoo("resnet18"), [224], ["f32"]],
  ["resnet18 int8", zoo("resnet18_int8"), [224], ["f32"]],
  ["vgg16", zoo("vgg16"), [224], ["f32"]],
  ["vision_transformer", zoo("vision_transformer"), [384], ["f32"]],
];

const ratio = (found: number, least: number): string => (found / Math.max(least, 1)).toFixed(2);

console.log(
  "| network | steps | dispatches | MB moved | least | ratio | M products | least | ratio | kB read back | heads |",
);
console.log("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
const { model: given } = options;
const chosen: typeof rows = given
  ? [[path.basename(given), () => given, [Number(options.size)], ["f32", "f16"]]]
  : rows;
for (const [name, source, sizes, storages] of chosen) {
  if (!new RegExp(options.only).test(name)) continue;
  const model = await load(source(), { backend: "reference" });
  const { graph, manifest } = model;
  for (const size of sizes) {
    for (const storage of storages) {
      const shapes = { [manifest.input.blob]: [manifest.input.channels, size, size] };
      const plan = makePlan(graph, shapes, graph.outputs, {
        target: { storage, fusedMadd: true, dot: true, subgroups: true, dearBarriers: options.software },
        tileFor: (step) => chooseTile(extentsOf(step), options.software),
      });
      const { work } = plan;
      const moved = [work.bytes, work.leastBytes].map((bytes) => (bytes / 1e6).toFixed(2));
      const macs = [work.macs, work.leastMacs].map((count) => (count / 1e6).toFixed(0));
      const read = [work.fetchedBytes, work.outputBytes].map((bytes) => (bytes / 1e3).toFixed(1));
      console.log(
        `| ${name} ${size}${storage === "f16" ? " float16" : ""} | ${work.steps} | ${work.dispatches} | ${moved.join(" | ")} | ${ratio(work.bytes, work.leastBytes)} | ${macs.join(" | ")} | ${ratio(work.macs, work.leastMacs)} | ${read.join(" | ")} |`,
      );
      if (!options.steps) continue;
      for (const { label, call, macs: needed, bytes, nodes } of plan.steps) {
        const done = (call && macsDone(call.spec)) ?? 0;
        const tile = call?.spec.kind === "convolution" ? Object.values(call.spec.tile).join(" ") : "";
        if (done > 1.3 * needed || !needed)
          console.log(
            `    ${label.padEnd(44)} ${(bytes / 1e3).toFixed(0).padStart(7)} kB ${(done / 1e6).toFixed(2).padStart(8)} M ${ratio(done, needed)} ${tile} ${nodes.join(" ")}`,
          );
      }
    }
  }
  model.close();
}
