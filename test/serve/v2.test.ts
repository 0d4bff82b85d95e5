/** The Open Inference Protocol: metadata, health, and tensors that are those of `model.run`, as JSON and as bytes. */
import { deflateSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inferResponse, modelFacts, serverFacts } from "../../src/node/serve/schemas.ts";
import { load, type Model, type Tensor } from "../../src/node.ts";
import { startServe, type TestServe } from "./_serve.ts";

const count = 3 * 64 * 64;
const input: Tensor = {
  shape: [3, 64, 64],
  data: Float32Array.from({ length: count }, (_, i) => Math.sin(i)),
};
let server: TestServe;
let model: Model;
let wanted: Float32Array;
beforeAll(async () => {
  server = await startServe({ maxPictures: 2 });
  model = await load(`${server.folder}/tiny.json`);
  wanted = (await model.run({ images: input })).output.data as Float32Array;
});
afterAll(() => model.close());

const infer = (body: BodyInit, headers: Record<string, string> = {}, where = "v2/models/tiny/infer") =>
  server.ask(where, { method: "POST", body, headers });
const images = { name: "images", shape: [1, 3, 64, 64], datatype: "FP32" };

/** JSON with tensors behind it, as Triton's clients send it. */
function binary(
  request: object,
  ...tensors: Uint8Array[]
): { body: Buffer<ArrayBuffer>; headers: Record<string, string> } {
  const json = Buffer.from(JSON.stringify(request));
  const body = Buffer.concat([json, ...tensors]);
  return { body, headers: { "inference-header-content-length": String(json.length) } };
}
const bytes = new Uint8Array((input.data as Float32Array).buffer as ArrayBuffer);
const sized = { ...images, parameters: { binary_data_size: bytes.length } };

/** The tensors behind the JSON of an answer. */
function behind(answer: Awaited<ReturnType<typeof infer>>): {
  head: ReturnType<typeof inferResponse.parse>;
  values: Float32Array;
} {
  const length = Number(answer.headers.get("inference-header-content-length"));
  const head = inferResponse.parse(JSON.parse(answer.text.slice(0, length)));
  return { head, values: new Float32Array(answer.bytes.slice(length).buffer) };
}

test("what the server and the model are", async () => {
  expect(serverFacts.parse((await server.ask("v2")).json()).extensions).toEqual(["binary_tensor_data"]);
  for (const where of ["v2/models/tiny", "v2/models/tiny/versions/1"]) {
    expect(modelFacts.parse((await server.ask(where)).json())).toEqual({
      ...{ name: "tiny", versions: ["1"], platform: "ncnnkit" },
      inputs: [{ name: "images", datatype: "FP32", shape: [-1, 3, 64, 64] }],
      outputs: [{ name: "output", datatype: "FP32", shape: [-1, 3, 64, 7] }],
      parameters: { task: "detect", labels: ["white", "black"] },
    });
    expect((await server.ask(`${where}/ready`)).json()).toEqual({ name: "tiny", ready: true });
  }
  expect((await server.ask("v2/health/live")).json()).toEqual({ live: true });
  expect((await server.ask("v2/health/ready")).json()).toEqual({ ready: true });
  for (const where of ["v2/models/no", "v2/models/tiny/versions/2", "v2/models/no/ready", "v2/models"]) {
    expect((await server.ask(where)).status).toBe(404);
  }
});

test("JSON, flat and nested, with and without the batch: the values of model.run", async () => {
  const flat = [...input.data];
  const rows = Array.from({ length: 3 * 64 }, (_, i) => flat.slice(64 * i, 64 * (i + 1)));
  for (const [shape, data] of [
    [[1, 3, 64, 64], flat],
    [[3, 64, 64], rows],
  ]) {
    const request = { id: "a", inputs: [{ ...images, shape, data }], parameters: { unknown: 1 } };
    const answer = await infer(JSON.stringify(request));
    expect(answer.status, answer.text.slice(0, 200)).toBe(200);
    const { outputs, ...head } = inferResponse.parse(answer.json());
    expect(head).toEqual({ model_name: "tiny", model_version: "1", id: "a" });
    expect(outputs[0]).toMatchObject({
      name: "output",
      shape: [...(shape.length === 4 ? [1] : []), 3, 64, 7],
    });
    expect(Float32Array.from(outputs[0].data ?? [])).toEqual(wanted);
  }
});

test("bytes behind the JSON, both ways, packed too; a batch", async () => {
  const { body, headers } = binary({ inputs: [sized], parameters: { binary_data_output: true } }, bytes);
  const plain = behind(await infer(body, headers));
  expect(plain.head.outputs).toEqual([
    {
      name: "output",
      shape: [1, 3, 64, 7],
      datatype: "FP32",
      parameters: { binary_data_size: 4 * 3 * 64 * 7 },
    },
  ]);
  expect(plain.values).toEqual(wanted);
  const packed = await infer(deflateSync(body), { ...headers, "content-encoding": "deflate" });
  expect(behind(packed).values).toEqual(wanted);

  const twice = { ...images, shape: [2, 3, 64, 64], parameters: { binary_data_size: 2 * bytes.length } };
  const outputs = [{ name: "output", parameters: { binary_data: true } }];
  const batch = binary({ inputs: [twice], outputs }, bytes, bytes);
  const { head, values } = behind(await infer(batch.body, batch.headers));
  expect(head.outputs[0].shape).toEqual([2, 3, 64, 7]);
  expect(values).toEqual(Float32Array.from([...wanted, ...wanted]));

  // Bytes in, JSON out.
  const json = binary({ inputs: [sized], outputs: [{ name: "output" }] }, bytes);
  const { outputs: told } = inferResponse.parse((await infer(json.body, json.headers)).json());
  expect(Float32Array.from(told[0].data ?? [])).toEqual(wanted);
});

test("a raw tensor as the whole body gives bytes", async () => {
  const { values } = behind(
    await infer(bytes, { "inference-header-content-length": "0" }, "v2/models/tiny/versions/1/infer"),
  );
  expect(values).toEqual(wanted);
});

const data = new Array(count).fill(0);
test.each<[string, unknown, RegExp]>([
  ["no JSON", "{", /no JSON/],
  ["no JSON, of several lines", "%PDF\n1", /^[^\n]*no JSON[^\n]*$/],
  ["a list", [], /inference request/],
  ["no input", { inputs: [] }, /inputs/],
  ["two inputs", { inputs: [images, images] }, /inputs/],
  ["another input", { inputs: [{ ...images, name: "x", data }] }, /input "x": tiny has one input, "images"/],
  ["another type", { inputs: [{ ...images, datatype: "FP16", data }] }, /inputs\[0\]\.datatype/],
  ["another shape", { inputs: [{ ...images, shape: [1, 3, 32, 128], data }] }, /tiny takes \[3, 64, 64\]/],
  ["a shape of zero", { inputs: [{ ...images, shape: [0, 3, 64, 64], data: [] }] }, /shape/],
  ["too few values", { inputs: [{ ...images, data: [1] }] }, /calls for 12288 numbers, found 1/],
  [
    "text among them",
    { inputs: [{ ...images, data: [...data.slice(1), "1"] }] },
    /value 12287 of data is no number/,
  ],
  ["no values", { inputs: [images] }, /data is no list/],
  ["bytes that are not there", { inputs: [sized] }, /binary_data_size 49152, but 0 bytes/],
  [
    "an unknown output",
    { inputs: [{ ...images, data }], outputs: [{ name: "y" }] },
    /output "y": tiny gives output/,
  ],
  [
    "classification",
    { inputs: [{ ...images, data }], outputs: [{ name: "output", parameters: { classification: 1 } }] },
    /classification/,
  ],
])("refused with one clear line: %s", async (_, request, reason) => {
  const answer = await infer(typeof request === "string" ? request : JSON.stringify(request));
  expect([answer.status, answer.json().error]).toEqual([400, expect.stringMatching(reason)]);
});

test("lengths that do not fit, and a batch that is too large", async () => {
  const { body } = binary({ inputs: [sized] }, bytes);
  for (const length of ["99999999", "-1", "x", "7"]) {
    expect((await infer(body, { "inference-header-content-length": length })).status, length).toBe(400);
  }
  expect((await infer(bytes.slice(4), { "inference-header-content-length": "0" })).status).toBe(400);
  const three = { ...images, shape: [3, 3, 64, 64], data };
  expect((await infer(JSON.stringify({ inputs: [three] }))).status).toBe(413);
  // Deep nesting is only a wrong number of values.
  const deep = `{"inputs":[{"name":"images","shape":[3,64,64],"datatype":"FP32","data":${"[".repeat(5000)}${"]".repeat(5000)}}]}`;
  expect((await infer(deep)).status).toBe(400);
  const [output] = inferResponse.parse(
    (await infer(JSON.stringify({ inputs: [{ ...images, data: [...input.data] }] }))).json(),
  ).outputs;
  expect(Float32Array.from(output.data ?? [])).toEqual(wanted);
});

test("values that JSON cannot hold are an error, not null", async () => {
  const endless = new Float32Array(count).fill(Number.POSITIVE_INFINITY);
  const { body, headers } = binary({ inputs: [sized] }, new Uint8Array(endless.buffer));
  const answer = await infer(body, headers);
  expect([answer.status, answer.json().error]).toEqual([500, expect.stringMatching(/ask for binary_data/)]);
});
