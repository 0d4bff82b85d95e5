/** `/infer` in a worker thread: the Open Inference Protocol's tensors, as JSON or, as Triton has it, as bytes behind the JSON. */
import { type Model, NcnnkitError, type Tensor } from "../../index.ts";
import type { InferQuestion, ModelFacts, Reply } from "./messages.ts";
import { Refusal } from "./refusal.ts";
import { complaintOf, inferRequest } from "./schemas.ts";
import { unpacked } from "./unpack.ts";

/** The only version that there is of every model. */
export const modelVersion = "1";

/** A request, read: batches are apart from each other, since ncnn's tensors have none. */
interface Request {
  readonly id: string | undefined;
  readonly tensors: readonly Tensor[];
  /** Whether the shape has the batch in front; the outputs' then have too. */
  readonly batched: boolean;
  readonly outputs: readonly { readonly name: string; readonly binary: boolean }[];
  readonly deadline: number;
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Answers an inference. Throws Refusal. */
export async function infer(question: InferQuestion, model: Model, facts: ModelFacts): Promise<Reply> {
  const started = performance.now();
  const received = Date.now();
  const bytes = unpacked(question.bytes, question.encoding, question.limits.bytes);
  const request = read(bytes, question, facts, received);
  const understood = performance.now();
  const results: Record<string, Tensor>[] = [];
  for (const tensor of request.tensors) {
    if (Date.now() > request.deadline)
      throw new Refusal(504, "the time of the request was over before it was computed");
    results.push(await run(model, facts, tensor));
  }
  const computed = performance.now();
  const reply = answer(request, results, facts);
  const times = {
    decode: understood - started,
    run: computed - understood,
    encode: performance.now() - computed,
  };
  return { ...reply, times, pictures: request.tensors.length };
}

async function run(model: Model, facts: ModelFacts, tensor: Tensor): Promise<Record<string, Tensor>> {
  try {
    return await model.run({ [facts.input.name]: tensor });
  } catch (error) {
    if (error instanceof NcnnkitError) throw new Refusal(400, error.message);
    throw error;
  }
}

function read(
  bytes: Uint8Array<ArrayBuffer>,
  { headerLength, deadline, limits }: InferQuestion,
  facts: ModelFacts,
  received: number,
): Request {
  if (headerLength === 0) return rawRequest(bytes, facts, deadline);
  const length = headerLength ?? bytes.length;
  if (length > bytes.length) {
    throw new Refusal(
      400,
      `inference-header-content-length is ${length}, but the body has ${bytes.length} bytes`,
    );
  }
  const parsed = inferRequest.safeParse(jsonOf(bytes.subarray(0, length)));
  if (!parsed.success) throw new Refusal(400, `inference request: ${complaintOf(parsed.error)}`);
  const { id, inputs, outputs, parameters } = parsed.data;
  const [input] = inputs;
  const at = `input ${JSON.stringify(input.name)}`;
  if (input.name !== facts.input.name) {
    throw new Refusal(400, `${at}: ${facts.name} has one input, "${facts.input.name}"`);
  }
  const { batch, batched } = batchOf(input.shape, facts, limits.pictures);
  const count = input.shape.reduce((product, side) => product * side, 1);
  const size = input.parameters?.binary_data_size;
  const behind = bytes.subarray(length);
  if ((size ?? 0) !== behind.length) {
    const told = size === undefined ? "no binary_data_size" : `binary_data_size ${size}`;
    throw new Refusal(400, `${at}: ${told}, but ${behind.length} bytes are behind the JSON`);
  }
  if (size !== undefined && input.data !== undefined) {
    throw new Refusal(400, `${at}: both data and binary_data_size; expected one of them`);
  }
  const values = size === undefined ? numbersOf(input.data, count, at) : floatsOf(behind, count, at);
  return {
    id,
    batched,
    tensors: split(values, batch, facts),
    outputs: outputsOf(outputs, parameters?.binary_data_output ?? false, facts),
    deadline: Math.min(deadline, received + (parameters?.timeout ?? Number.POSITIVE_INFINITY) / 1000),
  };
}

/** Triton's raw request: the body is the only input, one picture of it, and outputs come back as bytes. */
function rawRequest(bytes: Uint8Array<ArrayBuffer>, facts: ModelFacts, deadline: number): Request {
  const count = facts.input.shape.reduce((product, side) => product * side, 1);
  const values = floatsOf(bytes, count, `input "${facts.input.name}"`);
  const outputs = outputsOf(undefined, true, facts);
  return { id: undefined, batched: true, tensors: split(values, 1, facts), outputs, deadline };
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new Refusal(400, `inference request: no JSON: ${(error as Error).message}`);
  }
}

function batchOf(
  shape: readonly number[],
  { name, input }: ModelFacts,
  most: number,
): { batch: number; batched: boolean } {
  const batched = shape.length === input.shape.length + 1;
  const own = batched ? shape.slice(1) : shape;
  if (own.length !== input.shape.length || own.some((side, i) => side !== input.shape[i])) {
    const written = (sides: readonly number[]): string => `[${sides.join(", ")}]`;
    throw new Refusal(
      400,
      `input "${input.name}": shape ${written(shape)}, but ${name} takes ${written(input.shape)}, or several of them with their number in front`,
    );
  }
  const batch = batched ? shape[0] : 1;
  if (batch > most) throw new Refusal(413, `a batch of ${batch}; at most ${most} are taken in one request`);
  return { batch, batched };
}

/** Numbers of JSON, flat or nested, without recursion: a client chooses how deep they are. */
function numbersOf(data: unknown, count: number, at: string): Float32Array<ArrayBuffer> {
  if (!Array.isArray(data))
    throw new Refusal(400, `${at}: data is no list of numbers, and there is no binary_data_size`);
  const flat: unknown[] = data.some(Array.isArray) ? data.flat(5) : data;
  if (flat.length !== count) {
    throw new Refusal(400, `${at}: its shape calls for ${count} numbers, found ${flat.length}`);
  }
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const value = flat[i];
    if (typeof value !== "number") throw new Refusal(400, `${at}: value ${i} of data is no number`);
    values[i] = value;
  }
  return values;
}

function floatsOf(bytes: Uint8Array<ArrayBuffer>, count: number, at: string): Float32Array<ArrayBuffer> {
  if (bytes.length !== 4 * count) {
    throw new Refusal(400, `${at}: its shape calls for ${4 * count} bytes, found ${bytes.length}`);
  }
  const { buffer, byteOffset } = bytes;
  if (littleEndian && byteOffset % 4 === 0) return new Float32Array(buffer, byteOffset, count);
  const copy = bytes.slice();
  if (littleEndian) return new Float32Array(copy.buffer);
  const view = new DataView(copy.buffer);
  return Float32Array.from({ length: count }, (_, i) => view.getFloat32(4 * i, true));
}

function split(values: Float32Array<ArrayBuffer>, batch: number, { input }: ModelFacts): Tensor[] {
  const size = values.length / batch;
  const shape = [...input.shape];
  return Array.from({ length: batch }, (_, i) => ({
    shape,
    data: values.subarray(i * size, (i + 1) * size),
  }));
}

function outputsOf(
  asked: readonly { name: string; parameters?: { binary_data?: boolean } }[] | undefined,
  binary: boolean,
  { name, outputs }: ModelFacts,
): Request["outputs"] {
  if (!asked?.length) return outputs.map((output) => ({ name: output.name, binary }));
  return asked.map((output) => {
    if (!outputs.some((known) => known.name === output.name)) {
      const known = outputs.map((each) => each.name).join(", ");
      throw new Refusal(400, `output ${JSON.stringify(output.name)}: ${name} gives ${known}`);
    }
    return { name: output.name, binary: output.parameters?.binary_data ?? binary };
  });
}

function answer(
  { id, batched, outputs }: Request,
  results: readonly Record<string, Tensor>[],
  facts: ModelFacts,
): Pick<Reply, "status" | "headers" | "pieces"> {
  const behind: Uint8Array<ArrayBuffer>[] = [];
  const described = outputs.map(({ name, binary }) => {
    const parts = results.map((result) => result[name]);
    const shape = batched ? [parts.length, ...parts[0].shape] : [...parts[0].shape];
    const facts = { name, shape, datatype: "FP32" };
    if (binary) {
      const pieces = parts.map(({ data }) => littleEndianBytes(data));
      behind.push(...pieces);
      return {
        ...facts,
        parameters: { binary_data_size: pieces.reduce((sum, { length }) => sum + length, 0) },
      };
    }
    const data = parts.flatMap(({ data }) => [...data]);
    if (!data.every(Number.isFinite)) {
      throw new Refusal(
        500,
        `output "${name}" has values that JSON cannot hold (infinite or not a number): ask for binary_data`,
      );
    }
    return { ...facts, data };
  });
  const json = new TextEncoder().encode(
    JSON.stringify({ model_name: facts.name, model_version: modelVersion, id, outputs: described }),
  );
  if (!behind.length) return { status: 200, headers: { "content-type": "application/json" }, pieces: [json] };
  const headers = {
    "content-type": "application/octet-stream",
    "inference-header-content-length": String(json.length),
  };
  return { status: 200, headers, pieces: [json, ...behind] };
}

/** Of values that are no one else's: the engine gives copies. */
function littleEndianBytes(data: Tensor["data"]): Uint8Array<ArrayBuffer> {
  const values = data instanceof Float32Array ? data : Float32Array.from(data);
  if (littleEndian) return new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);
  const view = new DataView(new ArrayBuffer(values.byteLength));
  for (const [i, value] of values.entries()) view.setFloat32(4 * i, value, true);
  return new Uint8Array(view.buffer);
}
