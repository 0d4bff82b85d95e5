/** A pass as plain data, for other threads and machines: its networks as files, its tallies by kind. */
import { type BackendChoice, createSession, type Session } from "../engine/session.ts";
import { printParam, readNcnn, writeWeights } from "../formats/ncnn/index.ts";
import { tallyOf } from "./kinds.ts";
import type { EvaluationItem } from "./pictures.ts";
import { Stage, type Work } from "./run.ts";
import { pictureSubject } from "./subjects.ts";
import type { Numbered, Observer, Subject, SubjectInput, Tally } from "./tally.ts";

/** A network: ncnn's files, how it takes pictures, and which blobs are looked at. */
export interface PlainSubject {
  readonly param: string;
  readonly bin: Uint8Array;
  readonly input: SubjectInput;
  readonly backend: BackendChoice | undefined;
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

/** A pass that another process asked for, ready to take pictures: its networks are made once for any number of parts. */
export class OpenedWork {
  /** Of the part that was begun last. */
  tallies: readonly Tally<EvaluationItem>[] = [];
  private readonly subjects: readonly { subject: Subject<EvaluationItem>; blobs: readonly string[] }[];
  private readonly sessions: readonly Session[];
  private readonly make: () => readonly Tally<EvaluationItem>[];
  private stage: Stage<EvaluationItem> | undefined;
  private isCold: boolean;

  private constructor(
    plain: PlainWork,
    subjects: readonly { subject: Subject<EvaluationItem>; blobs: readonly string[] }[],
    sessions: readonly Session[],
    others: OtherKinds,
  ) {
    this.subjects = subjects;
    this.sessions = sessions;
    this.isCold = plain.warmUp;
    this.make = () =>
      plain.tallies.map(({ kind, settings, graphs }) => {
        const make = Object.hasOwn(others, kind) ? others[kind] : tallyOf;
        return make(
          kind,
          graphs.map((graph) => subjects[graph].subject),
          settings,
        );
      });
  }

  /** `threads` that each network computes with. Throws as the readers of ncnn's files, and UsageError for an unknown kind. */
  static async open(plain: PlainWork, others: OtherKinds = {}, threads = 1): Promise<OpenedWork> {
    const sessions: Session[] = [];
    const subjects: { subject: Subject<EvaluationItem>; blobs: readonly string[] }[] = [];
    for (const { param, bin, input, backend, blobs } of plain.subjects) {
      const graph = readNcnn(param, bin);
      const session = blobs.length ? await createSession(graph, { backend, threads }) : undefined;
      if (session) sessions.push(session);
      subjects.push({ subject: pictureSubject(graph, input, { backend, session }), blobs });
    }
    const work = new OpenedWork(plain, subjects, sessions, others);
    work.begin();
    return work;
  }

  /** Begins another part, with empty tallies. */
  begin(): void {
    for (const tally of this.tallies) tally.close?.();
    this.tallies = this.make();
    this.stage = undefined;
  }

  async add(item: Numbered<EvaluationItem>): Promise<void> {
    this.stage ??= await Stage.open({ tallies: this.tallies, subjects: this.subjects });
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
    for (const tally of this.tallies) tally.close?.();
    for (const session of this.sessions) session.close();
  }
}
