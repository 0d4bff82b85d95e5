/**
 * What a second thread brings: both sessions in one process, five inferences each in turn, so that the noise of the machine hits both alike.
 *
 *   npm run build && node bench/threads.ts [--threads 2] [--rounds 40] [--wide-vectors]
 */
import path from "node:path";
import { parseArgs } from "node:util";
import { load } from "../dist/node.js";
import { enableWideVectors, type Model, randomInputs } from "../dist/steps.js";
import { data, median, timed } from "./_peer.ts";

const { values: options } = parseArgs({
  options: {
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "40" },
    "wide-vectors": { type: "boolean", default: false },
  },
});
if (options["wide-vectors"]) enableWideVectors();
const threads = Number(options.threads);

/** The first rounds, in which code is still being optimised, do not count. */
const warmUp = 3;
const networks = [
  ["yolov5ss fp32", "models/yolov5ss", 320],
  ["yolov5ss int8", "golden/off-kl-320", 320],
  ["FastestDet fp32", "models/FastestDet", 352],
] as const;
for (const [name, file, size] of networks) {
  const open = (count: number): Promise<Model> => load(path.join(data, `${file}.param`), { threads: count });
  const [one, many] = [await open(1), await open(threads)];
  const inputs = randomInputs(one, { width: size, height: size });
  const times: { one: number[]; many: number[] } = { one: [], many: [] };
  const five = async (model: Model, list: number[]): Promise<void> => {
    for (let i = 0; i < 5; i++) list.push(await timed(() => model.run(inputs)));
  };
  for (let round = -warmUp; round < Number(options.rounds); round++) {
    await five(one, round < 0 ? [] : times.one);
    await five(many, round < 0 ? [] : times.many);
  }
  const [a, b] = [median(times.one), median(times.many)];
  console.log(
    `${name}: ${a.toFixed(2)} ms, ${b.toFixed(2)} ms with ${threads} threads: ${(a / b).toFixed(2)} times`,
  );
  many.close();
  one.close();
}
