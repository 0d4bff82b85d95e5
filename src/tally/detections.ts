/**
 * What detectors find in pictures, beside the objects that are there and what the first of them finds. Of each picture is kept, under its
 * number, what comparing it gave; figures are made at the end, in the order of numbers.
 */
import { GraphError, UsageError } from "../base/errors.ts";
import { postprocess } from "../detect/detect.ts";
import { type Detection, isObject, scaledDetection } from "../detect/detection.ts";
import { cornersOf } from "../detect/rotated.ts";
import type { DetectionRow, ImageId } from "../evaluate/rows.ts";
import { blobsOf } from "../heads/index.ts";
import type { Manifest } from "../heads/manifest.ts";
import { type AccuracyTally, type AgreementTally, type Measuring, measuring } from "./measure.ts";
import type { EvaluationItem } from "./pictures.ts";
import type { Numbered, Output, Subject, Tally } from "./tally.ts";

/** What of a manifest tells how its outputs are read. */
export type Detector = Pick<Manifest, "name" | "heads" | "labels">;

/** Mean milliseconds a picture; decoding of the file is not part of it. */
export interface Milliseconds {
  preprocess: number;
  inference: number;
  postprocess: number;
}

interface Kept {
  readonly id: ImageId;
  /** Labelled objects, crowd regions left out; undefined without labels. */
  readonly objects: number | undefined;
  readonly models: readonly KeptOfModel[];
}
interface KeptOfModel {
  readonly rows: readonly DetectionRow[];
  readonly accuracy: unknown;
  /** With the first model; undefined for the first. */
  readonly agreement: unknown;
  readonly milliseconds: Milliseconds;
}

/** All pictures, in their order. */
export interface Found {
  /** Labelled objects; undefined without labels. */
  readonly objects: number | undefined;
  readonly models: readonly {
    readonly detections: DetectionRow[];
    readonly accuracy: AccuracyTally;
    readonly agreement: AgreementTally;
    readonly milliseconds: Milliseconds;
  }[];
}

export class Detections implements Tally<EvaluationItem> {
  readonly kind = "detections";
  readonly isList = true;
  readonly settings: { readonly detectors: readonly Detector[]; readonly sigmas?: readonly number[] };
  readonly graphs: readonly Subject<EvaluationItem>[];
  readonly blobs: readonly (readonly string[])[];
  private readonly measures: readonly {
    readonly how: Measuring;
    accuracy: AccuracyTally;
    agreement: AgreementTally;
  }[];
  private readonly pictures = new Map<number, Kept>();
  private readonly ids = new Map<string, number>();

  /** `sigmas`: spread of each key point, as `measuring` takes it. */
  constructor(
    subjects: readonly Subject<EvaluationItem>[],
    detectors: readonly Detector[],
    sigmas?: readonly number[],
  ) {
    this.settings = {
      detectors: detectors.map(({ name, heads, labels }) => ({ name, heads, labels })),
      sigmas,
    };
    this.graphs = subjects;
    this.blobs = detectors.map(({ heads }) => blobsOf(heads));
    this.measures = this.measuring();
  }

  private measuring() {
    const [first] = this.settings.detectors;
    return this.settings.detectors.map(() => {
      const how = measuring(first, this.settings.sigmas);
      return { how, accuracy: how.accuracy(), agreement: how.agreement() };
    });
  }

  add(outputs: readonly Output[], { index, picture: item }: Numbered<EvaluationItem>): void {
    checkTruth(item);
    this.checkId(item.id, index);
    const { id, truth } = item;
    let reference: readonly DetectionRow[] | undefined;
    const models = outputs.map((output, m): KeptOfModel => {
      const started = performance.now();
      const found = this.rowsOf(output, this.settings.detectors[m], this.measures[m].how, item);
      const postprocess = performance.now() - started;
      const { accuracy, agreement } = this.measures[m];
      const kept = {
        rows: found.map(({ mask: _, ...row }) => row),
        accuracy: accuracy.of(id, truth ?? [], found),
        agreement: reference && agreement.of(id, reference, found),
        milliseconds: { preprocess: output.preparing, inference: output.inference, postprocess },
      };
      reference ??= found;
      return kept;
    });
    this.pictures.set(index, { id, objects: truth?.filter(({ crowd }) => !crowd).length, models });
  }

  private rowsOf(
    { values, transform }: Output,
    { name, heads, labels }: Detector,
    { settings }: Measuring,
    { id, picture, ...item }: EvaluationItem,
  ): DetectionRow[] {
    for (const blob of blobsOf(heads)) {
      const bad = values[blob].data.findIndex((value) => !Number.isFinite(value));
      if (bad < 0) continue;
      throw new GraphError(
        `${name}: output "${blob}" of picture ${id} holds ${values[blob].data[bad]}: the weights are broken, or the input is not what the model expects`,
      );
    }
    const detections = postprocess(values, { heads, labels }, transform!, settings);
    const size = { width: item.width ?? picture.width, height: item.height ?? picture.height };
    return detections.map((detection) => rowOf(id, scaledDetection(detection, picture, size)));
  }

  /** Two pictures under one id would be measured as one. */
  private checkId(id: ImageId, index: number): void {
    if ((this.ids.get(String(id)) ?? index) !== index) {
      throw new UsageError(`two pictures have the id ${JSON.stringify(id)}; expected one for each`);
    }
    this.ids.set(String(id), index);
  }

  merge(other: Detections): void {
    for (const [index, kept] of other.pictures) {
      this.checkId(kept.id, index);
      this.pictures.set(index, kept);
    }
  }

  clear(): void {
    this.pictures.clear();
  }

  write(): [number, Kept][] {
    return [...this.pictures];
  }

  read(written: [number, Kept][]): this {
    const like = new Detections(this.graphs, this.settings.detectors, this.settings.sigmas);
    for (const [index, kept] of written) {
      like.checkId(kept.id, index);
      like.pictures.set(index, kept);
    }
    return like as this;
  }

  /** All pictures, put together. */
  result(): Found {
    const all = [...this.pictures].sort(([a], [b]) => a - b).map(([, kept]) => kept);
    const labelled = all.flatMap(({ objects }) => (objects === undefined ? [] : [objects]));
    return {
      objects: labelled.length ? labelled.reduce((sum, count) => sum + count, 0) : undefined,
      models: this.measuring().map(({ accuracy, agreement }, m) => {
        const of = all.map(({ models }) => models[m]);
        for (const each of of) {
          accuracy.take(each.accuracy);
          if (m > 0) agreement.take(each.agreement);
        }
        const mean = (what: keyof Milliseconds) =>
          of.reduce((sum, { milliseconds }) => sum + milliseconds[what], 0) / of.length;
        return {
          ...{ accuracy, agreement, detections: of.flatMap(({ rows }) => rows) },
          milliseconds: {
            preprocess: mean("preprocess"),
            inference: mean("inference"),
            postprocess: mean("postprocess"),
          },
        };
      }),
    };
  }
}

function checkTruth({ id, truth = [] }: EvaluationItem): void {
  const stray = truth.find(({ image }) => image !== id);
  if (!stray) return;
  throw new UsageError(
    `an object of picture ${JSON.stringify(id)} says that it is of ${JSON.stringify(stray.image)}`,
  );
}

/** A detection as a row of a result. The box of a class of the whole picture is a square of 1. */
export function rowOf(image: ImageId, detection: Detection): DetectionRow {
  const { classId: category, score } = detection;
  const row = { image, category, score };
  if (!isObject(detection)) return { ...row, box: { x: 0, y: 0, width: 1, height: 1 } };
  const found = { ...row, box: detection.box };
  switch (detection.task) {
    case "segment":
      return { ...found, mask: detection.mask };
    case "pose":
      return { ...found, points: detection.points };
    case "obb": {
      const { rotated } = detection;
      return { ...found, corners: cornersOf(rotated), area: rotated.width * rotated.height };
    }
    default:
      return found;
  }
}
