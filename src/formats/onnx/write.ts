/** `OnnxModel` to bytes that `onnx.checker` accepts. */
import { PbfWriter } from "pbf";
import { UnsupportedError } from "../../base/errors.ts";
import { elementTypes, toRaw } from "./elements.ts";
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValueInfo } from "./model.ts";

const attributeCodes = { float: 1, int: 2, string: 3, tensor: 4, graph: 5, floats: 6, ints: 7, strings: 8 };

/** Whole numbers at the edge of int64 are kept inside it: a double cannot hold INT64_MAX. */
const clampInt64 = (x: number): number => Math.min(x, 2 ** 63 - 1024);

/** Serializes a model. Throws UnsupportedError for attributes of kinds that were not read. */
export function writeOnnx(model: OnnxModel): Uint8Array {
  const w = new PbfWriter();
  w.writeVarintField(1, Math.max(model.irVersion, 3));
  w.writeStringField(2, "ncnnkit");
  w.writeMessage(7, writeGraph, model.graph);
  for (const [domain, version] of Object.entries(model.opsets)) {
    w.writeMessage(
      8,
      (_, pbf) => {
        pbf.writeStringField(1, domain);
        pbf.writeVarintField(2, version);
      },
      undefined,
    );
  }
  for (const entry of Object.entries(model.metadata)) w.writeMessage(14, writeEntry, entry);
  return w.finish().slice();
}

function writeEntry([key, value]: [string, string], w: PbfWriter): void {
  w.writeStringField(1, key);
  w.writeStringField(2, value);
}

function writeGraph(graph: OnnxGraph, w: PbfWriter): void {
  for (const node of graph.nodes) w.writeMessage(1, writeNode, node);
  w.writeStringField(2, graph.name || "graph");
  for (const [name, tensor] of graph.initializers) w.writeMessage(5, writeTensor, { name, tensor });
  for (const info of graph.inputs) w.writeMessage(11, writeValueInfo, info);
  for (const info of graph.outputs) w.writeMessage(12, writeValueInfo, info);
  for (const info of graph.valueInfo) if (info.type) w.writeMessage(13, writeValueInfo, info);
}

function writeNode(node: OnnxNode, w: PbfWriter): void {
  for (const name of node.inputs) w.writeStringField(1, name);
  for (const name of node.outputs) w.writeStringField(2, name);
  if (node.name) w.writeStringField(3, node.name);
  w.writeStringField(4, node.opType);
  for (const [name, value] of Object.entries(node.attributes)) {
    w.writeMessage(5, (attribute, pbf) => writeAttribute(name, attribute, pbf, node), value);
  }
  if (node.domain) w.writeStringField(7, node.domain);
}

function writeAttribute(name: string, attribute: OnnxAttribute, w: PbfWriter, node: OnnxNode): void {
  if (attribute.kind === "other" || attribute.kind === "reference") {
    throw new UnsupportedError(`node "${node.name}": attribute ${name} is of a kind that cannot be written`);
  }
  w.writeStringField(1, name);
  switch (attribute.kind) {
    case "float":
      w.writeFloatField(2, attribute.value);
      break;
    case "int":
      w.writeVarintField(3, clampInt64(attribute.value));
      break;
    case "string":
      w.writeStringField(4, attribute.value);
      break;
    case "tensor":
      w.writeMessage(5, writeTensor, { name: "", tensor: attribute.value });
      break;
    case "graph":
      w.writeMessage(6, writeGraph, attribute.value);
      break;
    case "floats":
      for (const value of attribute.value) w.writeFloatField(7, value);
      break;
    case "ints":
      for (const value of attribute.value) w.writeVarintField(8, clampInt64(value));
      break;
    case "strings":
      for (const value of attribute.value) w.writeStringField(9, value);
      break;
  }
  w.writeVarintField(20, attributeCodes[attribute.kind]);
}

function writeTensor({ name, tensor }: { name: string; tensor: OnnxTensor }, w: PbfWriter): void {
  for (const dim of tensor.dims) w.writeVarintField(1, dim);
  w.writeVarintField(2, elementTypes[tensor.type].code);
  if (name) w.writeStringField(8, name);
  w.writeBytesField(9, toRaw(tensor.type, tensor.data));
}

function writeValueInfo(info: OnnxValueInfo, w: PbfWriter): void {
  w.writeStringField(1, info.name);
  const { type, shape } = info;
  if (!type) return;
  const writeShape = (dims: NonNullable<typeof shape>, pbf: PbfWriter): void => {
    for (const dim of dims) {
      const writeDim = (_: unknown, inner: PbfWriter): void => {
        if (typeof dim === "number") inner.writeVarintField(1, dim);
        else if (dim) inner.writeStringField(2, dim);
      };
      pbf.writeMessage(1, writeDim, undefined);
    }
  };
  const writeTensorType = (_: unknown, pbf: PbfWriter): void => {
    pbf.writeVarintField(1, elementTypes[type].code);
    if (shape) pbf.writeMessage(2, writeShape, shape);
  };
  w.writeMessage(2, (_, pbf) => pbf.writeMessage(1, writeTensorType, undefined), undefined);
}
