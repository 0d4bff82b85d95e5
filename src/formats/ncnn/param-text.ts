/**
 * `.param` text <-> Graph. Source: ncnn src/paramdict.cpp, src/net.cpp, tools/modelwriter.h.
 *
 * Normalisations when a file that was read is written again: floats are spelled as `printFloat` says, arrays in the
 * `-23300` form, columns as ncnnoptimize pads them (24), and lines beyond the declared layer count are gone. The order of
 * a layer's parameters and parameters that equal the default are kept.
 */
import { expectKind } from "../../base/arguments.ts";
import { FormatError, inContext, UnsupportedError } from "../../base/errors.ts";
import { Graph, type Node, verify } from "../../ir/graph.ts";
import {
  commonParams,
  type Op,
  type ParamSpec,
  type ParamSpecs,
  type Params,
  type ParamValue,
} from "../../ir/op.ts";
import { ops } from "../../ops/index.ts";
import { isFloatSpelling, parseFloat32, parseInteger, printFloat } from "./number-text.ts";
import { dropSplits, withSplits } from "./split.ts";

const magic = "7767517";
const arrayBase = -23300;
const maxNameLength = 255;
/** More layers than any network has; keeps a hostile count from costing memory. */
const maxLayers = 1_000_000;

/** A layer's parameter specs by id, the common ones included. */
const specsById = new Map<Op, Map<number, [name: string, spec: ParamSpec]>>();
export function paramSpec(op: Op, id: number): [name: string, spec: ParamSpec] | undefined {
  let byId = specsById.get(op);
  if (!byId) {
    byId = new Map();
    for (const [name, spec] of Object.entries({ ...op.params, ...commonParams }))
      byId.set(spec.id, [name, spec]);
    specsById.set(op, byId);
  }
  return byId.get(id);
}

/** Whitespace-separated tokens with their line; quoted strings may hold spaces. */
class Tokens {
  private readonly pattern = /(?:[^\s"]|"[^"]*")+/g;
  private readonly text: string;
  private line = 1;
  private seenTo = 0;
  private ahead: string | undefined;

  constructor(text: string) {
    this.text = text;
    this.advance();
  }
  private advance(): void {
    const match = this.pattern.exec(this.text);
    this.ahead = match?.[0];
    const end = match ? match.index : this.text.length;
    for (let i = this.seenTo; i < end; i++) if (this.text.charCodeAt(i) === 10) this.line++;
    this.seenTo = end;
  }
  peek(): string | undefined {
    return this.ahead;
  }
  next(what: string): string {
    const token = this.ahead;
    if (token === undefined) this.fail(`the text ends where ${what} is expected`);
    this.advance();
    return token;
  }
  count(what: string, most: number): number {
    const token = this.next(what);
    const value = parseInteger(token);
    if (value === undefined || value < 0 || value > most) {
      this.fail(`${what} is "${token}", expected a whole number from 0 to ${most}`);
    }
    return value;
  }
  fail(message: string): never {
    throw new FormatError(`line ${this.line}: ${message}`);
  }
}

/**
 * Graph of a `.param` text, without weights. `where` names it in errors. `warn` takes a sentence for everything in the text
 * that native ncnn lets pass and that had to be changed. Throws FormatError, GraphError.
 */
export function parseParam(text: string, where = "param", warn?: (message: string) => void): Graph {
  expectKind("parseParam: where", where, "a string");
  return inContext(where, () => readGraph(new Tokens(text), warn));
}

function readGraph(tokens: Tokens, warn?: (message: string) => void): Graph {
  const found = tokens.next("the magic number");
  if (found !== magic) {
    tokens.fail(`starts with "${found.slice(0, 40)}", expected ${magic}: this is not an ncnn .param text`);
  }
  const layerCount = tokens.count("the layer count", maxLayers);
  const blobCount = tokens.count("the blob count", maxLayers);
  if (layerCount === 0 || blobCount === 0) tokens.fail("layer and blob count must not be 0");
  const graph = new Graph();
  const blobs = new Set<string>();
  for (let i = 0; i < layerCount; i++) {
    const node = readNode(tokens);
    for (const blob of node.outputs) blobs.add(blob);
    graph.nodes.push(node);
  }
  if (blobs.size > blobCount) {
    tokens.fail(`the layers have ${blobs.size} blobs, but the header declares ${blobCount}`);
  }
  makeNamesUnique(graph, warn);
  dropSplits(graph);
  verify(graph, ops, { weights: false });
  return graph;
}

/** Native ncnn never looks a layer up by its name, so files with equal names work there. The first one keeps its name. */
function makeNamesUnique({ nodes }: Graph, warn?: (message: string) => void): void {
  const taken = new Set(nodes.map((node) => node.name));
  if (taken.size === nodes.length) return;
  const seen = new Set<string>();
  const numbers = new Map<string, number>();
  const renamed: string[] = [];
  for (const node of nodes) {
    const { name } = node;
    if (seen.has(name)) {
      const stem = name.slice(0, maxNameLength - 15);
      let number = numbers.get(stem) ?? 1;
      while (taken.has(`${stem}_${number}`)) number++;
      numbers.set(stem, number);
      node.name = `${stem}_${number}`;
      taken.add(node.name);
      renamed.push(`${node.type} "${name}" is now "${node.name}"`);
    }
    seen.add(node.name);
  }
  const more = renamed.length > 3 ? ` and ${renamed.length - 3} more` : "";
  warn?.(`several layers have one name: ${renamed.slice(0, 3).join(", ")}${more}`);
}

function readNode(tokens: Tokens): Node {
  const type = tokens.next("a layer type");
  const op = ops.get(type);
  if (!op) {
    if (/^[-\d]+=/.test(type)) tokens.fail(`stray parameter ${type}`);
    tokens.fail(
      `unknown layer type "${type}"; a custom layer is code of the program that the file was made for: replace it by layers of ncnn`,
    );
  }
  const name = nameToken(tokens, "a layer name");
  const inputCount = tokens.count(`the bottom count of "${name}"`, 4096);
  const outputCount = tokens.count(`the top count of "${name}"`, 4096);
  const inputs = Array.from({ length: inputCount }, () => nameToken(tokens, `a bottom of "${name}"`));
  const outputs = Array.from({ length: outputCount }, () => nameToken(tokens, `a top of "${name}"`));
  const params: Params = {};
  for (let token = tokens.peek(); token !== undefined && /^-?\d+=/.test(token); token = tokens.peek()) {
    const at = token.indexOf("=");
    const [param, value] = readParam(tokens, op, name, Number(token.slice(0, at)), token.slice(at + 1));
    params[param] = value;
    tokens.next("a parameter");
  }
  return { type, name, inputs, outputs, params, weights: {} };
}

function nameToken(tokens: Tokens, what: string): string {
  const token = tokens.next(what);
  if (token.length > maxNameLength)
    tokens.fail(`${what} has ${token.length} characters, at most ${maxNameLength} are legal`);
  return token;
}

function readParam(tokens: Tokens, op: Op, node: string, key: number, text: string): [string, ParamValue] {
  const oldArray = key <= arrayBase;
  const id = oldArray ? arrayBase - key : key;
  const known = paramSpec(op, id);
  const at = `layer ${op.type} "${node}": parameter ${id}`;
  if (!known) {
    const list = Object.entries(op.params).map(([name, spec]) => `${spec.id} ${name}`);
    tokens.fail(`${at} is unknown; this layer has ${list.join(", ") || "none"}`);
  }
  const [name, spec] = known;
  const pieces = text.replace(/,$/, "").split(",");
  if (spec.kind === "string") return [name, text.replace(/^"|"$/g, "")];
  const isArray = spec.kind === "ints" || spec.kind === "floats";
  if (oldArray) {
    if (!isArray) tokens.fail(`${at} (${name}) is a single number, found an array`);
    const count = parseInteger(pieces[0]);
    if (count !== pieces.length - 1) {
      tokens.fail(`${at} (${name}) declares ${pieces[0]} elements, but ${pieces.length - 1} follow`);
    }
    pieces.shift();
  } else if (!isArray && pieces.length > 1) {
    tokens.fail(`${at} (${name}) is a single number, found "${text}"`);
  }
  const isFloat = spec.kind === "float" || spec.kind === "floats";
  const values = pieces.map((piece) => {
    const value = isFloat ? parseFloat32(piece) : parseInteger(piece);
    if (value === undefined) {
      const hint =
        !isFloat && isFloatSpelling(piece) ? " (native ncnn would read the bits of the float)" : "";
      tokens.fail(`${at} (${name}) is "${piece}", expected ${isFloat ? "a float" : "an integer"}${hint}`);
    }
    return value;
  });
  return [name, isArray ? values : values[0]];
}

/** The `.param` text of a graph, as ncnnoptimize writes it. Throws UnsupportedError for names that ncnn cannot hold. */
export function printParam(graph: Graph): string {
  expectKind("printParam: graph", graph, "a graph");
  const nodes = withSplits(graph);
  const blobs = new Set(nodes.flatMap((node) => node.outputs));
  const lines = nodes.map(printNode);
  return `${magic}\n${nodes.length} ${blobs.size}\n${lines.join("\n")}\n`;
}

function printNode(node: Node): string {
  for (const name of [node.name, ...node.inputs, ...node.outputs]) {
    if (name.length === 0 || name.length > maxNameLength || /\s/.test(name)) {
      throw new UnsupportedError(
        `"${name}" of layer ${node.type}: ncnn names have 1 to ${maxNameLength} characters and no white space`,
      );
    }
  }
  const counts = `${node.inputs.length} ${node.outputs.length}`;
  const head = `${node.type.padEnd(24)} ${node.name.padEnd(24)} ${counts}`;
  return [head, ...node.inputs, ...node.outputs, ...printParams(node)].join(" ");
}

function printParams(node: Node): string[] {
  const op = ops.get(node.type)!;
  const specs: ParamSpecs = { ...op.params, ...commonParams };
  return Object.entries(node.params).map(([name, value]) => {
    const { id, kind } = specs[name];
    if (kind === "ints" || kind === "floats") {
      const values = value as readonly number[];
      const texts = values.map((v) => (kind === "floats" ? printFloat(v) : String(v)));
      return `${arrayBase - id}=${[values.length, ...texts].join(",")}`;
    }
    if (kind === "string") return `${id}="${value}"`;
    return `${id}=${kind === "float" ? printFloat(value as number) : value}`;
  });
}
