/**
 * A program without what it was planned from: module, memory, and where inputs and outputs lie. Kept in a store, it makes a network in a
 * fraction of the time that planning, packing and emitting take.
 */
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { version } from "../../base/version.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Shape } from "../../ir/tensor.ts";
import { weightBytes } from "../../ir/weight.ts";
import type { ModuleStore, PixelInput } from "../backend.ts";
import type { OutputView } from "../lower/views.ts";
import { floatOf } from "../representations.ts";
import type { CompiledPlan } from "./module.ts";
import type { Plan } from "./records.ts";
import type { PlanTarget } from "./target.ts";

/** Float32 numbers side by side, as an output. */
export interface DenseOutput {
  readonly kind: "dense";
  readonly address: number;
  readonly length: number;
  readonly shape: Shape;
}

export type ImageOutput = DenseOutput | Extract<OutputView, { kind: "int8" }>;

/** What a program needs to run. */
export interface Image extends Pick<Plan, "inputs" | "filledBorders" | "pixels">, CompiledPlan {
  readonly outputs: ReadonlyMap<string, ImageOutput>;
  readonly chunks: Plan["staticData"]["chunks"];
}

export function imageOf(plan: Plan, compiled: CompiledPlan): Image {
  const { inputs, filledBorders, pixels, staticData } = plan;
  const outputs = [...plan.outputs].map(([blob, view]): [string, ImageOutput] => {
    if (view.kind === "int8") return [blob, view];
    const { kind, value, shape } = view;
    return [blob, { kind, address: floatOf(value).address, length: value.channels, shape }];
  });
  const { chunks } = staticData;
  return { ...compiled, inputs, filledBorders, pixels, outputs: new Map(outputs), chunks };
}

/** Bytes of all weights: an image is hardly smaller. */
const weightsOf = ({ nodes }: Graph): number =>
  nodes
    .flatMap(({ weights }) => Object.values(weights))
    .reduce((sum, weight) => sum + weightBytes(weight), 0);

/** The store, if a network is not too large for it. */
export const storeFor = (store: ModuleStore | undefined, graph: Graph): ModuleStore | undefined =>
  store && weightsOf(graph) <= store.most ? store : undefined;

/** Layers in JavaScript, and integers that are handed out, need what the plan knows. */
const canBeKept = ({ segments, outputs, chunks }: Image, { most }: ModuleStore): boolean =>
  chunks.reduce((sum, { bytes }) => sum + bytes.length, 0) <= most &&
  segments.every(({ reference }) => reference === undefined) &&
  [...outputs.values()].every(({ kind }) => kind === "dense");

/** Everything that a program follows from, as a number. */
export async function imageKey(
  store: ModuleStore,
  graph: Graph,
  shapes: Record<string, Shape>,
  outputs: readonly string[],
  target: PlanTarget,
  source: PixelInput | undefined,
): Promise<string> {
  const bytesOf = (view: ArrayBufferView): Uint8Array =>
    new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const nodes = graph.nodes.map(async ({ name, type, inputs, outputs, params, weights }) => {
    const digests = Object.entries(weights).map(async ([weight, { storage, data, ...more }]) => {
      const codebook = "codebook" in more ? await store.digest(bytesOf(more.codebook)) : "";
      return [weight, storage, await store.digest(bytesOf(data)), codebook];
    });
    return [name, type, inputs, outputs, params, await Promise.all(digests)];
  });
  const levels = source && [source.blob, source.levels.mix, source.levels.values.map((list) => [...list])];
  const facts = [version, store.maker, target, shapes, outputs, levels, await Promise.all(nodes)];
  // Infinity and NaN are nothing in JSON.
  const text = JSON.stringify(facts, (_, value) =>
    typeof value === "number" && !Number.isFinite(value) ? String(value) : value,
  );
  return store.digest(new TextEncoder().encode(text));
}

/** `magic` (8 bytes), SHA-256 of all behind it (64 hexadecimal digits), and then the image. */
const magic = "ncnnwasm";
const headBytes = magic.length + 64;
const utf8 = new TextEncoder();

/** Stores an image under a key. What goes wrong is nobody's concern: the next start plans again. */
export async function keepImage(store: ModuleStore, key: string, image: Image): Promise<void> {
  if (!canBeKept(image, store)) return;
  try {
    const body = encode(image);
    const entry = new ByteWriter();
    entry
      .raw(utf8.encode(magic))
      .raw(utf8.encode(await store.digest(body)))
      .raw(body);
    await store.write(key, entry.finish());
  } catch {}
}

/** The image of a key; nothing where there is none, or it is damaged. */
export async function keptImage(store: ModuleStore, key: string): Promise<Image | undefined> {
  try {
    const entry = await store.read(key);
    if (!entry) return undefined;
    const body = entry.subarray(headBytes);
    const head = new TextDecoder().decode(entry.subarray(0, headBytes));
    return head === magic + (await store.digest(body)) ? decode(body) : undefined;
  } catch {
    return undefined;
  }
}

/** Length of a text, the text (JSON), and the bytes that it tells of. */
function encode(image: Image): Uint8Array {
  const { bytes, constants, chunks, inputs, outputs, filledBorders, pixels, segments, pages } = image;
  const facts = {
    ...{ pixels, segments, pages, inputs: [...inputs], outputs: [...outputs] },
    // Infinity is nothing in JSON.
    filledBorders: filledBorders.map(({ fill, ...rest }) => ({ ...rest, fill: String(fill) })),
    ...{ bytes: bytes.length, constants: [...constants] },
    chunks: chunks.map(({ address, bytes }) => [address, bytes.length]),
  };
  const text = utf8.encode(JSON.stringify(facts));
  const out = new ByteWriter().u32(text.length).raw(text).raw(bytes);
  for (const chunk of chunks) out.raw(chunk.bytes);
  return out.finish();
}

function decode(body: Uint8Array): Image {
  const reader = new ByteReader(body, "image");
  const text = new TextDecoder().decode(reader.raw(reader.u32("length"), "text"));
  const facts = JSON.parse(text) as Omit<
    Image,
    "inputs" | "outputs" | "bytes" | "chunks" | "constants" | "filledBorders"
  > & {
    filledBorders: (Omit<Plan["filledBorders"][number], "fill"> & { fill: string })[];
    inputs: [string, { address: number; shape: Shape }][];
    outputs: [string, DenseOutput][];
    bytes: number;
    constants: number[];
    chunks: [number, number][];
  };
  const { inputs, outputs, constants } = facts;
  const bytes = reader.raw(facts.bytes, "module") as Uint8Array<ArrayBuffer>;
  const chunks = facts.chunks.map(([address, length]) => ({ address, bytes: reader.raw(length, "data") }));
  return {
    ...facts,
    ...{ inputs: new Map(inputs), outputs: new Map(outputs), bytes, chunks },
    constants: Int32Array.from(constants),
    filledBorders: facts.filledBorders.map(({ fill, ...rest }) => ({ ...rest, fill: Number(fill) })),
  };
}
