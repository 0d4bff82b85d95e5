/** What an ONNX file says about detection: metadata, the input's size, and whether its end chooses among results. */
import * as z from "zod/mini";
import { blobsOf, type Head, headSchema, strideOf } from "../../heads/index.ts";
import { type Preprocessing, preprocessingFields } from "../../heads/input.ts";
import { allKnown } from "./dims.ts";
import { describeChoice, findChoice } from "./ends.ts";
import type { OnnxShape } from "./infer.ts";
import type { OnnxModel, OnnxValueInfo } from "./model.ts";
import { parseNames } from "./names.ts";

export interface OnnxFacts {
  /** As `exportOnnx` wrote it down. */
  preprocessing?: Preprocessing;
  /** The same. */
  statedHeads?: Head[];
  /** `anchors` of the metadata: `w0 h0 w1 h1 …` in input pixels for every head, finest first. */
  statedAnchors?: number[][];
  labels?: string[];
  /** What is odd about the names in the file. */
  namesProblem?: string;
  inputSize?: { width: number; height: number };
  /** The file says that ultralytics' package made it. */
  isUltralytics?: boolean;
  /** The network is trained to give one box an object: its end takes the best, and drops none for overlapping. */
  isEndToEnd?: boolean;
  /** What the file says that the network is for, as ultralytics spells it: `segment`. */
  task?: string;
  /** An end that chooses among results has been cut off: what it was, and what is left. */
  choice?: string;
  /** What was changed or taken for granted and should be known, whatever the heads are. */
  warnings: string[];
}

/**
 * Reads them. An end that chooses is cut off unless `keepDecode` is set: `model.graph` gets what is chosen from as outputs (dead nodes
 * stay).
 */
export function readFacts(
  model: OnnxModel,
  shapes: ReadonlyMap<string, OnnxShape>,
  keepDecode = false,
): OnnxFacts {
  const facts: OnnxFacts = { warnings: [] };
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
  if (stated) return { ...facts, statedHeads: stated };
  const anchors = anchorsFromMetadata(model);
  if (anchors) facts.statedAnchors = anchors;
  const { task } = model.metadata;
  if (task) facts.task = task;
  const choice = keepDecode ? undefined : findChoice(model);
  const dropsOverlaps = choice?.operators.some((name) => /^ArgMax$|^NonZero$|nms|suppression/i.test(name));
  if (model.metadata.end2end === "True" || (choice?.operators.includes("TopK") && !dropsOverlaps)) {
    facts.isEndToEnd = true;
  }
  if (choice) {
    facts.choice = describeChoice(choice, shapes);
    model.graph.outputs = choice.outputs.map((name) => infoOf(model, name));
  }
  return facts;
}

const infoOf = (model: OnnxModel, name: string): OnnxValueInfo =>
  model.graph.outputs.find((info) => info.name === name) ?? { name, type: "float32" };

/** `heads` of the metadata, as `exportOnnx` writes it, where all their blobs are outputs. */
function headsFromMetadata(model: OnnxModel): Head[] | undefined {
  const list = z.safeParse(
    z.array(headSchema).check(z.minLength(1), z.maxLength(64)),
    parseJson(model.metadata.heads),
  );
  if (!list.success) return undefined;
  const outputs = new Set(model.graph.outputs.map(({ name }) => name));
  if (!blobsOf(list.data).every((blob) => outputs.has(blob))) return undefined;
  return list.data.sort((a, b) => strideOf(a) - strideOf(b));
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

/** `anchors` of the metadata, as `exportOnnx` writes them. */
function anchorsFromMetadata(model: OnnxModel): number[][] | undefined {
  const lists = parseJson(model.metadata.anchors);
  return Array.isArray(lists) && lists.length && lists.every(isPairs) ? lists : undefined;
}
