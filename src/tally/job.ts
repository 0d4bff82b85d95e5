/** A pass as plain data, for other threads and machines: its networks as files, its tallies by kind. */
import type { BackendName } from "../engine/session.ts";
import { printParam, readNcnn, writeWeights } from "../formats/ncnn/index.ts";
import { tallyOf } from "./kinds.ts";
import type { EvaluationItem } from "./pictures.ts";
import { Stage, type Work } from "./run.ts";
import { pictureSubject } from "./subjects.ts";
import type { Numbered, Observer, SubjectInput, Tally } from "./tally.ts";

/** A network: ncnn's files, how it takes pictures, and which blobs are looked at. */
export interface PlainSubject {
  readonly param: string;
  readonly bin: Uint8Array;
  readonly input: SubjectInput;
  readonly backend: BackendName | undefined;
  readonly blobs: readonly string[];
}

/** A pass without its pictures. */
export interface PlainWork {
  readonly subjects: readonly PlainSubject[];
  readonly tallies: readonly {
    readonly kind: string;
    readonly settings: unknown;
    /** Which of `subjects` are its graphs. */
    readonly graphs: readonly number[];
  }[];
  readonly warmUp: boolean;
}

/** Whether a tally can be made elsewhere. */
export const isTally = <P>(observer: Observer<P>): observer is Tally<P> & { readonly kind: string } =>
  "kind" in observer && observer.kind !== undefined;

/** The pass for others; undefined where its networks, tallies or pictures are only known to this process. */
export function plainWork<P>(work: Work<P>): PlainWork | undefined {
  const { listed } = work.pictures;
  const tallies = work.tallies.filter(isTally);
  const inputs = work.subjects.map(({ subject }) => subject.input);
  if (tallies.length !== work.tallies.length || inputs.includes(undefined)) return undefined;
  if (!listed || listed.entries.some(({ plain }) => plain === undefined)) return undefined;
  return {
    subjects: work.subjects.map(({ subject: { graph, backend, input }, blobs }) => ({
      ...{ backend, blobs, input: input! },
      ...{ param: printParam(graph), bin: writeWeights(graph) },
    })),
    tallies: tallies.map(({ kind, settings, graphs }) => ({
      ...{ kind, settings },
      graphs: graphs.map((graph) => work.subjects.findIndex(({ subject }) => subject === graph)),
    })),
    warmUp: work.warmUp ?? false,
  };
}

/** How tallies are made that other folders know. */
export type OtherKinds = Readonly<Record<string, typeof tallyOf>>;

/** A pass that another process asked for, ready to take pictures. */
export class OpenedWork {
  readonly tallies: readonly Tally<EvaluationItem>[];
  private readonly stage: Stage<EvaluationItem>;
  private isCold: boolean;

  private constructor(
    tallies: readonly Tally<EvaluationItem>[],
    stage: Stage<EvaluationItem>,
    isCold: boolean,
  ) {
    this.tallies = tallies;
    this.stage = stage;
    this.isCold = isCold;
  }

  /** `threads` that each network computes with. Throws as the readers of ncnn's files, and UsageError for an unknown kind. */
  static async open(plain: PlainWork, others: OtherKinds = {}, threads = 1): Promise<OpenedWork> {
    const subjects = plain.subjects.map(({ param, bin, input, backend, blobs }) => ({
      subject: pictureSubject(readNcnn(param, bin), input, { backend }),
      blobs,
    }));
    const tallies = plain.tallies.map(({ kind, settings, graphs }) => {
      const make = Object.hasOwn(others, kind) ? others[kind] : tallyOf;
      return make(
        kind,
        graphs.map((graph) => subjects[graph].subject),
        settings,
      );
    });
    return new OpenedWork(tallies, await Stage.open({ tallies, subjects, threads }), plain.warmUp);
  }

  async add(item: Numbered<EvaluationItem>): Promise<void> {
    if (this.isCold) await this.stage.outputs(item);
    this.isCold = false;
    await this.stage.add(item);
  }

  /** What the tallies that are lists have seen since the last time; undefined for the others. */
  takeLists(): unknown[] {
    return this.tallies.map((tally) => {
      if (!tally.isList) return undefined;
      const seen = tally.write();
      tally.clear?.();
      return seen;
    });
  }

  close(): void {
    this.stage.close();
  }
}
