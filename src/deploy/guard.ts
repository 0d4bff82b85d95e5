/**
 * The guard: whether an int8 network still computes what the float one does, by its outputs on a few pictures. For any network; where
 * heads are known, by their parts and by what they detect.
 */
import { expectKind } from "../base/arguments.ts";
import { InputError } from "../base/errors.ts";
import { spread } from "../base/maths.ts";
import { postprocess } from "../detect/detect.ts";
import { toTensor } from "../detect/letterbox.ts";
import { createSession, type Session } from "../engine/session.ts";
import type { DetectionRow } from "../evaluate/rows.ts";
import { blobsOf, headValues, taskOf } from "../heads/index.ts";
import type { GuardFigures, Manifest } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import { sameShape, type Tensor } from "../ir/tensor.ts";
import { bothSides, type KnownFacts } from "../open/facts.ts";
import { type Effort, picturesOf } from "../quantize/index.ts";
import { type EvaluationEntry, type EvaluationItem, rowOf } from "./evaluate.ts";
import { PartLikeness } from "./likeness.ts";
import { measuring } from "./measure.ts";

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

type Blobs = Record<string, Tensor>;

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
    const session = await createSession(float.graph, { threads: options.threads });
    try {
      const samples = await chooseSamples(session, float.manifest, items, options);
      if (!samples.length) throw new InputError("no pictures to compare int8 with float on");
      return new Guard(float.manifest, samples, options);
    } finally {
      session.close();
    }
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
    const { heads, labels } = this.manifest;
    const shapeOf = (blob: string) => this.samples[0].outputs[blob].shape;
    const parts = headValues(heads, labels.length, shapeOf);
    const inHeads = new Set(blobsOf(heads));
    const ofParts = new Map<string, PartLikeness>();
    const ofOutputs = new Map<string, PartLikeness>();
    const rows: DetectionRow[][] = [];
    const session = await createSession(graph, { threads: this.options.threads });
    try {
      for (const [i, { input, outputs: float, toRows }] of this.samples.entries()) {
        this.options.signal?.throwIfAborted();
        const int8 = await session.run(input, Object.keys(float));
        for (const part of parts)
          get(ofParts, part.part).add(part.blob, float[part.blob], int8[part.blob], part);
        for (const [blob, value] of Object.entries(float)) {
          // A list of what was found may have other rows.
          if (!inHeads.has(blob) && sameShape(value.shape, int8[blob].shape))
            get(ofOutputs, blob).add(blob, value, int8[blob]);
        }
        rows.push(toRows(int8));
        this.options.onProgress?.(i + 1);
      }
    } finally {
      session.close();
    }
    const results = (of: Map<string, PartLikeness>) => [...of.values()].map((each) => each.result());
    return { parts: results(ofParts), outputs: results(ofOutputs), ...this.agreement(rows) };
  }

  /** Of the results of each sample. */
  private agreement(rows: readonly DetectionRow[][]): Pick<GuardFigures, "fidelity" | "found"> {
    if ((this.objects ?? 0) < leastObjects) return {};
    const tally = measuring(this.manifest).agreement();
    const isSorting = taskOf(this.manifest.heads) === "classify";
    for (const [i, sample] of this.samples.entries()) {
      // Where the float network is not sure of the class of a picture, nothing is lost by another.
      if (sample.objects || !isSorting) tally.add(i, sample.rows, rows[i]);
    }
    const { fidelity, boxes = fidelity, pairs, objects } = tally.result();
    const kept = pairs.filter((pair) => pair.candidate >= objectScore / 2).length;
    // Key points may be right in boxes that are wrong.
    return { fidelity: Math.min(fidelity, boxes), found: kept / objects };
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

/** Those with objects first, in their order; the rest makes up the number. */
async function chooseSamples(
  session: Session,
  manifest: Manifest,
  items: AsyncIterable<EvaluationItem>,
  { size, signal, effort = "normal" }: GuardOptions,
): Promise<Sample[]> {
  const wanted = picturesOf(effort).guard;
  const { input, heads } = manifest;
  const { settings } = measuring(manifest);
  const blobs = [...new Set([...blobsOf(heads), ...session.graph.outputs])];
  const [seen, empty]: Sample[][] = [[], []];
  let most = wanted;
  let looked = 0;
  for await (const item of items) {
    signal?.throwIfAborted();
    const { tensor, transform } = toTensor(item.picture, input, bothSides(size));
    const inputs = { [input.blob]: tensor };
    const outputs = await session.run(inputs, blobs);
    const toRows = (of: Blobs): DetectionRow[] =>
      heads.length
        ? postprocess(of, manifest, transform, settings).map((found) => rowOf(item.id, found))
        : [];
    const rows = toRows(outputs);
    const sure = rows.filter(({ score }) => score >= objectScore).length;
    const objects = taskOf(heads) === "classify" ? Math.min(sure, 1) : sure;
    (objects || !heads.length ? seen : empty).push({ input: inputs, outputs, rows, toRows, objects });
    const bytes = Object.values(outputs).reduce(
      (sum, { data }) => sum + data.byteLength,
      tensor.data.byteLength,
    );
    most = Math.max(1, Math.min(wanted, Math.floor(mostBytes / bytes)));
    if (empty.length > most) empty.length = most;
    if (seen.length >= most || ++looked === lookedThrough * wanted) break;
  }
  return [...seen, ...empty].slice(0, most);
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
