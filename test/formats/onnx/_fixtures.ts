/** The committed ONNX files with what onnxruntime computes for them, and ways to damage files. */
import { readFileSync } from "node:fs";
import { unzipSync } from "fflate";
import { NcnnkitError } from "../../../src/base/errors.ts";
import type { Random } from "../../../src/base/random.ts";
import {
  type OnnxModel,
  readOnnx,
  readOnnxModel,
  supportedOperators,
  writeOnnx,
} from "../../../src/formats/onnx/index.ts";

export interface Sample {
  readonly name: string;
  readonly shape: number[];
  /** `values` are every step-th element. */
  readonly step: number;
  readonly values: number[];
}
export interface Fixture {
  readonly file: string;
  readonly network: string;
  readonly exporter: string;
  readonly opset: number;
  readonly input: { readonly name: string; readonly shape: number[] };
  readonly seed: number;
  readonly outputs: Sample[];
  /** The network at another input size. */
  readonly other?: { readonly shape: number[]; readonly outputs: Sample[] };
  readonly bytes: Uint8Array;
}

/** Made by scripts/onnx-fixtures.py. */
export function fixtures(): Fixture[] {
  const archive = unzipSync(readFileSync(new URL("./data/fixtures.zip", import.meta.url)));
  const index = JSON.parse(new TextDecoder().decode(archive["index.json"])) as Omit<Fixture, "bytes">[];
  return index.map((entry) => ({ ...entry, bytes: archive[entry.file] }));
}

/** What onnxsim makes of each network, by file, with kernels of zeros. Made by scripts/onnx-fixtures.py. */
export function simplifiedByOnnxsim(): Record<string, Uint8Array> {
  return unzipSync(readFileSync(new URL("./data/simplified.zip", import.meta.url)));
}

/** A copy with a few bytes changed, a piece cut out, doubled or the end cut off. */
export function damage(bytes: Uint8Array, random: Random): Uint8Array {
  let copy = bytes.slice();
  const kind = random.int(0, 9);
  if (kind === 0) copy = copy.slice(0, random.int(0, copy.length));
  else if (kind === 1) {
    const from = random.int(0, copy.length - 1);
    const length = random.int(1, Math.min(64, copy.length - from));
    copy.copyWithin(from, from + length);
    copy = copy.slice(0, copy.length - length);
  } else if (kind === 2) {
    const from = random.int(0, copy.length - 64);
    copy.set(copy.slice(from, from + 64), random.int(0, copy.length - 64));
  } else {
    // Most bytes of a file are weights, where a change means little: change many, or aim at the ends.
    const changes = kind < 6 ? random.int(1, 4) : random.int(5, 60);
    const isNearEnd = random.next() < 0.5;
    for (let i = 0; i < changes; i++) {
      const at = isNearEnd ? random.int(0, Math.min(4000, copy.length - 1)) : random.int(0, copy.length - 1);
      copy[at] = random.next() < 0.5 ? copy[at] ^ (1 << random.int(0, 7)) : random.int(0, 255);
    }
  }
  return copy;
}

/** Numbers that break rules. */
const nasty = [
  -(2 ** 63),
  -(2 ** 31),
  -233,
  -2,
  -1,
  0,
  1,
  2,
  3,
  4,
  5,
  7,
  16,
  1000,
  65536,
  2 ** 31,
  2 ** 40,
  2 ** 62,
];

/** Changes what a valid file says: wiring, attributes, shapes, operators, shape arithmetic. */
export function distort(model: OnnxModel, random: Random): void {
  const { graph } = model;
  const names = [...graph.nodes.flatMap((node) => node.outputs), ...graph.initializers.keys(), "", "nowhere"];
  for (let changes = random.int(1, 3); changes > 0; changes--) {
    const node = random.pick(graph.nodes);
    const kind = random.int(0, 9);
    if (kind === 0) node.inputs[random.int(0, node.inputs.length)] = random.pick(names);
    else if (kind === 1) node.inputs.splice(random.int(0, node.inputs.length), 1);
    else if (kind === 2) node.outputs[random.int(0, node.outputs.length)] = random.pick(names);
    else if (kind === 3) node.opType = random.pick(supportedOperators);
    else if (kind === 4) graph.nodes.splice(graph.nodes.indexOf(node), 1);
    else if (kind === 5) distortShapes(model, random);
    else if (kind === 6) distortConstant(model, random);
    else distortAttribute(node, random);
    if (graph.nodes.length === 0) return;
  }
}

function distortShapes({ graph }: OnnxModel, random: Random): void {
  graph.inputs = graph.inputs.map((info) => {
    const shape = [...(info.shape ?? [])];
    const at = random.int(0, shape.length);
    if (random.next() < 0.2) shape.splice(at, 1);
    else shape[at] = Math.abs(random.pick(nasty));
    return { ...info, shape };
  });
}

function distortConstant({ graph }: OnnxModel, random: Random): void {
  if (graph.initializers.size === 0) return;
  const [name, tensor] = random.pick([...graph.initializers]);
  const data = tensor.data.slice();
  const dims = [...tensor.dims];
  const kind = random.int(0, 3);
  if (kind === 0) dims.reverse();
  else if (kind === 1) dims.splice(random.int(0, dims.length), 0, 1);
  else data[random.int(0, data.length)] = random.pick(nasty);
  graph.initializers.set(name, { ...tensor, dims, data });
}

function distortAttribute(node: OnnxModel["graph"]["nodes"][number], random: Random): void {
  const found = Object.entries(node.attributes);
  if (found.length === 0) return;
  const [name, attribute] = random.pick(found);
  if (random.next() < 0.2) delete node.attributes[name];
  else if (attribute.kind === "int") node.attributes[name] = { kind: "int", value: random.pick(nasty) };
  else if (attribute.kind === "float")
    node.attributes[name] = { kind: "float", value: random.pick([0, -1, 1e30]) };
  else if (attribute.kind === "string") node.attributes[name] = { kind: "string", value: "whatever" };
  else if (attribute.kind === "ints") {
    const value = [...attribute.value];
    if (random.next() < 0.3) value.splice(random.int(0, value.length), 1);
    else value[random.int(0, value.length)] = random.pick(nasty);
    node.attributes[name] = { kind: "ints", value };
  }
}

export type Outcome = { readonly kind: string; readonly error?: unknown };

/** A damaged copy of one kind or the other. */
export function spoil(bytes: Uint8Array, random: Random): Uint8Array {
  if (random.next() < 0.3) return damage(bytes, random);
  const model = readOnnxModel(bytes, "fixture");
  distort(model, random);
  return writeOnnx(model);
}

/** Converts: `converted`, the class of the kit's error, or `defect`. */
export function outcomeOf(bytes: Uint8Array): Outcome {
  try {
    readOnnx(bytes, "fuzz.onnx", { inputSize: { width: 64, height: 64 } });
    return { kind: "converted" };
  } catch (error) {
    return error instanceof NcnnkitError ? { kind: error.name, error } : { kind: "defect", error };
  }
}
