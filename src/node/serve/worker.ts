/** A worker thread of the server: a session of every model, in which nothing that a client sends can stop the others. */
import sharp from "sharp";
import { type Model, UnsupportedError } from "../../index.ts";
import { openModel } from "../../open/formats.ts";
import { startModel } from "../../open/model.ts";
import { taskOf } from "../../steps.ts";
import { answerCalls, Moved } from "../pool.ts";
import { detect } from "./detect.ts";
import { infer } from "./infer.ts";
import type { Answer, Asked, ModelFacts, Reply, SharedModel, ThreadData } from "./messages.ts";
import { Refusal, refusalJson, tooLate } from "./refusal.ts";
import { sharedFolder } from "./source.ts";

interface Running {
  readonly model: Model;
  readonly facts: ModelFacts;
}

answerCalls<ThreadData, Asked, Answer>(async ({ models }) => {
  // The threads are the parallelism, and what strangers send is not worth keeping.
  sharp.concurrency(1);
  sharp.cache(false);
  // Readers of vector graphics and documents look into other files and take any time; none of them is a picture here.
  sharp.block({ operation: ["VipsForeignLoadSvg", "VipsForeignLoadPdf", "VipsForeignLoadMagick"] });
  const running = new Map<string, Running>();
  for (const each of models) running.set(each.name, await start(each));
  return async (asked) => {
    if (asked.kind === "describe") return { facts: [...running.values()].map(({ facts }) => facts) };
    const reply = await answer(asked, running);
    return new Moved(reply, [...new Set(reply.pieces.map(({ buffer }) => buffer))]);
  };
});

/** A model that has run once: the first requests need not wait until it is compiled. */
async function start(shared: SharedModel): Promise<Running> {
  const opened = await openModel(sharedFolder(shared), shared.main, shared.options);
  const { name } = shared;
  const model = await startModel({ ...opened, manifest: { ...opened.manifest, name } }, { threads: 1 });
  const { blob, channels, height, width } = model.manifest.input;
  const others = model.graph.inputs.filter((input) => input !== blob);
  if (others.length) {
    throw new UnsupportedError(
      `${name}: models with one input are served, and this has ${others.join(", ")} too`,
    );
  }
  const shape = [channels, height, width];
  const pixels = new Uint8Array(3 * width * height);
  let whyNoHeads: string | undefined;
  try {
    model.requireHeads();
    await model.detect({ width, height, channels: 3, data: pixels });
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
    whyNoHeads = error.message;
  }
  const outputs = await model.run({ [blob]: { shape, data: new Float32Array(channels * height * width) } });
  const { heads, labels } = model.manifest;
  const facts: ModelFacts = {
    ...{ name, labels, whyNoHeads, task: heads.length ? taskOf(heads) : undefined },
    assumptions: model.assumptions,
    input: { name: blob, shape },
    outputs: Object.entries(outputs).map(([output, tensor]) => ({ name: output, shape: [...tensor.shape] })),
  };
  return { model, facts };
}

async function answer(
  asked: Exclude<Asked, { kind: "describe" }>,
  running: ReadonlyMap<string, Running>,
): Promise<Reply> {
  try {
    if (Date.now() > asked.latest) throw tooLate();
    const found = running.get(asked.model);
    if (!found) throw new Refusal(404, `no model ${JSON.stringify(asked.model)}`);
    return asked.kind === "detect"
      ? await detect(asked, found.model)
      : await infer(asked, found.model, found.facts);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { status, message, headers } = error;
    return {
      ...{ status, error: message, pictures: 0, times: { decode: 0, run: 0, encode: 0 } },
      headers: { "content-type": "application/json", ...headers },
      pieces: [new TextEncoder().encode(refusalJson(message))],
    };
  }
}
