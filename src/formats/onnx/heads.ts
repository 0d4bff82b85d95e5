/**
 * What a graph says about detection: YOLOv5 heads, with strides from shapes, anchors and labels from decoding code and
 * metadata. A decoding that is part of the graph is cut off, so that it happens outside: raw logits quantize better.
 */
import { allKnown } from "./dims.ts";
import type { OnnxShape } from "./infer.ts";
import { intsAttribute, type OnnxModel, type OnnxNode, type OnnxTensor, tensorNumbers } from "./model.ts";

/** YOLOv5 raw head, see `Yolov5Head` of the manifest; anchors only where the file tells them. */
export interface OnnxHead {
  readonly kind: "yolov5";
  /** The ONNX value `[1, anchors, height, width, 5 + classes]` of logits. */
  readonly blob: string;
  readonly stride: number;
  /** `w0 h0 w1 h1 …` in input pixels. */
  readonly anchors?: number[];
}

export interface OnnxFacts {
  /** Finest stride first. */
  heads?: OnnxHead[];
  labels?: string[];
  inputSize?: { width: number; height: number };
  /** Decoding code was in the graph and has been cut off. */
  decodeRemoved?: boolean;
  /** Why there are no heads, or what about them is missing. */
  notes: string[];
}

/** Finds heads; `model.graph.outputs` is changed when decoding is cut off (dead nodes stay). */
export function recognizeHeads(
  model: OnnxModel,
  shapes: ReadonlyMap<string, OnnxShape>,
  keepDecode = false,
): OnnxFacts {
  const facts: OnnxFacts = { notes: [] };
  const [input] = model.graph.inputs;
  const inputShape = input && shapes.get(input.name);
  if (inputShape?.length === 4 && allKnown(inputShape)) {
    facts.inputSize = { width: inputShape[3], height: inputShape[2] };
  }
  const labels = parseNames(model.metadata.names);
  if (labels) facts.labels = labels;
  const stated = headsFromMetadata(model);
  if (stated) return { ...facts, heads: stated };
  const heads = facts.inputSize ? findHeads(model, shapes, facts.inputSize) : [];
  if (heads.length === 0) {
    facts.notes.push("no YOLOv5 head was recognized: the outputs are kept as they are");
    return facts;
  }
  const raw = new Set(heads.map((head) => head.blob));
  const others = model.graph.outputs.filter(({ name }) => !raw.has(name));
  const reach = reachFrom(model, raw);
  if (!others.every(({ name }) => reach.complete.has(name))) {
    facts.notes.push("outputs do not come from the recognized heads alone: they are kept as they are");
    return facts;
  }
  if (keepDecode && others.length > 0) {
    facts.notes.push("decoding is part of the graph and is kept");
    return facts;
  }
  facts.decodeRemoved = others.length > 0;
  facts.heads = heads.map((head) => {
    const anchors = anchorsFromMetadata(model, heads, head) ?? anchorsOf(model, head, reach.readers);
    return { kind: head.kind, blob: head.blob, stride: head.stride, ...(anchors ? { anchors } : {}) };
  });
  if (facts.heads.some((head) => !head.anchors)) facts.notes.push("the file does not tell the anchors");
  model.graph.outputs = heads.map(
    ({ blob }) => model.graph.outputs.find(({ name }) => name === blob) ?? { name: blob, type: "float32" },
  );
  return facts;
}

interface FoundHead {
  readonly kind: "yolov5";
  readonly blob: string;
  readonly stride: number;
  /** Number of anchors, rows, columns, numbers per box. */
  readonly shape: readonly number[];
}

/** Transposes [1, anchors, 5 + classes, h, w] to [1, anchors, h, w, 5 + classes]. */
function findHeads(
  model: OnnxModel,
  shapes: ReadonlyMap<string, OnnxShape>,
  size: { width: number; height: number },
): FoundHead[] {
  const heads: FoundHead[] = [];
  for (const node of model.graph.nodes) {
    const shape = shapes.get(node.outputs[0]);
    if (node.opType !== "Transpose" || shape?.length !== 5 || !allKnown(shape)) continue;
    if (intsAttribute(node, "perm")?.join() !== "0,1,3,4,2") continue;
    const [, , h, w, numbers] = shape;
    const stride = size.height / h;
    if (stride !== size.width / w || !Number.isInteger(stride) || numbers < 6) continue;
    heads.push({ kind: "yolov5", blob: node.outputs[0], stride, shape: shape.slice(1) });
  }
  return heads.sort((a, b) => a.stride - b.stride);
}

/** Values that depend on nothing but heads and constants, and the readers of every value. */
function reachFrom(
  model: OnnxModel,
  heads: ReadonlySet<string>,
): { complete: Set<string>; readers: Map<string, OnnxNode[]> } {
  const complete = new Set<string>([...heads, ...model.graph.initializers.keys(), ""]);
  const readers = new Map<string, OnnxNode[]>();
  for (const node of model.graph.nodes) {
    for (const name of node.inputs) {
      const list = readers.get(name);
      if (list) list.push(node);
      else readers.set(name, [node]);
    }
    if (node.inputs.every((name) => complete.has(name))) for (const name of node.outputs) complete.add(name);
  }
  return { complete, readers };
}

/** The constant [1, anchors, (h, w | 1, 1), 2] that widths and heights are multiplied with: equal over the grid. */
function anchorsOf(
  model: OnnxModel,
  head: FoundHead,
  readers: ReadonlyMap<string, readonly OnnxNode[]>,
): number[] | undefined {
  const [count] = head.shape;
  const queue = [head.blob];
  const seen = new Set(queue);
  for (let at = 0; at < queue.length && at < 200; at++) {
    for (const node of readers.get(queue[at]) ?? []) {
      const constant = node.inputs.map((name) => model.graph.initializers.get(name)).find((tensor) => tensor);
      if (node.opType === "Mul" && constant) {
        const anchors = gridConstant(constant, count);
        if (anchors) return anchors;
      }
      for (const name of node.outputs) if (!seen.has(name) && queue.push(name)) seen.add(name);
    }
  }
  return undefined;
}

function gridConstant(tensor: OnnxTensor, anchors: number): number[] | undefined {
  const dims = tensor.dims.length === 5 ? tensor.dims.slice(1) : tensor.dims;
  if (dims.length !== 4 || dims[0] !== anchors || dims[3] !== 2 || tensor.data.length < 2 * anchors)
    return undefined;
  const area = dims[1] * dims[2];
  const numbers = tensorNumbers(tensor);
  const result: number[] = [];
  for (let a = 0; a < anchors; a++) {
    for (let k = 0; k < 2; k++) {
      const value = numbers[a * area * 2 + k];
      for (let i = 1; i < area; i++) if (numbers[(a * area + i) * 2 + k] !== value) return undefined;
      result.push(value);
    }
  }
  return result.every((v) => v > 1) ? result : undefined;
}

/** `heads` of the metadata, as `exportOnnx` writes it, where all of them are outputs. */
function headsFromMetadata(model: OnnxModel): OnnxHead[] | undefined {
  const list = parseJson(model.metadata.heads);
  if (!Array.isArray(list) || list.length === 0 || list.length > 64) return undefined;
  const heads: OnnxHead[] = [];
  for (const entry of list as Partial<OnnxHead>[]) {
    const { blob, stride, anchors } = entry ?? {};
    const isOutput = model.graph.outputs.some(({ name }) => name === blob);
    if (entry?.kind !== "yolov5" || blob === undefined || !isOutput) return undefined;
    if (typeof stride !== "number" || !Number.isInteger(stride) || stride < 1) return undefined;
    if (anchors !== undefined && !isPairs(anchors)) return undefined;
    heads.push({ kind: "yolov5", blob, stride, ...(anchors ? { anchors } : {}) });
  }
  return heads.sort((a, b) => a.stride - b.stride);
}

function parseJson(text: string | undefined): unknown {
  if (text === undefined || text.length > 2 ** 20) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isPairs(list: unknown): list is number[] {
  const isList = Array.isArray(list) && list.length >= 2 && list.length % 2 === 0;
  return isList && list.every((v) => typeof v === "number" && v > 0 && Number.isFinite(v));
}

/** `anchors` of the metadata, as `export` writes them: one list `w h w h …` for every head, finest first. */
function anchorsFromMetadata(
  model: OnnxModel,
  heads: readonly FoundHead[],
  head: FoundHead,
): number[] | undefined {
  const lists = parseJson(model.metadata.anchors);
  const list = Array.isArray(lists) && lists.length === heads.length ? lists[heads.indexOf(head)] : undefined;
  return isPairs(list) && list.length === 2 * head.shape[0] ? list : undefined;
}

/** Labels from `names`: a Python dict `{0: 'person', …}` or list as Ultralytics writes it, or JSON. */
export function parseNames(text: string | undefined): string[] | undefined {
  if (text === undefined || text.length > 2 ** 20) return undefined;
  const isDict = text.trim().startsWith("{");
  const names: string[] = [];
  const entry = /(?:["']?(\d+)["']?\s*:\s*)?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')/gy;
  let at = text.search(/[{[]/) + 1;
  if (at === 0) return undefined;
  while (true) {
    entry.lastIndex = at;
    const match = entry.exec(text);
    if (!match || isDict !== (match[1] !== undefined)) return undefined;
    const index = isDict ? Number(match[1]) : names.length;
    if (index !== names.length) return undefined;
    names.push(match[2].slice(1, -1).replace(/\\(.)/g, "$1"));
    at = entry.lastIndex;
    const separator = /\s*(,?)\s*([}\]]?)/y;
    separator.lastIndex = at;
    const end = separator.exec(text);
    if (end?.[2]) return names;
    if (!end?.[1]) return undefined;
    at = separator.lastIndex;
  }
}
