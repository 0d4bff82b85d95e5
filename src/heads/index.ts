/** The list of kinds of detector outputs, and what all of the product asks of heads of any kind. */

import * as z from "zod/mini";
import { expectKind } from "../base/arguments.ts";
import { GraphError } from "../base/errors.ts";
import type { BoxFormulas } from "../base/formula.ts";
import { brief, quote } from "../base/text.ts";
import type { Shape, Tensor } from "../ir/tensor.ts";
import { type BoxesHead, boxes } from "./boxes.ts";
import type { Candidates, DecodeOptions } from "./candidates.ts";
import { type CenterFaceHead, centerface } from "./centerface.ts";
import { type ClassesHead, classes } from "./classes.ts";
import { type DetectionsHead, detections } from "./detections.ts";
import { type DistancesHead, distances } from "./distances.ts";
import { type FastestDetHead, fastestdet } from "./fastestdet.ts";
import type { CppHeads, HeadFacts, HeadKind, HeadValues } from "./kind.ts";
import { type PriorsHead, priors } from "./priors.ts";
import type { Recognition, RecognitionFacts } from "./recognition.ts";
import { type HeadView, isPlain } from "./view.ts";
import { type YoloFastestV2Head, yoloFastestV2 } from "./yolo-fastestv2.ts";
import { type Yolov5Head, yolov5 } from "./yolov5.ts";
import { type YoloxHead, yolox } from "./yolox.ts";

export type { HeadAngle } from "./_angles.ts";
export type { PlacedPoints } from "./_distances.ts";
export type { HeadMask, SharedPrototypes } from "./_masks.ts";
export type { HeadPoints } from "./_points.ts";
export type {
  BoxesHead,
  CenterFaceHead,
  ClassesHead,
  DetectionsHead,
  DistancesHead,
  FastestDetHead,
  PriorsHead,
  YoloFastestV2Head,
  Yolov5Head,
  YoloxHead,
};

/** One record a kind. */
export type Head =
  | BoxesHead
  | CenterFaceHead
  | ClassesHead
  | DetectionsHead
  | DistancesHead
  | FastestDetHead
  | PriorsHead
  | YoloFastestV2Head
  | Yolov5Head
  | YoloxHead;

/**
 * What a model is for: boxes, masks of objects, key points of objects (or landmarks of faces), boxes that are turned, or classes of whole
 * pictures.
 */
export type Task = (typeof tasks)[number];
const tasks = ["detect", "segment", "pose", "obb", "classify"] as const;
export const isTask = (name: string): name is Task => tasks.some((task) => task === name);

/** The task of a model by its heads; `detect` where nothing tells otherwise. */
export function taskOf(heads: readonly Head[]): Task {
  expectKind("taskOf: heads", heads, "a list");
  heads.forEach(expectHead);
  return marks.find(({ isOn }) => heads.some(isOn))?.task ?? "detect";
}

const expectHead = (head: Head): void => expectKind("taskOf: heads[i]", head, "a head ({ kind, … })");

/** What tells a task, the first first. */
const marks: readonly { readonly task: Task; isOn(head: Head): boolean }[] = [
  { task: "classify", isOn: ({ kind }) => kind === "classes" },
  { task: "segment", isOn: (head) => "mask" in head && head.mask !== undefined },
  { task: "obb", isOn: (head) => "angle" in head && Boolean(head.angle) },
  { task: "pose", isOn: (head) => "points" in head && head.points !== undefined },
];

/** Points of every object that the heads find; 0 where they have none. */
export function pointCountOf(heads: readonly Head[]): number {
  expectKind("pointCountOf: heads", heads, "a list");
  for (const head of heads) expectKind("pointCountOf: heads[i]", head, "a head ({ kind, … })");
  return Math.max(0, ...heads.map((head) => ("points" in head && head.points?.count) || 0));
}

/** By the name in the manifest. Every member of `Head` must be here, and every part of its kind. */
const kinds: { readonly [K in Head["kind"]]: HeadKind<Extract<Head, { kind: K }>> } = {
  yolov5,
  distances,
  yolox,
  fastestdet,
  "yolo-fastestv2": yoloFastestV2,
  centerface,
  priors,
  detections,
  classes,
  // Last: what others would cut to raw heads.
  boxes,
};

/** Their names, in the order in which people are told them. */
export const headKinds = Object.keys(kinds) as readonly Head["kind"][];

/** Kinds that are told by the order of their parts. */
export const headParts = Object.values(kinds).flatMap(({ title, parts }) =>
  parts ? [{ title, parts }] : [],
);

/** Rules of a head in a manifest. */
export const headSchema = z.discriminatedUnion(
  "kind",
  Object.values(kinds).map(({ schema }) => schema) as [Schemas, ...Schemas[]],
);
type Schemas = (typeof kinds)[keyof typeof kinds]["schema"];

/** TypeScript cannot follow that the kind found in the table is that of the record. */
const kindOf = <H extends Head>(head: H): HeadKind<H> => kinds[head.kind] as unknown as HeadKind<H>;

/** Blobs that decoding the heads reads, each once. */
export function blobsOf(heads: readonly Head[]): string[] {
  expectKind("blobsOf: heads", heads, "a list");
  for (const head of heads) expectKind("blobsOf: heads[i]", head, "a head ({ kind, … })");
  return [...new Set(heads.flatMap((head) => kindOf(head).blobs(head)))];
}

/** The head with its blobs named anew. */
export function withBlobs<H extends Head>(head: H, rename: (blob: string) => string): H {
  const blobs = new Set(blobsOf([head]));
  const renamed = (record: object): object =>
    Object.fromEntries(
      Object.entries(record).map(([field, value]) => {
        if (typeof value === "object" && value && !Array.isArray(value)) return [field, renamed(value)];
        const isBlob = field !== "kind" && typeof value === "string" && blobs.has(value);
        return [field, isBlob ? rename(value) : value];
      }),
    );
  return renamed(head) as H;
}

/** Input sizes must be multiples of it, in pixels. */
export const strideOf = (head: Head): number => kindOf(head).stride(head);

/** `yolov5, stride 8, anchors 10,13,…`. */
export function describeHead(head: Head): string {
  expectKind("describeHead: head", head, "a head ({ kind, … })");
  return `${blobsOf([head]).join(", ")}: ${head.kind}, ${kindOf(head).describe(head)}`;
}

/** Why blobs of these shapes are not those of the head, or nothing. */
export function headProblem(
  head: Head,
  shapeOf: (blob: string) => Shape,
  facts: HeadFacts,
): string | undefined {
  const kind = kindOf(head);
  return kind.problem(head, kind.blobs(head).map(shapeOf), facts);
}

/** Adds the boxes of one head to `out`. Throws GraphError when an output is missing or its shape does not fit the head. */
export function decodeHead(
  head: Head,
  outputs: Blobs,
  classes: number,
  options: DecodeOptions,
  out: Candidates,
): void {
  const tensors = tensorsOf(head, outputs);
  checkFit(head, tensors, classes, options);
  kindOf(head).decode(head, tensors, classes, options, out);
}

/** What each head was last found to fit: frames of a stream have the very same shapes, and nothing is made to check them. */
const fits = new WeakMap<Head, HeadFacts & { readonly shapes: readonly Shape[] }>();

function checkFit(
  head: Head,
  tensors: readonly Tensor[],
  classes: number,
  { width, height }: DecodeOptions,
): void {
  const known = fits.get(head);
  const isSame = known?.classes === classes && known.width === width && known.height === height;
  if (isSame && tensors.every(({ shape }, i) => shape === known.shapes[i])) return;
  const shapes = tensors.map(({ shape }) => shape);
  const problem = kindOf(head).problem(head, shapes, { width, height, classes });
  if (problem) throw new GraphError(`head "${blobsOf([head]).join(", ")}": ${problem}`);
  fits.set(head, { shapes, width, height, classes });
}

/** What decoding the heads computes, in its order, for blobs of these shapes. */
export function formulasOf(
  heads: readonly Head[],
  shapeOf: (blob: string) => Shape,
  facts: HeadFacts,
): BoxFormulas[] {
  return heads.flatMap((head) => {
    const kind = kindOf(head);
    return kind.formulas(head, kind.blobs(head).map(shapeOf), facts);
  });
}

/** Whether boxes that overlap a better one are still to be dropped. */
export const needsNms = (heads: readonly Head[]): boolean =>
  heads.some((head) => kindOf(head).needsNms(head));

/** The first kind that the outputs are of, with `keepDecode` of those that leave the graph as it is; else what came nearest, if something did. */
export function recogniseHeads(
  view: HeadView,
  facts: RecognitionFacts,
  keepDecode = false,
): Recognition<Head> | undefined {
  let near: Recognition<Head> | undefined;
  for (const kind of Object.values(kinds)) {
    if (!isPlain(view) && !kind.seesAll) continue;
    const found: Recognition<Head> | undefined = kind.recognise(view, facts);
    if (found && "heads" in found) {
      if (keepDecode && !found.isWhole && !found.isRaw) {
        near ??= { near: `a ${kind.title}, which is read from its raw values: leave --keep-decode out` };
        continue;
      }
      if (!view.unread.length) return found;
      near ??= {
        near: `${kind.title}s are among the outputs, but ${view.unread.map(quote).join(", ")} ${view.unread.length > 1 ? "are" : "is"} something else`,
      };
      continue;
    }
    near ??= found;
  }
  return near;
}

/** How much each value of a blob matters for scores, by the outputs of the float network; undefined where nothing is known. */
export function importanceOf(
  heads: readonly Head[],
  classes: number,
  blob: string,
  outputs: Blobs,
): Float32Array | undefined {
  let all: Float32Array | undefined;
  for (const head of heads) {
    const kind = kindOf(head);
    const at = kind.blobs(head).indexOf(blob);
    const weights = at < 0 ? undefined : kind.importance(head, tensorsOf(head, outputs), classes)[at];
    // Heads of several anchors share their blobs.
    if (all && weights) for (const [i, weight] of weights.entries()) all[i] = Math.max(all[i], weight);
    else all ??= weights;
  }
  return all;
}

/** What the values of the heads' blobs stand for, at the shapes that `shapeOf` gives; empty where places of them do not say. */
export function headValues(
  heads: readonly Head[],
  classes: number,
  shapeOf: (blob: string) => Shape,
): readonly HeadValues[] {
  const all = heads.flatMap((head) => {
    const kind = kindOf(head);
    return kind.values(head, kind.blobs(head).map(shapeOf), classes);
  });
  // Heads share the prototypes of their masks.
  return [...new Map(all.map((values) => [JSON.stringify(values), values])).values()];
}

/** How far the detections in `int8` are from those in `float`. */
export function lossOf(heads: readonly Head[], classes: number, float: Blobs, int8: Blobs): number {
  const of = (head: Head): number =>
    kindOf(head).loss(head, tensorsOf(head, float), tensorsOf(head, int8), classes);
  return heads.reduce((sum, head) => sum + of(head), 0);
}

/** The part of a C++ header on heads, which are all of one kind. */
export const cppHeads = (heads: readonly Head[]): CppHeads => kindOf(heads[0]).cpp(heads);

type Blobs = Readonly<Record<string, Tensor>>;

const tensorsOf = (head: Head, outputs: Blobs): Tensor[] =>
  kindOf(head)
    .blobs(head)
    .map((blob) => tensorOf(outputs, blob));

function tensorOf(outputs: Blobs, blob: string): Tensor {
  if (Object.hasOwn(outputs, blob)) return outputs[blob];
  throw new GraphError(`head "${blob}": not among the outputs ${brief(Object.keys(outputs).join(", "))}`);
}
