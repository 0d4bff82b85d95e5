/**
 * Binary `.param.bin` (what ncnn2mem writes) <-> Graph. Names are not in the file: blobs are called by their index.
 * Source: ncnn tools/ncnn2mem.cpp, src/net.cpp.
 */
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { bitsToF32, f32ToBits } from "../../base/fp16.ts";
import { Graph, type Node, verify } from "../../ir/graph.ts";
import { commonParams, type Op, type ParamSpecs, type Params, type ParamValue } from "../../ir/op.ts";
import { allOps, ops } from "../../ops/index.ts";
import { paramSpec } from "./param-text.ts";
import { dropSplits, withSplits } from "./split.ts";

const magic = 7767517;
const endOfParams = -233;
const arrayBase = -23300;
const stringBase = -23400;

export function isBinaryParam(bytes: Uint8Array): boolean {
  return bytes.length >= 12 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) === magic;
}

/** Graph of a binary param file, without weights. Throws FormatError, GraphError. */
export function parseBinaryParam(bytes: Uint8Array, where = "param.bin"): Graph {
  const reader: ByteReader = new ByteReader(bytes, where);
  if (reader.i32("magic") !== magic) reader.fail(`not a binary ncnn param file: magic is not ${magic}`, 0);
  const layerCount = reader.payFor(reader.i32("layer count"), 16, "layer count");
  const blobCount = reader.i32("blob count");
  if (layerCount === 0 || blobCount <= 0) reader.fail("layer and blob count must not be 0");
  const byIndex = new Map(allOps.map((op) => [op.typeIndex, op]));
  const graph = new Graph();
  for (let i = 0; i < layerCount; i++) {
    const at = reader.offset;
    const typeIndex = reader.i32("layer type");
    const op = byIndex.get(typeIndex);
    if (!op) reader.fail(`layer ${i}: unknown layer type index ${typeIndex}`, at);
    const inputCount = reader.payFor(reader.i32("bottom count"), 4, "bottom count");
    const outputCount = reader.payFor(reader.i32("top count"), 4, "top count");
    const blob = (): string => {
      const index = reader.i32("blob index");
      if (index < 0 || index >= blobCount) reader.fail(`layer ${i}: blob index ${index} of ${blobCount}`);
      return String(index);
    };
    const inputs = Array.from({ length: inputCount }, blob);
    const outputs = Array.from({ length: outputCount }, blob);
    graph.add({ type: op.type, name: `layer${i}`, inputs, outputs, params: readParams(reader, op, i) });
  }
  if (reader.remaining > 0) reader.fail(`${reader.remaining} bytes are left after the last layer`);
  dropSplits(graph);
  verify(graph, ops, { weights: false });
  return graph;
}

function readParams(reader: ByteReader, op: Op, layer: number): Params {
  const params: Params = {};
  for (;;) {
    const at = reader.offset;
    const key = reader.i32("parameter id");
    if (key === endOfParams) return params;
    const id = key <= stringBase ? stringBase - key : key <= arrayBase ? arrayBase - key : key;
    const known = paramSpec(op, id);
    if (!known) reader.fail(`layer ${layer} (${op.type}): unknown parameter ${id}`, at);
    const [name, { kind }] = known;
    params[name] = key <= stringBase ? readString(reader) : readNumbers(reader, kind, key <= arrayBase);
  }
}

function readString(reader: ByteReader): string {
  const length = reader.payFor(reader.i32("string length"), 1, "string length");
  const text = new TextDecoder().decode(reader.raw(length, "string"));
  reader.skip((4 - (length % 4)) % 4, "string padding");
  return text;
}

function readNumbers(reader: ByteReader, kind: string, isArray: boolean): ParamValue {
  const isFloat = kind === "float" || kind === "floats";
  const one = (): number => (isFloat ? bitsToF32(reader.u32("value")) : reader.i32("value"));
  if (isArray !== (kind === "ints" || kind === "floats"))
    reader.fail(`expected ${kind}, found ${isArray ? "an array" : "one number"}`);
  if (!isArray) return one();
  const count = reader.payFor(reader.i32("array length"), 4, "array length");
  return Array.from({ length: count }, one);
}

/** The binary form of a graph; names are lost, as in ncnn. */
export function writeBinaryParam(graph: Graph): Uint8Array {
  const nodes = withSplits(graph);
  const index = new Map<string, number>();
  for (const node of nodes) for (const blob of node.outputs) index.set(blob, index.size);
  const writer = new ByteWriter().i32(magic).i32(nodes.length).i32(index.size);
  for (const node of nodes) {
    const op = ops.get(node.type)!;
    writer.i32(op.typeIndex).i32(node.inputs.length).i32(node.outputs.length);
    for (const blob of [...node.inputs, ...node.outputs]) writer.i32(index.get(blob)!);
    writeParams(writer, node, op);
    writer.i32(endOfParams);
  }
  return writer.finish();
}

function writeParams(writer: ByteWriter, node: Node, op: Op): void {
  const specs: ParamSpecs = { ...op.params, ...commonParams };
  for (const [name, value] of Object.entries(node.params)) {
    const { id, kind } = specs[name];
    const number = (v: number): unknown =>
      writer.u32(kind === "float" || kind === "floats" ? f32ToBits(v) : v >>> 0);
    if (typeof value === "string") {
      const bytes = new TextEncoder().encode(value);
      writer
        .i32(stringBase - id)
        .i32(bytes.length)
        .raw(bytes)
        .align(4);
    } else if (typeof value === "number") {
      writer.i32(id);
      number(value);
    } else {
      writer.i32(arrayBase - id).i32(value.length);
      value.forEach(number);
    }
  }
}
