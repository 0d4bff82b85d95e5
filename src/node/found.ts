/** What a detector finds in pictures on disk, one result a picture; drawn and written beside, where that is asked for. */
import { type Detection, type Manifest, type Model, UsageError } from "../index.ts";
import { startModel } from "../open/model.ts";
import type { ModelDetectOptions } from "../steps.ts";
import type { OtherKinds } from "../tally/job.ts";
import { type EvaluationItem, listedPictures } from "../tally/pictures.ts";
import { type Runner, run } from "../tally/run.ts";
import { pictureSubject } from "../tally/subjects.ts";
import type { Numbered, Output, Subject, Tally } from "../tally/tally.ts";
import { entryOf } from "./entries.ts";
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
}

const name = "found";

class FoundPictures implements Tally<EvaluationItem> {
  readonly kind = name;
  readonly isList = true;
  readonly settings: FindSettings;
  readonly graphs: readonly [Subject<EvaluationItem>];
  readonly blobs = [[]];
  private readonly given: Model | undefined;
  private readonly onFound: ((found: FoundPicture) => void) | undefined;
  private own: Promise<Model> | undefined;
  private readonly found: FoundPicture[] = [];

  /** With `onFound`, results are told of in the order in which they come, and not kept. `given` is a model of the graph that runs already. */
  constructor(
    subject: Subject<EvaluationItem>,
    settings: FindSettings,
    { given, onFound }: { given?: Model; onFound?: (found: FoundPicture) => void } = {},
  ) {
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
    this.take({ index, width, height, milliseconds, detections, ...(written !== undefined && { written }) });
  }

  private take(found: FoundPicture): void {
    if (this.onFound) this.onFound(found);
    else this.found.push(found);
  }

  private started(): Promise<Model> {
    const [{ graph, backend }] = this.graphs;
    const { manifest } = this.settings;
    this.own ??= startModel(
      { graph, manifest, assumptions: [], format: "ncnn", raw: false, hasWeights: true },
      { backend },
    );
    return this.own;
  }

  close(): void {
    void this.own?.then((model) => model.close());
    this.own = undefined;
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
  const entries = paths.map((file, id) => entryOf({ kind: "picture", file, id }));
  const { graph, backend, manifest } = model;
  const subject = pictureSubject(graph, { of: manifest.input, options: {} }, { backend });
  const tally = new FoundPictures(subject, { manifest, ...settings }, { given: model, onFound });
  const pictures = listedPictures(entries, onSkip, onWarning);
  await run([tally], pictures, { runner, signal, onProgress, title: "detect" });
}

/** For those who make tallies by kind. */
export const foundKind: OtherKinds = {
  [name]: (_, [subject], settings) => {
    if (!subject) throw new UsageError("found: no network, expected one");
    return new FoundPictures(subject, settings as FindSettings);
  },
};
