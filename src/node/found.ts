/** What a detector finds in pictures on disk, one result a picture; drawn and written beside, where that is asked for. */
import path from "node:path";
import { type Detection, type Graph, type Manifest, type Model, UsageError } from "../index.ts";
import { startModel } from "../open/model.ts";
import type { ModelDetectOptions } from "../steps.ts";
import type { OtherKinds } from "../tally/job.ts";
import { type EvaluationItem, listedPictures } from "../tally/pictures.ts";
import { type Runner, run } from "../tally/run.ts";
import { pictureSubject } from "../tally/subjects.ts";
import type { Numbered, Output, Subject, Tally } from "../tally/tally.ts";
import { entryOf } from "./entries.ts";
import { type PartFormat, type PartRow, writePart } from "./parts.ts";
import type { FilePicture } from "./picture.ts";
import { inFilePixels, type ResultFormat, type ResultNames, writeResult } from "./results.ts";

/** What was found in a picture. */
export interface FoundPicture {
  readonly index: number;
  /** Of the picture's file, in whose pixels the detections are. */
  readonly width: number;
  readonly height: number;
  /** Of pre-processing, network and decoding. */
  readonly milliseconds: number;
  /** How many there are; they themselves are elsewhere where parts are written. */
  readonly count: number;
  readonly detections: Detection[];
  /** The picture with its boxes. */
  readonly written?: string;
}

/** What is done with pictures, as plain data. */
interface FindSettings {
  readonly manifest: Manifest;
  readonly options: ModelDetectOptions;
  /** Where results go, by the numbers of the pictures. */
  readonly write?: {
    readonly out: string;
    readonly names: readonly ResultNames[];
    readonly format: ResultFormat | undefined;
  };
  /** Parts of a pass write what they found: the folder, below the one that is shared. */
  readonly parts?: { readonly out: string; readonly format: PartFormat };
}

const name = "found";
const models = new WeakMap<Graph, Promise<Model>>();

class FoundPictures implements Tally<EvaluationItem> {
  readonly kind = name;
  readonly isList = true;
  readonly settings: FindSettings;
  readonly graphs: readonly [Subject<EvaluationItem>];
  readonly blobs = [[]];
  private readonly given: Model | undefined;
  private readonly onFound: ((found: FoundPicture) => void) | undefined;
  private readonly found: FoundPicture[] = [];
  /** For a part, by the numbers of pictures. */
  private readonly rows: [number, PartRow][] = [];
  private readonly root: string;

  /** With `onFound`, results are told of in the order in which they come, and not kept. `given` is a model of the graph that runs already. */
  constructor(
    subject: Subject<EvaluationItem>,
    settings: FindSettings,
    {
      given,
      onFound,
      root = ".",
    }: { given?: Model; onFound?: (found: FoundPicture) => void; root?: string } = {},
  ) {
    this.root = root;
    this.settings = settings;
    this.graphs = [subject];
    this.given = given;
    this.onFound = onFound;
  }

  async add(_: readonly Output[], { index, picture: item }: Numbered<EvaluationItem>): Promise<void> {
    const model = this.given ?? (await this.started());
    const { options, write } = this.settings;
    const { picture, width = picture.width, height = picture.height } = item;
    const started = performance.now();
    const detected = await model.detect(picture, options);
    const milliseconds = Math.round(performance.now() - started);
    const file = { ...picture, fileWidth: width, fileHeight: height } as FilePicture;
    const detections = inFilePixels(detected, file);
    const written =
      write && (await writeResult(detections, file, write.out, write.names[index], write.format));
    if (this.settings.parts) this.rows.push([index, { file: String(item.id), width, height, detections }]);
    this.take({
      ...{ index, width, height, milliseconds, count: detections.length },
      ...{ detections: this.settings.parts ? [] : detections, ...(written !== undefined && { written }) },
    });
  }

  private take(found: FoundPicture): void {
    if (this.onFound) this.onFound(found);
    else this.found.push(found);
  }

  /** One for all tallies over the graph in this process, as long as the graph is there. */
  private started(): Promise<Model> {
    const [{ graph, backend }] = this.graphs;
    const { manifest } = this.settings;
    const known = models.get(graph);
    if (known) return known;
    const model = startModel(
      { graph, manifest, assumptions: [], format: "ncnn", raw: false, hasWeights: true },
      { backend },
    );
    models.set(graph, model);
    return model;
  }

  async endPart(part: number): Promise<void> {
    const { parts } = this.settings;
    if (!parts) return;
    const rows = this.rows.sort(([a], [b]) => a - b).map(([, row]) => row);
    await writePart(path.join(this.root, parts.out), part, rows, parts.format);
  }

  merge(other: FoundPictures): void {
    for (const found of other.found) this.take(found);
  }

  write(): FoundPicture[] {
    return [...this.found];
  }

  clear(): void {
    this.found.length = 0;
  }

  read(written: FoundPicture[]): this {
    const like = new FoundPictures(this.graphs[0], this.settings);
    like.found.push(...written);
    return like as this;
  }
}

/** Who is told while pictures are looked through. */
interface FindOptions {
  readonly runner: Runner;
  readonly signal?: AbortSignal;
  /** Results as they come; the order is not that of the pictures. */
  onFound(found: FoundPicture): void;
  /** A picture that cannot be read, by its number; what this throws ends the pass. */
  onSkip(message: string, index: number): void;
  onWarning(message: string): void;
  onProgress(done: number): void;
}

/** Finds objects in pictures on disk, `paths` by their numbers. */
export async function findInPictures(
  model: Model,
  paths: readonly string[],
  settings: Omit<FindSettings, "manifest">,
  { runner, signal, onFound, onSkip, onWarning, onProgress }: FindOptions,
): Promise<void> {
  const entries = paths.map((file) => entryOf({ kind: "picture", file, id: file }));
  const { graph, backend, manifest } = model;
  const subject = pictureSubject(graph, { of: manifest.input, options: {} }, { backend });
  const tally = new FoundPictures(subject, { manifest, ...settings }, { given: model, onFound });
  const pictures = listedPictures(entries, onSkip, onWarning);
  await run([tally], pictures, { runner, signal, onProgress, title: "detect" });
}

/** For those who make tallies by kind; `root` is the folder that machines share. */
export const foundKind = (root?: string): OtherKinds => ({
  [name]: (_, [subject], settings) => {
    if (!subject) throw new UsageError("found: no network, expected one");
    return new FoundPictures(subject, settings as FindSettings, { root });
  },
});
