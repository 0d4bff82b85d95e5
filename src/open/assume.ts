/**
 * A manifest for files that come without one. What the graph shows is read from it; what it cannot show (anchors, class
 * names, pre-processing) is taken from the caller, else from the conventions of YOLOv5, and then said.
 */
import { expectKind } from "../base/arguments.ts";
import { GraphError, UsageError } from "../base/errors.ts";
import { version } from "../base/version.ts";
import { families, preprocessingOf } from "../heads/families.ts";
import { taskOf } from "../heads/index.ts";
import type { Preprocessing } from "../heads/input.ts";
import type { Manifest } from "../heads/manifest.ts";
import { type Graph, inferShapes, paramsOf } from "../ir/graph.ts";
import type { Shape } from "../ir/tensor.ts";
import { ops } from "../ops/index.ts";
import { cocoLabels } from "./coco-labels.ts";
import { bothSides, defaultSize, type FileFacts, type KnownFacts } from "./facts.ts";
import { toldPreprocessing } from "./told.ts";

/** Sizes that a graph is tried at, the likely ones first: some hold fixed sizes and run at one only. */
const likelySizes: readonly { width: number; height: number }[] = [
  ...new Set([defaultSize, 320, 416, 352, 512, 1280, ...Array.from({ length: 48 }, (_, i) => 32 * (i + 1))]),
]
  .map((side) => ({ width: side, height: side }))
  .concat(
    [
      [640, 384],
      [640, 352],
      [640, 480],
      [416, 256],
      [320, 192],
      [512, 288],
      [1280, 736],
    ].flatMap(([long, short]) => [
      { width: long, height: short },
      { width: short, height: long },
    ]),
  );

export interface RunnableSize {
  width: number;
  height: number;
  /** Shapes of the inputs and of all blobs at this size. */
  inputs: Record<string, Shape>;
  shapes: Map<string, Shape>;
}

/** Sizes that a graph of one picture runs at: the one asked for, that of the Input layer, then likely ones. */
export function* runnableSizes(graph: Graph, size?: KnownFacts["size"]): Generator<RunnableSize> {
  const [blob] = graph.inputs;
  if (blob === undefined) return;
  const channels = inputChannels(graph, size);
  for (const { width, height } of sizesToTry(graph, size)) {
    const shape = [channels, height, width];
    const shapes = shapesAt(graph, blob, shape);
    if (shapes) yield { width, height, inputs: { [blob]: shape }, shapes };
  }
}

function sizesToTry(graph: Graph, size: KnownFacts["size"]): { width: number; height: number }[] {
  const given = [bothSides(size), inputExtents(graph)].filter((each) => each !== undefined);
  return [...given, ...likelySizes];
}

/** 1 where the graph takes one channel and not three. */
function inputChannels(graph: Graph, size: KnownFacts["size"]): 1 | 3 {
  const [blob] = graph.inputs;
  const runsWith = (channels: number): boolean =>
    sizesToTry(graph, size).some(({ width, height }) => shapesAt(graph, blob, [channels, height, width]));
  const node = graph.nodes.find(({ type }) => type === "Input");
  const told = node && Number(paramsOf(node, ops).c);
  if (told === 1 || told === 3) return told;
  return !runsWith(3) && runsWith(1) ? 1 : 3;
}

/** The extents written in the Input node, if they are. */
function inputExtents(graph: Graph): { width: number; height: number } | undefined {
  const node = graph.nodes.find(({ type }) => type === "Input");
  if (!node) return undefined;
  const { w, h } = paramsOf(node, ops);
  return Number(w) > 1 && Number(h) > 1 ? { width: Number(w), height: Number(h) } : undefined;
}

/** Shapes of all blobs, or nothing where the graph does not run at this input shape. */
export function shapesAt(graph: Graph, blob: string, shape: Shape): Map<string, Shape> | undefined {
  try {
    return inferShapes(graph, ops, { [blob]: shape });
  } catch (error) {
    if (error instanceof GraphError) return undefined; // does not run at this size
    throw error;
  }
}

export interface Assumed {
  manifest: Manifest;
  /** What was assumed and may be wrong, a sentence each; empty when all facts are known. */
  assumptions: string[];
}

/**
 * A manifest for a bare graph called `name`. Throws UsageError when the known facts contradict the graph, GraphError
 * when it has no input.
 */
export function assumeManifest(graph: Graph, name: string, known: FileFacts = {}): Assumed {
  const [blob] = graph.inputs;
  if (blob === undefined)
    throw new GraphError(`${name}: the graph has no Input layer, so nothing can be fed`);
  const assumptions: string[] = [];
  const found = known.recognised;
  const heads = found ? [...found.heads] : [];
  const labels = heads.length
    ? labelsFor(found!.classes, known.labels ?? found!.labels, assumptions, taskOf(heads) === "classify")
    : [];
  const channels = inputChannels(graph, known.size);
  const size = bothSides(known.size) ?? inputExtents(graph) ?? found ?? squareOf(defaultSize);
  if (known.recognised?.isSizeFree && !known.size && !inputExtents(graph)) {
    const { title } = families[known.recognised.family ?? "yolov5"];
    assumptions.push(
      `the size is ${size.width}x${size.height}, which models of ${title} are mostly made for; give another with --size`,
    );
  }
  const manifest: Manifest = {
    version: 1,
    name,
    param: `${name}.param`,
    bin: `${name}.bin`,
    input: {
      blob,
      ...{ width: size.width, height: size.height, stride: found?.stride ?? 1, channels },
      ...inputAs(known, channels, size, assumptions),
    },
    heads,
    labels,
    provenance: { tool: `ncnnkit ${version}`, passes: [] },
  };
  return { manifest, assumptions };
}

/** As told, else as the family has it that was told or recognised, else YOLOv5; what was not told is said. */
function inputAs(
  known: FileFacts,
  channels: 1 | 3,
  size: { readonly width: number; readonly height: number },
  assumptions: string[],
): Preprocessing {
  const { levels, recognised } = known;
  const told = toldPreprocessing(known, channels);
  const family = known.family ?? recognised?.family ?? "yolov5";
  const parts = ["pixel", "mean", "norm", "resize"] as const;
  if (known.family === undefined && !known.isFamilyStated && parts.some((part) => told[part] === undefined)) {
    const { title, words } = families[family];
    const text = channels === 1 ? words.replace(/RGB|BGR/, "grey") : words;
    const otherwise = recognised?.family
      ? "; --family, --pixel, --mean, --norm and --resize tell otherwise"
      : "";
    assumptions.push(
      `the input is ${levels ? text.replace(" divided by 255", "") : text}, as ${title} has it${otherwise}`,
    );
  }
  const { width, height } = size;
  return {
    ...preprocessingOf(family, channels),
    // What ultralytics does with a size that is no square.
    ...(family === "ultralytics-cls" && width !== height && { resize: "stretch" as const }),
    ...(levels && { mean: [...levels.mean], norm: [...levels.norm] }),
    ...told,
  };
}

const squareOf = (side: number): { width: number; height: number } => ({ width: side, height: side });

const cocoAssumed = "the classes are the 80 of COCO; give others with --labels";

/** Whether the class names are the model's own: not assumed, and not just numbers, as trainers and readers put for none. */
export function hasOwnLabels(
  manifest: Pick<Manifest, "labels">,
  assumptions: readonly string[] = [],
): boolean {
  expectKind("hasOwnLabels: manifest", manifest, "an object");
  expectKind("hasOwnLabels: assumptions", assumptions, "a list of strings");
  expectKind("hasOwnLabels: manifest.labels", manifest.labels, "a list of strings");
  const isNumber = (label: string, i: number): boolean =>
    /^(?:class[ _]?)?(\d+)$/.exec(label)?.[1] === String(i);
  return !assumptions.includes(cocoAssumed) && !manifest.labels.every(isNumber);
}

/** Names of `count` classes of a file that has none: as told, else COCO's where they can be; what is assumed is added. */
export function labelsFor(
  count: number,
  known: KnownFacts["labels"],
  assumptions: string[],
  isSorting = false,
): string[] {
  if (count === 0) return [];
  if (known) {
    if (known.length === count) return [...known];
    throw new UsageError(
      `labels: found ${known.length} names, but the heads of the graph have ${count} classes`,
    );
  }
  if (count === cocoLabels.length && !isSorting) {
    assumptions.push(cocoAssumed);
    return [...cocoLabels];
  }
  assumptions.push(`the names of the ${count} classes are not known; give them with --labels`);
  return Array.from({ length: count }, (_, i) => `class ${i}`);
}
