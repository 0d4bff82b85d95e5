/** A thread of the server with onnxruntime-node in it instead of the kit: the same shell around another engine. */
import { readFileSync } from "node:fs";
import ort from "onnxruntime-node";
import { answerCalls, Moved } from "../dist/node/pool.js";
import { infer } from "../dist/node/serve/infer.js";
import type { Answer, Asked, ModelFacts, ThreadData } from "../dist/node/serve/messages.js";

answerCalls<ThreadData, Asked, Answer>(async ({ models: [shared] }) => {
  const bytes = readFileSync(process.env.ORT_MODEL ?? "");
  const session = await ort.InferenceSession.create(bytes, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: "sequential",
  });
  const size = Number(shared.options.size);
  const shape = [3, size, size];
  const run = async (data: Float32Array) => {
    const outputs = await session.run({
      [session.inputNames[0]]: new ort.Tensor("float32", data, [1, ...shape]),
    });
    return Object.fromEntries(
      Object.entries(outputs).map(([name, { dims, data: values }]) => [
        name,
        { shape: dims.slice(1), data: values as Float32Array },
      ]),
    );
  };
  const outputs = await run(new Float32Array(3 * size * size));
  const facts: ModelFacts = {
    ...{ name: shared.name, task: undefined, labels: [], assumptions: [], whyNoHeads: "this is onnxruntime" },
    input: { name: session.inputNames[0], shape },
    outputs: Object.entries(outputs).map(([name, tensor]) => ({ name, shape: [...tensor.shape] })),
  };
  const model = {
    run: (inputs: Record<string, { data: Float32Array }>) => run(Object.values(inputs)[0].data),
  };
  return async (asked) => {
    if (asked.kind === "describe") return { facts: [facts] };
    if (asked.kind === "detect") throw new Error("only tensors");
    // Of a model, `infer` asks only that it runs.
    const reply = await infer(asked, model as unknown as Parameters<typeof infer>[1], facts);
    return new Moved(reply, [...new Set(reply.pieces.map(({ buffer }) => buffer))]);
  };
});
