/**
 * `.bin` weights <-> Graph: the plain concatenation of all layers' weight blocks. Element counts come from the parameters.
 * Source: ncnn src/modelbin.cpp, tools/modelwriter.h.
 */
import { expectKind } from "../../base/arguments.ts";
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { FormatError } from "../../base/errors.ts";
import type { Graph, Node } from "../../ir/graph.ts";
import { resolveParams, type WeightSpec } from "../../ir/op.ts";
import type { Weight } from "../../ir/weight.ts";
import { ops } from "../../ops/index.ts";

const tagF32 = 0;
const tagF16 = 0x01306b47;
const tagI8 = 0x000d4b38;
/** Historic marker of "extra scaled" float32; nothing is scaled. Written back as plain float32. */
const tagF32Scaled = 0x0002c056;
const codebookSize = 256;

function specsOf(node: Node): WeightSpec[] {
  const op = ops.get(node.type)!;
  return op.weights?.(resolveParams(op, node.params)) ?? [];
}

/** Scales say how integers are meant: one that is NaN leaves nothing to compute with. */
const isScale = /(^|_)scales?(_in|_out)?$/;

/** Fills in the weights of a parsed graph from the `.bin` bytes, all of which must be used. Throws FormatError. */
export function readWeights(graph: Graph, bytes: Uint8Array, where = "bin"): void {
  const reader: ByteReader = new ByteReader(bytes, where);
  for (const node of graph.nodes) {
    node.weights = {};
    for (const spec of specsOf(node)) {
      const field = `${spec.name} of ${node.type} "${node.name}" (${spec.count} values)`;
      if (!(Number.isSafeInteger(spec.count) && spec.count >= 0)) reader.fail(`${field}: impossible count`);
      const weight =
        spec.kind === "raw" ? readF32(reader, spec.count, field) : readTagged(reader, spec.count, field);
      if (isScale.test(spec.name) && weight.data.some(Number.isNaN)) {
        reader.fail(`${field} holds NaN, expected numbers`);
      }
      node.weights[spec.name] = weight;
    }
  }
  if (reader.remaining > 0) {
    throw new FormatError(
      `${where}: ${bytes.length} bytes, but the graph explains only ${reader.offset}; this .bin belongs to another .param`,
    );
  }
}

function readF32(reader: ByteReader, count: number, field: string): Weight {
  return { storage: "f32", data: reader.f32Array(count, field) };
}

function readTagged(reader: ByteReader, count: number, field: string): Weight {
  const at = reader.offset;
  const tag = reader.u32(`storage tag of ${field}`);
  const weight = readPayload(reader, tag, count, field, at);
  reader.skip((4 - ((reader.offset - at) % 4)) % 4, `padding of ${field}`);
  return weight;
}

function readPayload(reader: ByteReader, tag: number, count: number, field: string, at: number): Weight {
  if (tag === tagF32 || tag === tagF32Scaled) return readF32(reader, count, field);
  if (tag === tagF16) return { storage: "f16", data: reader.u16Array(count, field) };
  if (tag === tagI8) return { storage: "i8", data: reader.i8Array(count, field) };
  if ((tag & 0xff) + ((tag >>> 8) & 0xff) + ((tag >>> 16) & 0xff) + (tag >>> 24) === 0) {
    reader.fail(`unknown storage tag ${tag} before ${field}`, at);
  }
  const codebook = reader.f32Array(codebookSize, `codebook of ${field}`);
  return { storage: "codebook", codebook, data: reader.raw(count, field).slice(), tag };
}

/** The `.bin` bytes of a graph. Every weight keeps its storage. */
export function writeWeights(graph: Graph): Uint8Array {
  expectKind("writeWeights: graph", graph, "a graph");
  const writer = new ByteWriter();
  for (const node of graph.nodes) {
    for (const spec of specsOf(node)) {
      const weight = node.weights[spec.name];
      if (spec.kind === "raw") writer.array((weight as { data: Float32Array }).data);
      else writeTagged(writer, weight);
    }
  }
  return writer.finish();
}

function writeTagged(writer: ByteWriter, weight: Weight): void {
  switch (weight.storage) {
    case "f32":
      writer.u32(tagF32).array(weight.data);
      break;
    case "f16":
      writer.u32(tagF16).array(weight.data).align(4);
      break;
    case "i8":
      writer.u32(tagI8).array(weight.data).align(4);
      break;
    case "codebook":
      writer.u32(weight.tag).array(weight.codebook).array(weight.data).align(4);
      break;
  }
}
