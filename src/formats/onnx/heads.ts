/**
 * What a graph says about detection: YOLOv5 heads, with strides from shapes, anchors and labels from decoding code and
 * metadata. A decoding that is part of the graph and is YOLOv5's (`decode.ts`) is cut off, so that it happens outside: raw logits
 * quantize better.
 */
import * as z from "zod/mini";
import { blobsOf, type Head, headSchema } from "../../heads/index.ts";
import { type Preprocessing, preprocessingFields } from "../../heads/input.ts";
import { type DecodedHead, type DecodeMatch, matchDecode } from "./decode.ts";
import { allKnown } from "./dims.ts";
import { type Choice, describeChoice, findChoice } from "./ends.ts";
import type { OnnxShape } from "./infer.ts";
import {
  ints,
  intsAttribute,
  makeTensor,
  type OnnxModel,
  type OnnxNode,
  type OnnxValueInfo,
} from "./model.ts";
import { parseNames } from "./names.ts";

/** YOLOv5 raw head, see `Yolov5Head` of the manifest; anchors only where the file tells them. */
export interface OnnxHead {
  readonly kind: "yolov5";
  /** The ONNX value `[1, anchors, height, width, 5 + classes]` of logits; with one anchor the head convolution itself. */
  readonly blob: string;
  readonly stride: number;
  /** `w0 h0 w1 h1 …` in input pixels. */
  readonly anchors?: number[];
}

export interface OnnxFacts {
  /** Finest stride first. */
  heads?: OnnxHead[];
  /** As `exportOnnx` wrote it down. */
  preprocessing?: Preprocessing;
  /** Heads of other kinds, as `exportOnnx` wrote them down. */
  statedHeads?: Head[];
  labels?: string[];
  /** What is odd about the names in the file. */
  namesProblem?: string;
  /** Classes that the heads have. */
  classCount?: number;
  inputSize?: { width: number; height: number };
  /** The file says that ultralytics' package made it. */
  isUltralytics?: boolean;
  /** The network is trained to give one box an object: its end takes the best, and drops none for overlapping. */
  isEndToEnd?: boolean;
  /** Decoding code was in the graph and has been cut off. */
  decodeRemoved?: boolean;
  /** It is known to be something else than a detector of boxes. */
  isOther?: boolean;
  /** The heads are written down in the file. */
  isStated?: boolean;
  /** Why there are no heads, or what about them is missing. */
  notes: string[];
  /** What was changed or taken for granted and should be known, whatever the heads are. */
  warnings: string[];
}

/**
 * Finds heads; where they are, `model.graph` is changed so that its outputs are raw heads (dead nodes stay), and `shapes` to
 * describe what was added.
 */
export function recognizeHeads(
  model: OnnxModel,
  shapes: Map<string, OnnxShape>,
  keepDecode = false,
): OnnxFacts {
  const facts: OnnxFacts = { notes: [], warnings: [] };
  const [input] = model.graph.inputs;
  const inputShape = input && shapes.get(input.name);
  if (inputShape?.length === 4 && allKnown(inputShape)) {
    facts.inputSize = { width: inputShape[3], height: inputShape[2] };
  }
  if (model.metadata.author === "Ultralytics" || /^Ultralytics /.test(model.metadata.description ?? "")) {
    facts.isUltralytics = true;
  }
  const { labels, problem } = parseNames(model.metadata.names);
  if (labels) facts.labels = labels;
  if (problem) facts.namesProblem = problem;
  const preprocessing = z.safeParse(
    z.strictObject(preprocessingFields),
    parseJson(model.metadata.preprocessing),
  );
  if (preprocessing.success) facts.preprocessing = preprocessing.data;
  const stated = headsFromMetadata(model);
  // Heads of YOLOv5 may lack anchors, which are asked for then; others are whole.
  if (stated?.every((head) => head.kind === "yolov5")) return { ...facts, heads: stated, isStated: true };
  if (stated) return { ...facts, statedHeads: stated };
  const choice = keepDecode ? undefined : findChoice(model);
  const dropsOverlaps = choice?.operators.some((name) => /^ArgMax$|^NonZero$|nms|suppression/i.test(name));
  if (model.metadata.end2end === "True" || (choice?.operators.includes("TopK") && !dropsOverlaps)) {
    facts.isEndToEnd = true;
  }
  const outputs = choice?.outputs ?? model.graph.outputs.map(({ name }) => name);
  const match = facts.inputSize ? matchDecode(model, shapes, facts.inputSize, outputs) : { heads: [] };
  if (match.heads.length === 0) {
    if (choice) {
      facts.warnings.push(describeChoice(choice, shapes));
      model.graph.outputs = outputs.map((name) => infoOf(model, name));
    }
    const other = otherThanDetector(match, model, shapes, choice);
    const kept = "the outputs are kept as they are";
    const near = match.nearest === undefined ? "" : ` (nearest: ${match.nearest})`;
    facts.notes.push(other ? `${other}, so ${kept}` : `no detection head was recognized${near}: ${kept}`);
    return { ...facts, ...(other && { isOther: true }) };
  }
  const heads = match.heads.map((head) => ({
    ...head,
    // Without an axis for anchors ncnn would see rows alone; `index.ts` adds the view behind the convolution.
    blob: head.anchorCount === 1 ? head.logits : rawHead(model, shapes, head),
  }));
  facts.decodeRemoved = model.graph.outputs.some(({ name }) => !heads.some(({ blob }) => blob === name));
  if (keepDecode && facts.decodeRemoved) {
    facts.notes.push("decoding is part of the graph and is kept");
    return { ...facts, decodeRemoved: false };
  }
  facts.classCount = heads[0].numbers - 5;
  facts.heads = heads.map(({ blob, stride, anchors, anchorCount }, i) => {
    const known = anchors ?? anchorsFromMetadata(model, heads.length, i, anchorCount);
    return { kind: "yolov5", blob, stride, ...(known ? { anchors: known } : {}) };
  });
  if (facts.heads.some((head) => !head.anchors)) facts.notes.push("the file does not tell the anchors");
  model.graph.outputs = heads.map(({ blob }) => infoOf(model, blob));
  return facts;
}

const infoOf = (model: OnnxModel, name: string): OnnxValueInfo =>
  model.graph.outputs.find((info) => info.name === name) ?? { name, type: "float32" };

/** What `task` of the metadata of Ultralytics means; detectors are told by their outputs. */
const tasks: Record<string, string> = {
  segment: "a segmentation model",
  semantic: "a segmentation model",
  pose: "a pose model",
  obb: "a detector of oriented boxes",
  classify: "a classification model",
};

/** What the network is instead of a detector, where that is known. */
function otherThanDetector(
  { extra }: DecodeMatch,
  model: OnnxModel,
  shapes: ReadonlyMap<string, OnnxShape>,
  choice: Choice | undefined,
): string | undefined {
  if (extra !== undefined) {
    return `this is a YOLOv5 segmentation model (${extra} mask coefficients stand behind the classes of each box): masks are not supported; export a detection model for boxes`;
  }
  const task = Object.hasOwn(tasks, model.metadata.task ?? "") ? tasks[model.metadata.task] : undefined;
  if (task)
    return `the file says that this is ${task} (task: ${model.metadata.task}), which has no boxes that are decoded`;
  const [only, ...more] = model.graph.outputs.map(({ name }) => shapes.get(name));
  if (!choice && only?.length === 2 && only[0] === 1 && !more.length) {
    return `this looks like a classification model (one list of ${only[1]} numbers a picture), no detector`;
  }
  return undefined;
}

/** The value `[1, anchors, height, width, 5 + classes]` of a head's logits: the graph's own, or an added one. */
function rawHead(model: OnnxModel, shapes: Map<string, OnnxShape>, head: DecodedHead): string {
  const { nodes, initializers } = model.graph;
  const [, , height, width] = shapes.get(head.logits) ?? [];
  const apart = [1, head.anchorCount, head.numbers, height, width];
  const whole = [1, head.anchorCount, height, width, head.numbers];
  const isOf = (node: OnnxNode, type: string, input: string, shape: OnnxShape): boolean =>
    node.opType === type && node.inputs[0] === input && shapes.get(node.outputs[0])?.join() === shape.join();
  for (const reshape of nodes.filter((node) => isOf(node, "Reshape", head.logits, apart))) {
    const found = nodes.find((node) => isOf(node, "Transpose", reshape.outputs[0], whole));
    if (found && intsAttribute(found, "perm")?.join() === "0,1,3,4,2") return found.outputs[0];
  }
  const name = `${head.logits}_head`;
  const sizes = `${name}_shape`;
  initializers.set(sizes, makeTensor("int64", [5], apart as number[]));
  shapes.set(`${name}_apart`, apart);
  shapes.set(name, whole);
  const node = (opType: string, inputs: string[], output: string): OnnxNode => ({
    name: output,
    opType,
    domain: "",
    inputs,
    outputs: [output],
    attributes: {},
  });
  const transpose = node("Transpose", [`${name}_apart`], name);
  transpose.attributes = { perm: ints([0, 1, 3, 4, 2]) };
  const at = nodes.findIndex(({ outputs }) => outputs.includes(head.logits));
  nodes.splice(at + 1, 0, node("Reshape", [head.logits, sizes], `${name}_apart`), transpose);
  return name;
}

/** `heads` of the metadata, as `exportOnnx` writes it, where all their blobs are outputs. */
function headsFromMetadata(model: OnnxModel): Head[] | undefined {
  const list = z.safeParse(
    z.array(headSchema).check(z.minLength(1), z.maxLength(64)),
    parseJson(model.metadata.heads),
  );
  if (!list.success) return undefined;
  const outputs = new Set(model.graph.outputs.map(({ name }) => name));
  if (!blobsOf(list.data).every((blob) => outputs.has(blob))) return undefined;
  return list.data.sort((a, b) => a.stride - b.stride);
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
  heads: number,
  index: number,
  count: number,
): number[] | undefined {
  const lists = parseJson(model.metadata.anchors);
  const list = Array.isArray(lists) && lists.length === heads ? lists[index] : undefined;
  return isPairs(list) && list.length === 2 * count ? list : undefined;
}
