/**
 * The guard: whether an int8 network still computes what the float one does, by its outputs on a few pictures. For any network; where
 * heads are known, by their parts and by what they detect.
 */
import { expectKind } from "../base/arguments.ts";
import { InputError } from "../base/errors.ts";
import { spread } from "../base/maths.ts";
import { postprocess } from "../detect/detect.ts";
import type { DetectionRow } from "../evaluate/rows.ts";
import { blobsOf, headValues, taskOf } from "../heads/index.ts";
import type { HeadValues } from "../heads/kind.ts";
import type { GuardFigures, Manifest } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import { type Blobs, sameShape } from "../ir/tensor.ts";
import { bothSides, type KnownFacts } from "../open/facts.ts";
import { type Effort, picturesOf } from "../quantize/index.ts";
import { rowOf } from "../tally/detections.ts";
import { measuring } from "../tally/measure.ts";
import {
  asPictures,
  type EvaluationEntry,
  type EvaluationItem,
  iteratedPictures,
} from "../tally/pictures.ts";
import { run } from "../tally/run.ts";
import { pictureSubject } from "../tally/subjects.ts";
import type { Numbered, Observer, Output, Subject } from "../tally/tally.ts";
import { PartLikeness } from "./likeness.ts";

/**
 * Below these an int8 network does not do what the float one does. On trained networks, what people would call broken lies at or below
 * 3 dB, 0.8 and 0.53 in some part, what works at or above 9.5 dB, 0.94 and 0.83 (docs/quantization.md has the table).
 */
export const floor = { sqnr: 5, cosine: 0.85, fidelity: 0.7 } as const;
/** Below these it does so roughly, which is said. */
const weak = { sqnr: 10, cosine: 0.95, fidelity: 0.9 } as const;
/** Below these layers stay float, */
const near = { ...weak, fidelity: 0.95 } as const;
/** until these are reached: more, since pictures that calibration did not see give one or two points less. */
const aim = { sqnr: 13, cosine: 0.97, fidelity: 0.965 } as const;

/** So many times the pictures that are measured on are looked through for some in which the float network finds something. */
const lookedThrough = 4;
/** With fewer objects one more or less would decide. */
const leastObjects = 8;
/** Most bytes of outputs that are kept; of a network with larger ones, fewer pictures. */
const mostBytes = 2 ** 28;
const objectScore = 0.25;

/** One picture as input, with what the float network makes of it. */
interface Sample {
  readonly input: Blobs;
  readonly outputs: Blobs;
  readonly rows: readonly DetectionRow[];
  readonly toRows: (outputs: Blobs) => DetectionRow[];
  readonly objects: number;
}

/** What `Guard.start` needs. */
export interface GuardOptions {
  size?: KnownFacts["size"];
  threads?: number;
  /** Default `normal`. */
  effort?: Effort;
  signal?: AbortSignal;
  /** Told after each picture. */
  onProgress?: (done: number) => void;
}

type Limits = Readonly<Record<"sqnr" | "cosine" | "fidelity", number>>;

/** A figure that is too low. */
export interface Shortfall {
  /** `fidelity`, or the part of the outputs. */
  readonly name: string;
  readonly measure: keyof Limits;
  readonly found: number;
  readonly least: number;
}

export class Guard {
  readonly manifest: Manifest;
  private readonly samples: readonly Sample[];
  private readonly options: GuardOptions;

  private constructor(manifest: Manifest, samples: readonly Sample[], options: GuardOptions) {
    this.manifest = manifest;
    this.samples = samples;
    this.options = options;
  }

  /** Runs the float network on the pictures. Throws InputError where there is none. */
  static async start(
    float: { graph: Graph; manifest: Manifest },
    items: AsyncIterable<EvaluationItem>,
    options: GuardOptions = {},
  ): Promise<Guard> {
    expectKind("Guard.start: float", float, "an opened model ({ graph, manifest })");
    expectKind("Guard.start: items", items, "pictures (something to iterate over)");
    const { size, threads, signal } = options;
    const { graph, manifest } = float;
    const subject = pictureSubject(graph, { of: manifest.input, options: bothSides(size) ?? {} });
    const choice = new Choice(subject, manifest, picturesOf(options.effort ?? "normal").guard);
    await run([choice], asPictures(items), { threads, signal, limit: choice.looked });
    const { samples } = choice;
    if (!samples.length) throw new InputError("no pictures to compare int8 with float on");
    return new Guard(manifest, samples, options);
  }

  get effort(): Effort {
    return this.options.effort ?? "normal";
  }
  get images(): number {
    return this.samples.length;
  }
  /** Objects that the float network finds; undefined for a model that is no detector. */
  get objects(): number | undefined {
    if (!this.manifest.heads.length) return undefined;
    return this.samples.reduce((sum, { objects }) => sum + objects, 0);
  }
  /** The first pictures as inputs. */
  inputs(count: number): Blobs[] {
    return this.samples.slice(0, count).map(({ input }) => input);
  }

  /** Runs a network with the same outputs and compares. */
  async measure(graph: Graph): Promise<GuardFigures> {
    const { threads, signal, onProgress } = this.options;
    const comparison = new SampleComparison(graph, this.manifest, this.samples[0]);
    await run(
      [comparison],
      iteratedPictures(() => this.samples),
      { threads, signal, onProgress },
    );
    return { ...comparison.likenesses(), ...this.agreement(comparison.rows) };
  }

  /** Of the results of each sample. */
  private agreement(rows: readonly DetectionRow[][]): Pick<GuardFigures, "fidelity" | "found"> {
    if ((this.objects ?? 0) < leastObjects) return {};
    const tally = measuring(this.manifest).agreement();
    const isSorting = taskOf(this.manifest.heads) === "classify";
    for (const [i, sample] of this.samples.entries()) {
      // Where the float network is not sure of the class of a picture, nothing is lost by another.
      if (sample.objects || !isSorting) tally.take(tally.of(i, sample.rows, rows[i]));
    }
    const { fidelity, boxes = fidelity, pairs, objects } = tally.result();
    const kept = pairs.filter((pair) => pair.candidate >= objectScore / 2).length;
    // Key points may be right in boxes that are wrong.
    return { fidelity: Math.min(fidelity, boxes), found: kept / objects };
  }
}

/** What a network makes of the samples, beside what the float network made of them. */
class SampleComparison implements Observer<Sample> {
  readonly graphs: readonly [Subject<Sample>];
  readonly blobs: readonly [readonly string[]];
  /** Of each sample. */
  readonly rows: DetectionRow[][] = [];
  private readonly parts: readonly HeadValues[];
  private readonly inHeads: ReadonlySet<string>;
  private readonly ofParts = new Map<string, PartLikeness>();
  private readonly ofOutputs = new Map<string, PartLikeness>();

  constructor(graph: Graph, { heads, labels }: Manifest, { outputs }: Sample) {
    this.graphs = [{ graph, prepare: ({ input }) => ({ inputs: input }) }];
    this.blobs = [Object.keys(outputs)];
    this.parts = headValues(heads, labels.length, (blob) => outputs[blob].shape);
    this.inHeads = new Set(blobsOf(heads));
  }

  add([{ values: int8 }]: readonly Output[], { index, picture }: Numbered<Sample>): void {
    const { outputs: float, toRows } = picture;
    for (const part of this.parts) {
      get(this.ofParts, part.part).add(part.blob, float[part.blob], int8[part.blob], part);
    }
    for (const [blob, value] of Object.entries(float)) {
      // A list of what was found may have other rows.
      if (!this.inHeads.has(blob) && sameShape(value.shape, int8[blob].shape))
        get(this.ofOutputs, blob).add(blob, value, int8[blob]);
    }
    this.rows[index] = toRows(int8);
  }

  likenesses(): Pick<GuardFigures, "parts" | "outputs"> {
    const results = (of: Map<string, PartLikeness>) => [...of.values()].map((each) => each.result());
    return { parts: results(this.ofParts), outputs: results(this.ofOutputs) };
  }
}

function get(all: Map<string, PartLikeness>, name: string): PartLikeness {
  const known = all.get(name) ?? new PartLikeness(name);
  all.set(name, known);
  return known;
}

/** Those of the pictures that a guard should be started with. */
export function guardEntries(
  entries: readonly EvaluationEntry[],
  effort: Effort = "normal",
): EvaluationEntry[] {
  expectKind("guardEntries: entries", entries, "a list");
  return spread(entries, lookedThrough * picturesOf(effort).guard);
}

/** The samples: of the pictures those with objects first, in their order; the rest makes up the number. */
class Choice implements Observer<EvaluationItem> {
  readonly graphs: readonly [Subject<EvaluationItem>];
  readonly blobs: readonly [readonly string[]];
  /** So many pictures are looked at, at most. */
  readonly looked: number;
  private readonly manifest: Manifest;
  private readonly wanted: number;
  private most: number;
  /** With objects, and without any; by the numbers of the pictures, no more than may be needed. */
  private seen: [number, Sample][] = [];
  private empty: [number, Sample][] = [];

  constructor(subject: Subject<EvaluationItem>, manifest: Manifest, wanted: number) {
    this.graphs = [subject];
    this.blobs = [[...new Set([...blobsOf(manifest.heads), ...subject.graph.outputs])]];
    this.manifest = manifest;
    this.wanted = wanted;
    this.most = wanted;
    this.looked = lookedThrough * wanted;
  }

  add(
    [{ inputs, transform, values: outputs }]: readonly Output[],
    { index, picture }: Numbered<EvaluationItem>,
  ): void {
    const { heads } = this.manifest;
    const { settings } = measuring(this.manifest);
    const toRows = (of: Blobs): DetectionRow[] =>
      heads.length
        ? postprocess(of, this.manifest, transform!, settings).map((found) => rowOf(picture.id, found))
        : [];
    const rows = toRows(outputs);
    const sure = rows.filter(({ score }) => score >= objectScore).length;
    const objects = taskOf(heads) === "classify" ? Math.min(sure, 1) : sure;
    const bytes = [...Object.values(outputs), ...Object.values(inputs)].reduce(
      (sum, { data }) => sum + data.byteLength,
      0,
    );
    this.most = Math.max(1, Math.min(this.most, this.wanted, Math.floor(mostBytes / bytes)));
    (objects || !heads.length ? this.seen : this.empty).push([
      index,
      { input: inputs, outputs, rows, toRows, objects },
    ]);
    this.seen = this.seen.sort(([a], [b]) => a - b).slice(0, this.most);
    this.empty = this.empty.sort(([a], [b]) => a - b).slice(0, this.most);
  }

  isFull(): boolean {
    return this.seen.length >= this.most;
  }

  get samples(): Sample[] {
    return [...this.seen, ...this.empty].slice(0, this.most).map(([, sample]) => sample);
  }
}

/**
 * What of the figures is below the limits, worst first. Where there are enough objects, detections decide for the heads, since they show
 * what is made of box, objectness and class; the parts then only explain what is wrong.
 */
export function shortfalls({ parts, outputs, fidelity: found }: GuardFigures, least: Limits): Shortfall[] {
  const hasDecided = found !== undefined && found >= least.fidelity;
  const judged = [...(hasDecided ? [] : parts), ...outputs];
  const short: Shortfall[] = [];
  if (found !== undefined && !hasDecided) {
    short.push({ name: "fidelity", measure: "fidelity", found, least: least.fidelity });
  }
  for (const measure of ["cosine", "sqnr"] as const) {
    const low = judged.filter((each) => !(each[measure] >= least[measure]));
    for (const each of low.toSorted((a, b) => a[measure] - b[measure])) {
      short.push({ name: each.name, measure, found: each[measure], least: least[measure] });
    }
  }
  return short;
}

/** Whether int8 needs no layers in float. */
export const isNear = (figures: GuardFigures): boolean => shortfalls(figures, near).length === 0;
/** Whether int8 is the float network only roughly. */
export const isWeak = (figures: GuardFigures): boolean => shortfalls(figures, weak).length > 0;
/** How near int8 is to the float network with those that stay float; from 1 on they are enough. */
export function nearness({ parts, outputs, fidelity: found }: GuardFigures): number {
  const judged = [...(found === undefined ? parts : []), ...outputs];
  return Math.min(
    ...(found === undefined ? [] : [found / aim.fidelity]),
    ...judged.flatMap(({ sqnr, cosine }) => [sqnr / aim.sqnr, cosine / aim.cosine]),
  );
}
