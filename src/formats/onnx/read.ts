/**
 * ONNX bytes to `OnnxModel`. Field numbers from onnx.proto; fields that are not listed are skipped.
 * Accepted: opset 9 and newer, tensors in `raw_data`, typed fields or external files.
 */
import { FormatError, inContext, UnsupportedError } from "../../base/errors.ts";
import { type ElementType, elementTypeOf, elementTypes, fromNumbers, fromRaw } from "./elements.ts";
import { type ExternalData, readExternal } from "./external.ts";
import { inlineFunctions, type OnnxFunction } from "./functions.ts";
import type {
  Dim,
  OnnxAttribute,
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  OnnxTensor,
  OnnxValueInfo,
} from "./model.ts";
import { WireReader } from "./wire.ts";

/** No tensor of a real model is near this. */
const maxElements = 2 ** 31;
export const oldestOpset = 9;

interface Source {
  readonly wire: WireReader;
  readonly what: string;
  readonly external: ExternalData | undefined;
}

/**
 * Reads a model. `what` names it in errors. `external` gives files that the model refers to by relative path.
 * Throws FormatError for damaged bytes, UnsupportedError for opsets before 9, element types without a meaning here, GraphError for
 * functions that cannot be inlined, InputError for external data that cannot be read.
 */
export function readOnnxModel(bytes: Uint8Array, what: string, external?: ExternalData): OnnxModel {
  const wire = new WireReader(bytes, what);
  const source: Source = { wire, what, external };
  const model: OnnxModel = {
    irVersion: 0,
    producer: "",
    opsets: {},
    metadata: {},
    graph: emptyGraph(),
  };
  const functions: OnnxFunction[] = [];
  let hasGraph = false;
  wire.fields((field) => {
    if (field === 1) model.irVersion = wire.int();
    else if (field === 2) model.producer = wire.string();
    else if (field === 7) {
      model.graph = readGraph(source);
      hasGraph = true;
    } else if (field === 8) {
      const [domain, version] = readOpset(wire);
      model.opsets[standardDomain(domain)] = version;
    } else if (field === 14) {
      const [key, value] = readEntry(wire);
      model.metadata[key] = value;
    } else if (field === 25) functions.push(readFunction(source));
    else wire.skip();
  });
  if (!hasGraph) throw new FormatError(`${what}: no graph was found; the file is not an ONNX model`);
  inContext(what, () => inlineFunctions(model, functions));
  const opset = model.opsets[""];
  if (opset === undefined || opset < oldestOpset) {
    throw new UnsupportedError(
      `${what}: operator set ${opset ?? "(none)"} is too old, expected ${oldestOpset} or newer; export again with a newer opset`,
    );
  }
  return model;
}

function emptyGraph(): OnnxGraph {
  return { name: "", nodes: [], initializers: new Map(), inputs: [], outputs: [], valueInfo: [] };
}

function readOpset(wire: WireReader): [string, number] {
  let domain = "";
  let version = 0;
  wire.message((field) => {
    if (field === 1) domain = wire.string();
    else if (field === 2) version = wire.int();
    else wire.skip();
  });
  return [domain, version];
}

function readEntry(wire: WireReader): [string, string] {
  let key = "";
  let value = "";
  wire.message((field) => {
    if (field === 1) key = wire.string();
    else if (field === 2) value = wire.string();
    else wire.skip();
  });
  return [key, value];
}

function readFunction(source: Source): OnnxFunction {
  const { wire } = source;
  const result: OnnxFunction = {
    ...{ name: "", domain: "", overload: "", inputs: [], outputs: [] },
    ...{ defaults: {}, opsets: {}, nodes: [] },
  };
  wire.message((field) => {
    if (field === 1) result.name = wire.string();
    else if (field === 4) result.inputs.push(wire.string());
    else if (field === 5) result.outputs.push(wire.string());
    else if (field === 7) result.nodes.push(readNode(source));
    else if (field === 9) {
      const [domain, version] = readOpset(wire);
      result.opsets[standardDomain(domain)] = version;
    } else if (field === 10) result.domain = standardDomain(wire.string());
    else if (field === 11) {
      const [name, value] = readAttribute(source);
      result.defaults[name] = value;
    } else if (field === 13) result.overload = wire.string();
    else wire.skip();
  });
  return result;
}

/** The standard operator set has two spellings. */
const standardDomain = (domain: string): string => (domain === "ai.onnx" ? "" : domain);

function readGraph(source: Source): OnnxGraph {
  const { wire, what } = source;
  const graph = emptyGraph();
  wire.message((field) => {
    if (field === 1) graph.nodes.push(readNode(source));
    else if (field === 2) graph.name = wire.string();
    else if (field === 5) {
      const { name, tensor } = readTensor(source);
      graph.initializers.set(name, tensor);
    } else if (field === 11) graph.inputs.push(readValueInfo(wire));
    else if (field === 12) graph.outputs.push(readValueInfo(wire));
    else if (field === 13) graph.valueInfo.push(readValueInfo(wire));
    else if (field === 15) throw new UnsupportedError(`${what}: sparse initializers are not supported`);
    else wire.skip();
  });
  graph.inputs = graph.inputs.filter((input) => !graph.initializers.has(input.name));
  return graph;
}

function readNode(source: Source): OnnxNode {
  const { wire } = source;
  const node: OnnxNode = { name: "", opType: "", domain: "", inputs: [], outputs: [], attributes: {} };
  wire.message((field) => {
    if (field === 1) node.inputs.push(wire.string());
    else if (field === 2) node.outputs.push(wire.string());
    else if (field === 3) node.name = wire.string();
    else if (field === 4) node.opType = wire.string();
    else if (field === 5) {
      const [name, value] = readAttribute(source);
      node.attributes[name] = value;
    } else if (field === 7) node.domain = standardDomain(wire.string());
    else if (field === 8) node.overload = wire.string();
    else wire.skip();
  });
  return node;
}

const attributeKinds = [
  "",
  "float",
  "int",
  "string",
  "tensor",
  "graph",
  "floats",
  "ints",
  "strings",
] as const;

function readAttribute(source: Source): [string, OnnxAttribute] {
  const { wire } = source;
  let name = "";
  let type = 0;
  let float = 0;
  let int = 0;
  let text = "";
  let reference = "";
  let tensor: OnnxTensor | undefined;
  let graph: OnnxGraph | undefined;
  const floats: number[] = [];
  const ints: number[] = [];
  const strings: string[] = [];
  wire.message((field) => {
    if (field === 1) name = wire.string();
    else if (field === 2) float = wire.float();
    else if (field === 3) int = wire.int();
    else if (field === 4) text = wire.string();
    else if (field === 5) tensor = readTensor(source).tensor;
    else if (field === 6) graph = readGraph(source);
    else if (field === 7) wire.floats(floats);
    else if (field === 8) wire.ints(ints);
    else if (field === 9) strings.push(wire.string());
    else if (field === 20) type = wire.int();
    else if (field === 21) reference = wire.string();
    else wire.skip();
  });
  if (reference) return [name, { kind: "reference", value: reference }];
  switch (attributeKinds[type]) {
    case "float":
      return [name, { kind: "float", value: float }];
    case "int":
      return [name, { kind: "int", value: int }];
    case "string":
      return [name, { kind: "string", value: text }];
    case "floats":
      return [name, { kind: "floats", value: floats }];
    case "ints":
      return [name, { kind: "ints", value: ints }];
    case "strings":
      return [name, { kind: "strings", value: strings }];
    case "tensor":
      return [
        name,
        tensor ? { kind: "tensor", value: tensor } : wire.fail(`attribute ${name} has no tensor`),
      ];
    case "graph":
      return [name, graph ? { kind: "graph", value: graph } : wire.fail(`attribute ${name} has no graph`)];
    default:
      return [name, { kind: "other", value: type }];
  }
}

function readValueInfo(wire: WireReader): OnnxValueInfo {
  let name = "";
  let type: ElementType | undefined;
  let shape: Dim[] | undefined;
  const readDim = (): Dim => {
    let dim: Dim = "";
    wire.message((field) => {
      if (field === 1) {
        dim = wire.int();
        // Some exporters write 0 or a negative number for "unknown".
        if (dim < 0) dim = "";
      } else if (field === 2) dim = wire.string();
      else wire.skip();
    });
    return dim;
  };
  const readTensorType = (field: number): void => {
    if (field === 1) type = elementTypeOf(wire.int());
    else if (field === 2) {
      const dims: Dim[] = [];
      wire.message((inner) => (inner === 1 ? dims.push(readDim()) : wire.skip()));
      shape = dims;
    } else wire.skip();
  };
  wire.message((field) => {
    if (field === 1) name = wire.string();
    else if (field === 2) wire.message((inner) => (inner === 1 ? wire.message(readTensorType) : wire.skip()));
    else wire.skip();
  });
  return { name, type, shape };
}

function readTensor(source: Source): { name: string; tensor: OnnxTensor } {
  const { wire, what } = source;
  let name = "";
  let code = 0;
  let raw: Uint8Array | undefined;
  let isExternal = false;
  const dims: number[] = [];
  const numbers: number[] = [];
  const external = new Map<string, string>();
  wire.message((field) => {
    if (field === 1) wire.ints(dims);
    else if (field === 2) code = wire.int();
    else if (field === 4) wire.floats(numbers);
    else if (field === 5 || field === 7) wire.ints(numbers);
    else if (field === 8) name = wire.string();
    else if (field === 9) raw = wire.bytes();
    else if (field === 10) wire.doubles(numbers);
    else if (field === 11) wire.ints(numbers, false);
    else if (field === 13) external.set(...readEntry(wire));
    else if (field === 14) isExternal = wire.int() === 1;
    else wire.skip();
  });
  const at = `${what}: tensor "${name}"`;
  const type = elementTypeOf(code);
  if (!type) throw new UnsupportedError(`${at}: element type ${code} is not supported`);
  const count = countElements(dims, at);
  const bytes = count * elementTypes[type].bytes;
  if (isExternal) raw = readExternal(external, bytes, at, source.external);
  if (!raw && numbers.length === 0 && count > 0) raw = new Uint8Array(0);
  if (raw) {
    if (raw.length !== bytes) {
      throw new FormatError(
        `${at}: ${raw.length} bytes of data, its shape [${dims}] of ${type} needs ${bytes}`,
      );
    }
    return { name, tensor: { type, dims, data: fromRaw(type, raw) } };
  }
  if (numbers.length !== count) {
    throw new FormatError(`${at}: ${numbers.length} elements, its shape [${dims}] needs ${count}`);
  }
  // Typed fields keep half floats as bit patterns in int32_data.
  const isBits = type === "float16" || type === "bfloat16";
  const data = isBits ? Uint16Array.from(numbers) : fromNumbers(type, numbers);
  return { name, tensor: { type, dims, data } };
}

function countElements(dims: readonly number[], at: string): number {
  let count = 1;
  for (const dim of dims) {
    if (!(Number.isSafeInteger(dim) && dim >= 0)) throw new FormatError(`${at}: extent ${dim} in its shape`);
    count *= dim;
  }
  if (count > maxElements)
    throw new FormatError(`${at}: shape [${dims}] is larger than ${maxElements} elements`);
  return count;
}
